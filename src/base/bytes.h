/* Eight bytes at a time: where text is plain ASCII, which most of it is. */
#pragma once
#include "base/span.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte is the lowest of a word");

#define BYTES_ONES UINT64_C(0x0101010101010101)
#define BYTES_HIGH UINT64_C(0x8080808080808080)

static inline uint64_t bytes_load(const char *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}
/* The high bit of a byte of the result is set where that byte of `word` (all below 0x80) is below n, or equals c. */
static inline uint64_t bytes_below(uint64_t word, unsigned char n) {
    return (word - BYTES_ONES * n) & ~word & BYTES_HIGH;
}
static inline uint64_t bytes_equal(uint64_t word, unsigned char c) { return bytes_below(word ^ BYTES_ONES * c, 1); }
/* Where the first byte stands whose high bit is set; not for 0. */
static inline size_t bytes_first(uint64_t marks) { return (size_t)__builtin_ctzll(marks) / 8; }

/* How many bytes at the start are below 0x80. */
static inline size_t bytes_ascii_run(Span s) {
    size_t at = 0;
    for (; s.len - at >= 8; at += 8) {
        uint64_t marks = bytes_load(s.at + at) & BYTES_HIGH;
        if (marks) return at + bytes_first(marks);
    }
    while (at < s.len && (unsigned char)s.at[at] < 0x80) at++;
    return at;
}
/* How many bytes at the start stand for themselves in a JSON string: printable ASCII without quote and backslash. */
static inline size_t bytes_json_run(Span s) {
    size_t at = 0;
    for (; s.len - at >= 8; at += 8) {
        uint64_t word = bytes_load(s.at + at);
        uint64_t marks = (word & BYTES_HIGH) | bytes_below(word, 0x20) | bytes_equal(word, '"') | bytes_equal(word, '\\');
        if (marks) return at + bytes_first(marks);
    }
    for (; at < s.len; at++) {
        unsigned char c = (unsigned char)s.at[at];
        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\') break;
    }
    return at;
}
/* Is every byte of U+0020 to U+007E? */
static inline bool bytes_printable(Span s) {
    size_t at = 0;
    uint64_t marks = 0;
    for (; s.len - at >= 8; at += 8) {
        uint64_t word = bytes_load(s.at + at);
        marks |= (word & BYTES_HIGH) | bytes_below(word, 0x20) | bytes_equal(word, 0x7f);
    }
    for (; at < s.len; at++) marks |= s.at[at] < 0x20 || s.at[at] > 0x7e;
    return !marks;
}
