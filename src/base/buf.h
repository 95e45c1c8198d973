/* A growing byte buffer with a bound. Appending past the bound (or out of memory) sets `failed` and drops the bytes;
 * check once at the end. */
#pragma once
#include "base/auto.h"
#include "base/span.h"

typedef struct Buf {
    char *at;
    size_t len, size;
    size_t limit; /* 0: 64 MiB */
    bool failed;
} Buf;

/* Room for `len` more bytes at the end, to be filled by the caller, who then adds to b->len; NULL where refused. */
char *buf_grow(Buf *b, size_t len);
static inline char *buf_reserve(Buf *b, size_t len) {
    return len <= b->size - b->len && !b->failed ? b->at + b->len : buf_grow(b, len);
}
static inline void buf_append(Buf *b, const void *bytes, size_t len) {
    char *to = len ? buf_reserve(b, len) : NULL;
    if (!to) return;
    memcpy(to, bytes, len);
    b->len += len;
}
static inline void buf_byte(Buf *b, char byte) { buf_append(b, &byte, 1); }
static inline void buf_text(Buf *b, const char *text) { buf_append(b, text, strlen(text)); }
static inline void buf_span(Buf *b, Span s) { buf_append(b, s.at, s.len); }
void buf_printf(Buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Drops the first `len` bytes. */
void buf_consume(Buf *b, size_t len);
static inline Span buf_view(const Buf *b) { return (Span){b->at, b->len}; }
static inline void buf_clear(Buf *b) { b->len = 0, b->failed = false; }
void buf_free(Buf *b);
#define AUTO_BUF __attribute__((cleanup(buf_free))) Buf
