#include "gateway/auth/base64url.h"

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_write(Buf *out, Span bytes) {
    unsigned bits = 0, held = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        bits = bits << 8 | (unsigned char)bytes.at[i];
        for (held += 8; held >= 6;) {
            held -= 6;
            buf_byte(out, DIGITS[bits >> held & 63]);
        }
    }
    if (held) buf_byte(out, DIGITS[bits << (6 - held) & 63]);
}

static int digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '-') return 62;
    return c == '_' ? 63 : -1;
}

bool base64url_read(Buf *out, Span text) {
    unsigned bits = 0, held = 0;
    for (size_t i = 0; i < text.len; i++) {
        int value = digit(text.at[i]);
        if (value < 0) return false;
        bits = (bits << 6 | (unsigned)value) & 0xffff;
        held += 6;
        if (held < 8) continue;
        held -= 8;
        buf_byte(out, (char)(bits >> held));
    }
    return held < 6 && !(bits & ((1u << held) - 1)) && !out->failed;
}
