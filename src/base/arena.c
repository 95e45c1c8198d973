#include "base/arena.h"

#include <protobuf-c/protobuf-c.h>
#include <stdarg.h>
#include <stdio.h>

enum { FIRST_BLOCK = 4 << 10, DEFAULT_LIMIT = 16 << 20, ALIGN = 16 };

typedef struct Block {
    struct Block *next; /* older */
    size_t size, used;
    _Alignas(ALIGN) char bytes[];
} Block;

struct Arena {
    Block *newest;
    void *room; /* of arena_within(): holds the arena itself and the oldest block */
    size_t total, limit;
    bool refused;
    ProtobufCAllocator protobuf;
};

static void *protobuf_alloc(void *arena, size_t size) { return arena_alloc(arena, size); }
static void protobuf_free(void *arena, void *pointer) { (void)arena, (void)pointer; }

static Arena *init(Arena *a, size_t limit) {
    *a = (Arena){.limit = limit ? limit : DEFAULT_LIMIT};
    a->protobuf = (ProtobufCAllocator){protobuf_alloc, protobuf_free, a};
    return a;
}

Arena *arena_new(size_t limit) { return init(must(malloc(sizeof(Arena))), limit); }

Arena *arena_within(ArenaRoom *room, size_t limit) {
    _Static_assert(sizeof(Arena) % ALIGN == 0, "the block behind the arena is aligned");
    Arena *a = init((Arena *)room->bytes, limit);
    Block *b = (Block *)(room->bytes + sizeof(Arena));
    *b = (Block){.size = sizeof room->bytes - sizeof(Arena) - sizeof(Block)};
    a->newest = b;
    a->room = room;
    return a;
}

static Block *block_new(size_t size, Block *next) {
    Block *b = malloc(sizeof *b + size);
    if (b) *b = (Block){.next = next, .size = size};
    return b;
}

Arena *arena_free(Arena *a) {
    if (!a) return NULL;
    for (Block *b = a->newest, *next; b; b = next) {
        next = b->next;
        if (next || !a->room) free(b);
    }
    if (!a->room) free(a);
    return NULL;
}

static void *refuse(Arena *a) {
    a->refused = true;
    return NULL;
}

bool arena_refused(const Arena *a) { return a->refused; }

void *arena_alloc(Arena *a, size_t size) {
    if (size > a->limit) return refuse(a);
    size_t need = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (a->total + need > a->limit) return refuse(a);
    if (!a->newest || a->newest->size - a->newest->used < need) {
        size_t block = a->newest ? a->newest->size * 2 : FIRST_BLOCK;
        if (block > (1u << 20)) block = 1u << 20;
        if (block < need) block = need;
        Block *b = block_new(block, a->newest);
        if (!b) return refuse(a);
        a->newest = b;
    }
    void *at = a->newest->bytes + a->newest->used;
    a->newest->used += need;
    a->total += need;
    return memset(at, 0, need);
}

char *arena_copy(Arena *a, Span s) {
    char *to = arena_alloc(a, s.len + 1);
    if (to && s.len) memcpy(to, s.at, s.len);
    return to;
}

char *arena_printf(Arena *a, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *to = len < 0 ? NULL : arena_alloc(a, (size_t)len + 1);
    if (to) vsnprintf(to, (size_t)len + 1, format, again);
    va_end(again);
    return to;
}

void arena_reset(Arena *a) {
    while (a->newest && a->newest->next) {
        Block *older = a->newest->next;
        free(a->newest);
        a->newest = older;
    }
    if (a->newest) a->newest->used = 0;
    a->total = 0;
    a->refused = false;
}

ProtobufCAllocator *arena_protobuf(Arena *a) { return &a->protobuf; }
