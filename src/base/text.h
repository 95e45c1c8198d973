/* Unicode text, by utf8proc. Everything here wants and gives valid UTF-8. */
#pragma once
#include "base/arena.h"
#include "base/span.h"

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool text_is_utf8(Span s);
/* The same for text that comes in pieces, cut anywhere: false with the first byte that cannot be right. Zeroed at the
 * start; whole where the pieces so far end with a character. */
typedef struct Utf8 {
    uint8_t missing;   /* bytes of the character in progress */
    uint8_t low, high; /* what the next one may be */
} Utf8;
bool text_utf8_feed(Utf8 *u, Span part);
static inline bool text_utf8_whole(const Utf8 *u) { return !u->missing; }
size_t text_code_points(Span s);
/* Category Cc; with_breaks lets tab, line feed and carriage return pass. */
bool text_has_controls(Span s, bool with_breaks);
/* Without Unicode White_Space at both ends; points into s. */
Span text_trim(Span s);
bool text_is_white_space(int32_t code_point);
/* Normalization form C; full case folding (then NFC); and the form for searching: case-folded, marks stripped.
 * In memory of the arena (or s itself where nothing changes); at == NULL out of memory. */
Span text_nfc(Arena *a, Span s);
Span text_fold(Arena *a, Span s);
Span text_search_form(Arena *a, Span s);
/* Reads one code point at *at and moves on; -1 at the end or on bad bytes. */
int32_t text_next(Span s, size_t *at);
/* Letter of any script, ASCII digit excluded? (categories L* and M*, as marks belong to letters) */
bool text_is_letter(int32_t code_point);
/* A decimal digit of any script (category Nd). */
bool text_is_digit(int32_t code_point);
