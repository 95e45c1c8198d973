/* output.c - the queue of what is still to be sent.
 *
 * A turn of the loop produces many small pieces for one connection: response heads, HTTP/2 frames, events
 * shared by thousands of connections. Pieces that exist only here are copied, back to back, into a chunk, so
 * that they cost one entry of the system call's vector; a shared Blob is referenced, whoever else may send
 * it. Chunks are Blobs too, so there is one kind of segment and one way of letting go. */
#include "net/output.h"

enum { CHUNK_FIRST = 2 << 10, CHUNK = 16 << 10 };

void output_init(Output *o) {
    *o = (Output){.size = OUTPUT_FEW};
    o->ring = o->few;
}

static Segment *segment_at(const Output *o, uint32_t index) {
    uint32_t at = o->first + index;
    return &o->ring[at >= o->size ? at - o->size : at];
}

static bool ring_grow(Output *o) {
    uint32_t size = o->size == OUTPUT_FEW ? 16 : o->size * 2;
    Segment *ring = malloc(size * sizeof *ring);
    if (!ring) return false;
    for (uint32_t i = 0; i < o->count; i++) ring[i] = *segment_at(o, i);
    if (o->ring != o->few) free(o->ring);
    o->ring = ring;
    o->size = size;
    o->first = 0;
    return true;
}

/* Takes over the caller's reference. */
static bool segment_push(Output *o, Blob *blob, const char *at, size_t len) {
    if (o->count == o->size && !ring_grow(o)) {
        blob_unref(blob);
        return false;
    }
    o->count++;
    *segment_at(o, o->count - 1) = (Segment){blob, at, len};
    o->bytes += len;
    return true;
}

bool output_share(Output *o, Blob *blob, Span part) {
    return part.len == 0 || segment_push(o, blob_ref(blob), part.at, part.len);
}

static bool chunk_new(Output *o, size_t need) {
    size_t size = o->tail || need > CHUNK_FIRST ? CHUNK : CHUNK_FIRST;
    Blob *chunk = blob_new(need > size ? need : size);
    if (!chunk) return false;
    blob_unref(o->tail);
    o->tail = chunk;
    o->tail_used = 0;
    return true;
}

char *output_room(Output *o, size_t len) {
    if ((!o->tail || o->tail->len - o->tail_used < len) && !chunk_new(o, len)) return NULL;
    char *to = o->tail->bytes + o->tail_used;
    Segment *last = o->count ? segment_at(o, o->count - 1) : NULL;
    if (last && last->blob == o->tail && last->at + last->len == to) {
        last->len += len;
        o->bytes += len;
    } else if (!segment_push(o, blob_ref(o->tail), to, len)) {
        return NULL;
    }
    o->tail_used += (uint32_t)len;
    return to;
}

bool output_copy(Output *o, const void *bytes, size_t len) {
    if (!len) return true;
    char *to = output_room(o, len);
    if (to) memcpy(to, bytes, len);
    return to;
}

size_t output_vector(const Output *o, struct iovec *to, size_t max) {
    size_t count = o->count < max ? o->count : max;
    for (uint32_t i = 0; i < count; i++) {
        const Segment *s = segment_at(o, i);
        to[i] = (struct iovec){(char *)s->at, s->len};
    }
    return count;
}

Span output_run(const Output *o, char *scratch, size_t size) {
    if (!o->count) return SPAN_NONE;
    const Segment *first = segment_at(o, 0);
    if (o->count == 1 || first->len >= size) return (Span){first->at, first->len < size ? first->len : size};
    size_t len = 0;
    for (uint32_t i = 0; i < o->count && len < size; i++) {
        const Segment *s = segment_at(o, i);
        size_t part = s->len < size - len ? s->len : size - len;
        memcpy(scratch + len, s->at, part);
        len += part;
    }
    return (Span){scratch, len};
}

/* An empty queue gives back its heap: most connections of a gateway are idle most of the time. */
static void release(Output *o) {
    o->tail = blob_unref(o->tail);
    if (o->ring != o->few) free(o->ring);
    o->ring = o->few;
    o->size = OUTPUT_FEW;
    o->first = 0;
}

void output_taken(Output *o, size_t len) {
    o->bytes -= len;
    o->sent += len;
    while (len) {
        Segment *s = segment_at(o, 0);
        if (len < s->len) {
            s->at += len;
            s->len -= len;
            return;
        }
        len -= s->len;
        blob_unref(s->blob);
        o->first = o->first + 1 == o->size ? 0 : o->first + 1;
        o->count--;
    }
    if (!o->count) release(o);
}

bool output_move(Output *from, Output *to, size_t len) {
    while (len) {
        const Segment *s = segment_at(from, 0);
        size_t part = s->len < len ? s->len : len;
        if (!output_share(to, s->blob, (Span){s->at, part})) return false;
        output_taken(from, part);
        len -= part;
    }
    return true;
}

void output_take(Output *from, char *to, size_t len) {
    for (size_t part; len; to += part, len -= part) {
        const Segment *s = segment_at(from, 0);
        part = s->len < len ? s->len : len;
        memcpy(to, s->at, part);
        output_taken(from, part);
    }
}

size_t output_drop(Output *o, size_t keep) {
    uint32_t stay = 0;
    size_t kept = 0, before = o->bytes;
    while (stay < o->count && kept < keep) kept += segment_at(o, stay++)->len;
    while (o->count > stay) {
        Segment *s = segment_at(o, --o->count);
        o->bytes -= s->len;
        blob_unref(s->blob);
    }
    if (!o->count) release(o);
    return before - o->bytes;
}

void output_clear(Output *o) {
    output_drop(o, 0);
}
