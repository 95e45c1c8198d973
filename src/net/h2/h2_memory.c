/* h2_memory.c - lists of pieces by size. nghttp2 makes a dozen of them for every request and gives all of
 * them back with the stream; it does not say how large a piece is that it gives back, so that stands before
 * it. */
#include "net/h2/h2_memory.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SPARE_MAX = 1 << 20 }; /* bytes that wait to be used again */

typedef struct H2Piece {
    union {
        struct H2Piece *next; /* while it is spare */
        size_t size;          /* while it is used: of `bytes` */
    };
    _Alignas(16) char bytes[];
} H2Piece;

static H2Piece *piece_of(void *bytes) {
    return (H2Piece *)((char *)bytes - offsetof(H2Piece, bytes));
}

/* The list for pieces of this size; H2_MEMORY_SIZES: none. */
static size_t list_for(size_t size) {
    if (size > (size_t)H2_MEMORY_STEP * H2_MEMORY_SIZES) return H2_MEMORY_SIZES;
    return size ? (size - 1) / H2_MEMORY_STEP : 0;
}

static void *take(size_t size, void *user) {
    H2Memory *m = user;
    size_t list = list_for(size), room = list < H2_MEMORY_SIZES ? (list + 1) * H2_MEMORY_STEP : size;
    H2Piece *piece = list < H2_MEMORY_SIZES ? m->spare[list] : NULL;
    if (piece) {
        m->spare[list] = piece->next;
        m->spare_bytes -= room;
    } else if (room > SIZE_MAX - sizeof *piece || !(piece = malloc(sizeof *piece + room))) {
        return NULL;
    }
    piece->size = room;
    return piece->bytes;
}

static void give_back(void *bytes, void *user) {
    H2Memory *m = user;
    if (!bytes) return;
    H2Piece *piece = piece_of(bytes);
    size_t list = list_for(piece->size);
    if (list == H2_MEMORY_SIZES || m->spare_bytes + piece->size > SPARE_MAX) {
        free(piece);
        return;
    }
    m->spare_bytes += piece->size;
    piece->next = m->spare[list];
    m->spare[list] = piece;
}

static void *take_zeroed(size_t count, size_t size, void *user) {
    size_t all;
    void *bytes = __builtin_mul_overflow(count, size, &all) ? NULL : take(all, user);
    if (bytes) memset(bytes, 0, all);
    return bytes;
}

static void *resize(void *bytes, size_t size, void *user) {
    if (!bytes) return take(size, user);
    size_t had = piece_of(bytes)->size;
    if (size <= had) return bytes;
    void *larger = take(size, user);
    if (!larger) return NULL;
    memcpy(larger, bytes, had);
    give_back(bytes, user);
    return larger;
}

nghttp2_mem h2_memory_for(H2Memory *memory) {
    return (nghttp2_mem){
        .mem_user_data = memory, .malloc = take, .free = give_back, .calloc = take_zeroed, .realloc = resize};
}

void h2_memory_clear(H2Memory *m) {
    for (size_t i = 0; i < H2_MEMORY_SIZES; i++)
        while (m->spare[i]) {
            H2Piece *piece = m->spare[i];
            m->spare[i] = piece->next;
            free(piece);
        }
    m->spare_bytes = 0;
}
