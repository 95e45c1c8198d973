/* Memory for one piece of work: many small allocations, one release. Not for use by two threads at once.
 * The total is bounded, so that a hostile message fails cleanly instead of filling the machine. */
#pragma once
#include "base/auto.h"
#include "base/span.h"

typedef struct Arena Arena;
typedef struct ProtobufCAllocator ProtobufCAllocator;

/* limit: bytes that may be handed out before a rewind; 0 for 16 MiB. */
Arena *arena_new(size_t limit);
/* The same with its first memory in `room`, which must outlive it: small work then takes nothing of the heap. */
typedef struct ArenaRoom {
    _Alignas(16) char bytes[4 << 10];
} ArenaRoom;
Arena *arena_within(ArenaRoom *room, size_t limit);
Arena *arena_free(Arena *a);
AUTO_FREE(Arena, arena_free)

/* 16-byte aligned and zeroed; NULL past the limit. */
void *arena_alloc(Arena *a, size_t size);
char *arena_copy(Arena *a, Span s); /* with a NUL behind; NULL past the limit */
char *arena_printf(Arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Has an allocation been refused since the last reset? Tells "out of memory" from "malformed" at the end. */
bool arena_refused(const Arena *a);
/* Gives back everything, keeping the first block for the next piece of work. */
void arena_reset(Arena *a);
/* For protobuf-c's unpack; messages unpacked with it are never freed one by one. Lives as long as the arena. */
ProtobufCAllocator *arena_protobuf(Arena *a);
