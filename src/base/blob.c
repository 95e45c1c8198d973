#include "base/blob.h"

Blob *blob_new(size_t len) {
    if (len > (1u << 30)) return NULL;
    Blob *b = malloc(sizeof *b + len);
    if (!b) return NULL;
    atomic_init(&b->refs, 1);
    b->len = (uint32_t)len;
    return b;
}

Blob *blob_copy(Span bytes) {
    Blob *b = blob_new(bytes.len);
    if (b && bytes.len) memcpy(b->bytes, bytes.at, bytes.len);
    return b;
}

Blob *blob_unref(Blob *b) {
    if (b && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1) free(b);
    return NULL;
}
