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

void base64_write_bare(Buf *out, Span bytes) {
    base64_write(out, bytes);
    if (bytes.len % 3 && !out->failed) out->len -= 3 - bytes.len % 3;
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

static int any_letter_value(char c) {
    return c == '-' ? 62 : c == '_' ? 63 : letter_value(c);
}

/* What is left of one text at its end: 2 letters are a byte, 3 are two, 1 is none. */
static bool end_text(unsigned letters, uint32_t bits, Buf *out) {
    if (!letters) return true;
    if (letters == 1 || (bits & (letters == 2 ? 15 : 3))) return false;
    buf_byte(out, (char)(bits >> (letters == 2 ? 4 : 10)));
    if (letters == 3) buf_byte(out, (char)(bits >> 2));
    return true;
}

static void put_group(uint32_t bits, Buf *out) {
    const char bytes[] = {(char)(bits >> 16), (char)(bits >> 8), (char)bits};
    buf_append(out, bytes, sizeof bytes);
}

bool base64_read_any(Span text, Buf *out) {
    uint32_t bits = 0;
    unsigned letters = 0, padding = 0;
    for (size_t i = 0; i < text.len; i++) {
        bool pads = text.at[i] == '=';
        int value = pads ? 0 : any_letter_value(text.at[i]);
        if (value < 0 || (pads ? letters < 2 : padding)) return false;
        if (pads)
            padding++;
        else
            bits = bits << 6 | (uint32_t)value, letters++;
        if (letters + padding < 4) continue;
        if (!padding)
            put_group(bits, out);
        else if (!end_text(letters, bits, out))
            return false;
        letters = padding = 0;
        bits = 0;
    }
    return !padding && end_text(letters, bits, out) && !out->failed;
}
