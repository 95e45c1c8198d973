/* A borrowed run of bytes. It owns nothing and need not end with NUL; whoever hands one out says how long it lives. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct Span {
    const char *at;
    size_t len;
} Span;

#define SPAN(literal) ((Span){(literal), sizeof(literal) - 1})
#define SPAN_NONE ((Span){NULL, 0})
/* For printf: `"%.*s", SPAN_ARGS(s)` */
#define SPAN_ARGS(s) (int)(s).len, (s).at

static inline Span span_of(const char *text) { return (Span){text, text ? strlen(text) : 0}; }
static inline Span span_bytes(const void *at, size_t len) { return (Span){at, len}; }
static inline bool span_equal(Span a, Span b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}
static inline bool span_is(Span a, const char *text) { return span_equal(a, span_of(text)); }
/* ASCII letters without case, as HTTP compares field names. */
bool span_equal_nocase(Span a, Span b);
bool span_starts(Span whole, Span start);
bool span_ends(Span whole, Span end);
/* Cuts off ASCII space and tab at both ends. */
Span span_trim(Span s);
/* The part before the first `separator`; *rest gets what is behind it. Without a separator: all, and *rest is empty
 * with at == NULL. */
Span span_split(Span s, char separator, Span *rest);
/* Decimal digits only, no sign, no space; false where it is no number or above max. */
bool span_to_u64(Span s, uint64_t max, uint64_t *ret);
/* Copies to a NUL-terminated buffer; false where it does not fit or holds a NUL. */
bool span_copy(Span s, char *to, size_t size);
