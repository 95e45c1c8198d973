/* What a connection still has to send: a queue of byte runs, each backed by a Blob. Bytes that are copied in
 * gather in chunks of their own; shared blobs are only referenced. No socket in here. One thread. */
#pragma once
#include "base/blob.h"
#include <sys/uio.h>

typedef struct Segment {
    Blob *blob; /* one reference */
    const char *at;
    size_t len;
} Segment;

enum { OUTPUT_FEW = 3 };
typedef struct Output {
    Segment *ring; /* `few` until that is not enough, so that an idle connection owns no heap for it */
    uint32_t first, count, size;
    uint32_t tail_used;
    Blob *tail;    /* the chunk that takes copied bytes, or NULL */
    size_t bytes;  /* waiting */
    uint64_t sent; /* taken off so far */
    Segment few[OUTPUT_FEW];
} Output;

void output_init(Output *o); /* must not be moved afterwards */
void output_clear(Output *o);
/* All three are false only where memory ends: the queue is then as before. */
bool output_copy(Output *o, const void *bytes, size_t len);
bool output_share(Output *o, Blob *blob,
                  Span part); /* part lies within the blob; takes a reference of its own */
/* Room for exactly len bytes, to be filled at once; counts as queued. NULL where memory ends. */
char *output_room(Output *o, size_t len);

size_t output_vector(const Output *o, struct iovec *to, size_t max);
/* The first bytes in one run: in place where they are, else copied to `scratch`. */
Span output_run(const Output *o, char *scratch, size_t size);
void output_taken(Output *o, size_t len);
/* The first len bytes, which there are, change over to the other queue, by reference; or are copied to `to`.
 */
bool output_move(Output *from, Output *to, size_t len); /* false where memory ends */
void output_take(Output *from, char *to, size_t len);
/* Forgets whole segments behind the one that holds byte `keep` - 1 (and behind a first one that is partly
 * sent). Returns the bytes dropped. */
size_t output_drop(Output *o, size_t keep);
