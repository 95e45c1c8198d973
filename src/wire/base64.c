#include "wire/base64.h"

static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_write(Buf *out, Span bytes) {
    char *to = buf_reserve(out, (bytes.len + 2) / 3 * 4);
    if (!to) return;
    char *start = to;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t have = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t group = 0;
        for (size_t k = 0; k < 3; k++) group = group << 8 | (k < have ? (uint8_t)bytes.at[i + k] : 0);
        *to++ = LETTERS[group >> 18];
        *to++ = LETTERS[group >> 12 & 63];
        *to++ = have > 1 ? LETTERS[group >> 6 & 63] : '=';
        *to++ = have > 2 ? LETTERS[group & 63] : '=';
    }
    out->len += (size_t)(to - start);
}

static int letter_value(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_read(Span text, Arena *arena, Span *ret) {
    if (text.len % 4) return false;
    size_t letters = text.len;
    while (letters && text.len - letters < 2 && text.at[letters - 1] == '=') letters--;
    char *to = arena_alloc(arena, text.len / 4 * 3 + 1);
    if (!to) return false;
    size_t len = 0;
    uint32_t bits = 0;
    unsigned count = 0;
    for (size_t i = 0; i < letters; i++) {
        int value = letter_value(text.at[i]);
        if (value < 0) return false;
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count < 8) continue;
        count -= 8;
        to[len++] = (char)(bits >> count);
        bits &= (1u << count) - 1;
    }
    *ret = (Span){to, len};
    return bits ==
           0; /* RFC 4648 section 3.5: the bits behind the end are zero, so every text has one meaning */
}
