/* Bytes shared by many owners and threads: encoded once, counted, never changed after it is shared. */
#pragma once
#include "base/auto.h"
#include "base/span.h"
#include <stdatomic.h>

typedef struct Blob {
    atomic_uint refs;
    uint32_t len;
    char bytes[];
} Blob;

Blob *blob_new(size_t len);   /* one reference, bytes not set; NULL out of memory or above 1 GiB */
Blob *blob_copy(Span bytes);
static inline Blob *blob_ref(Blob *b) {
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}
Blob *blob_unref(Blob *b); /* always NULL; NULL is fine */
AUTO_FREE(Blob, blob_unref)
static inline Span blob_view(const Blob *b) { return (Span){b->bytes, b->len}; }
