#include "base/text.h"

#include "base/bytes.h"
#include <utf8proc.h>

int32_t text_next(Span s, size_t *at) {
    if (*at >= s.len) return -1;
    if ((unsigned char)s.at[*at] < 0x80) return s.at[(*at)++];
    utf8proc_int32_t point;
    utf8proc_ssize_t took = utf8proc_iterate((const utf8proc_uint8_t *)s.at + *at, (utf8proc_ssize_t)(s.len - *at), &point);
    if (took <= 0) return -1;
    *at += (size_t)took;
    return point;
}

bool text_is_utf8(Span s) {
    size_t at = bytes_ascii_run(s);
    while (at < s.len)
        if (text_next(s, &at) < 0) return false;
    return true;
}

size_t text_code_points(Span s) {
    size_t count = 0;
    for (size_t i = 0; i < s.len; i++) count += ((unsigned char)s.at[i] & 0xc0) != 0x80;
    return count;
}

bool text_has_controls(Span s, bool with_breaks) {
    for (size_t at = 0; at < s.len;) {
        int32_t c = (unsigned char)s.at[at];
        if (c >= 0x20 && c < 0x7f) { /* most of all text, without a call */
            at++;
            continue;
        }
        c = text_next(s, &at);
        if (c < 0) return true;
        bool control = c < 0x20 || (c >= 0x7f && c <= 0x9f);
        if (control && !(with_breaks && (c == '\t' || c == '\n' || c == '\r'))) return true;
    }
    return false;
}

/* Property White_Space of Unicode (PropList.txt). */
bool text_is_white_space(int32_t c) {
    if (c > 0x20 && c < 0x85) return false;
    return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

Span text_trim(Span s) {
    for (size_t at = 0; s.len; at = 0) {
        if (!text_is_white_space(text_next(s, &at))) break;
        s.at += at, s.len -= at;
    }
    while (s.len) {
        size_t start = s.len - 1;
        while (start && ((unsigned char)s.at[start] & 0xc0) == 0x80) start--;
        size_t at = start;
        if (!text_is_white_space(text_next(s, &at))) break;
        s.len = start;
    }
    return s;
}

bool text_is_letter(int32_t c) {
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME: return true;
    default: return false;
    }
}

bool text_is_digit(int32_t c) { return utf8proc_category(c) == UTF8PROC_CATEGORY_ND; }

static Span mapped(Arena *a, Span s, utf8proc_option_t options) {
    utf8proc_uint8_t *out = NULL;
    utf8proc_ssize_t len = utf8proc_map((const utf8proc_uint8_t *)s.at, (utf8proc_ssize_t)s.len, &out, options);
    if (len < 0) return SPAN_NONE;
    char *copy = arena_copy(a, span_bytes(out, (size_t)len));
    free(out);
    return copy ? (Span){copy, (size_t)len} : SPAN_NONE;
}

Span text_nfc(Arena *a, Span s) {
    if (bytes_ascii_run(s) == s.len) return s;
    return mapped(a, s, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
}

Span text_fold(Arena *a, Span s) { return mapped(a, s, UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD); }

Span text_search_form(Arena *a, Span s) {
    return mapped(a, s, UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD | UTF8PROC_STRIPMARK);
}
