#include "base/span.h"

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

bool span_equal_nocase(Span a, Span b) {
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.at[i]) != lower(b.at[i])) return false;
    return true;
}

bool span_starts(Span whole, Span start) {
    return whole.len >= start.len && span_equal((Span){whole.at, start.len}, start);
}

bool span_ends(Span whole, Span end) {
    return whole.len >= end.len && span_equal((Span){whole.at + whole.len - end.len, end.len}, end);
}

Span span_trim(Span s) {
    while (s.len && (*s.at == ' ' || *s.at == '\t')) s.at++, s.len--;
    while (s.len && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t')) s.len--;
    return s;
}

Span span_split(Span s, char separator, Span *rest) {
    const char *found = s.len ? memchr(s.at, separator, s.len) : NULL;
    if (!found) {
        *rest = SPAN_NONE;
        return s;
    }
    size_t before = (size_t)(found - s.at);
    *rest = (Span){found + 1, s.len - before - 1};
    return (Span){s.at, before};
}

bool span_to_u64(Span s, uint64_t max, uint64_t *ret) {
    if (!s.len || s.len > 20) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)(s.at[i] - '0');
        if (digit > 9 || value > (UINT64_MAX - digit) / 10) return false;
        value = value * 10 + digit;
    }
    if (value > max) return false;
    *ret = value;
    return true;
}

bool span_copy(Span s, char *to, size_t size) {
    if (s.len >= size || (s.len && memchr(s.at, 0, s.len))) return false;
    if (s.len) memcpy(to, s.at, s.len);
    to[s.len] = 0;
    return true;
}
