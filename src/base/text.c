#include "base/text.h"

#include "base/bytes.h"
#include <stdlib.h>
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

/* The first byte of a character of several (RFC 3629 section 4). */
static bool utf8_begin(Utf8 *u, unsigned char c) {
    if (c < 0xc2 || c > 0xf4) return false;
    u->missing = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    u->low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    u->high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    return true;
}

bool text_utf8_feed(Utf8 *u, Span part) {
    for (size_t at = 0; at < part.len; at++) {
        unsigned char c = (unsigned char)part.at[at];
        if (u->missing) {
            if (c < u->low || c > u->high) return false;
            u->missing--;
            u->low = 0x80, u->high = 0xbf;
        } else if (c < 0x80) {
            at += bytes_ascii_run((Span){part.at + at, part.len - at}) - 1;
        } else if (!utf8_begin(u, c)) {
            return false;
        }
    }
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

/* --- normalization --- */

enum { ROOM = 256, CLASSES = 256 };

/* The text in pieces, none of which can be taken apart further; `size` of them are stored, the number of all is
 * returned. */
static size_t take_apart(Span s, utf8proc_option_t options, int32_t *to, size_t size) {
    size_t count = 0;
    int boundary = UTF8PROC_BOUNDCLASS_START;
    for (size_t at = 0; at < s.len;) {
        int32_t point = text_next(s, &at);
        size_t room = count < size ? size - count : 0;
        utf8proc_ssize_t more = point < 0 ? -1
                                          : utf8proc_decompose_char(point, room ? to + count : NULL,
                                                                    (utf8proc_ssize_t)room, options, &boundary);
        if (more < 0) return SIZE_MAX;
        count += (size_t)more;
    }
    return count;
}

/* A run of marks by their classes; those of one class keep their order (UAX #15, canonical ordering). In linear time:
 * exchanging neighbours, as utf8proc does it, takes a minute for the marks that a request has room for. */
static void order_run(int32_t *run, size_t len, int32_t *spare) {
    size_t start[CLASSES + 1] = {0};
    for (size_t i = 0; i < len; i++) start[utf8proc_get_property(run[i])->combining_class + 1]++;
    for (size_t c = 0; c < CLASSES; c++) start[c + 1] += start[c];
    for (size_t i = 0; i < len; i++) spare[start[utf8proc_get_property(run[i])->combining_class]++] = run[i];
    memcpy(run, spare, len * sizeof *run);
}

static void order_marks(int32_t *points, size_t count, int32_t *spare) {
    for (size_t at = 0, begin = 0; at <= count; at++) {
        if (at < count && utf8proc_get_property(points[at])->combining_class) continue;
        if (at - begin > 1) order_run(points + begin, at - begin, spare);
        begin = at + 1;
    }
}

/* In `points`, which has room for twice as many and one more. */
static Span mapped_in(Arena *a, Span s, utf8proc_option_t options, int32_t *points, size_t count) {
    take_apart(s, options, points, count);
    order_marks(points, count, points + count);
    utf8proc_ssize_t len = utf8proc_reencode(points, (utf8proc_ssize_t)count, options);
    char *copy = len < 0 ? NULL : arena_copy(a, span_bytes(points, (size_t)len));
    return copy ? (Span){copy, (size_t)len} : SPAN_NONE;
}

static Span mapped(Arena *a, Span s, utf8proc_option_t options) {
    int32_t room[2 * ROOM + 1];
    size_t count = take_apart(s, options, NULL, 0);
    if (count <= ROOM) return mapped_in(a, s, options, room, count);
    int32_t *points = count == SIZE_MAX ? NULL : malloc((2 * count + 1) * sizeof *points);
    Span text = points ? mapped_in(a, s, options, points, count) : SPAN_NONE;
    free(points);
    return text;
}

/* Nothing below U+0300, whose first byte is CC, has another form, and all that changes one comes after that. */
static bool is_composed(Span s) {
    for (size_t at = bytes_ascii_run(s); at < s.len; at++)
        if ((unsigned char)s.at[at] >= 0xcc) return false;
    return true;
}

Span text_nfc(Arena *a, Span s) {
    return is_composed(s) ? s : mapped(a, s, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
}

Span text_fold(Arena *a, Span s) { return mapped(a, s, UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD); }

Span text_search_form(Arena *a, Span s) {
    return mapped(a, s, UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD | UTF8PROC_STRIPMARK);
}
