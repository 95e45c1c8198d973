#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

enum { DEFAULT_LIMIT = 64 << 20 };

char *buf_grow(Buf *b, size_t len) {
    size_t limit = b->limit ? b->limit : DEFAULT_LIMIT;
    if (b->failed || len > limit || b->len > limit - len) {
        b->failed = true;
        return NULL;
    }
    if (b->size - b->len < len) {
        size_t size = b->size ? b->size : 256;
        while (size < b->len + len) size *= 2;
        if (size > limit) size = limit; /* so that what is within the size is within the limit */
        char *grown = realloc(b->at, size);
        if (!grown) {
            b->failed = true;
            return NULL;
        }
        b->at = grown;
        b->size = size;
    }
    return b->at + b->len;
}

void buf_printf(Buf *b, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *to = len < 0 ? NULL : buf_reserve(b, (size_t)len + 1);
    if (to) {
        vsnprintf(to, (size_t)len + 1, format, again);
        b->len += (size_t)len;
    }
    va_end(again);
}

void buf_consume(Buf *b, size_t len) {
    if (len >= b->len) {
        b->len = 0;
        return;
    }
    memmove(b->at, b->at + len, b->len - len);
    b->len -= len;
}

void buf_free(Buf *b) {
    free(b->at);
    *b = (Buf){.limit = b->limit};
}
