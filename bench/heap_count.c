/* An executable's malloc is found before the C library's own by every shared library, so these three stand in
 * front of it (glibc keeps the real ones under other names). Not for builds with a sanitizer, which does the
 * same. */
#include "bench/heap_count.h"

#include <stdlib.h>

#define EXPORTED __attribute__((visibility("default")))
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

static atomic_size_t own, *calls = &own;

static void counted(void) {
    atomic_fetch_add_explicit(calls, 1, memory_order_relaxed);
}

size_t heap_count(void) {
    return atomic_load_explicit(calls, memory_order_relaxed);
}

void heap_count_at(atomic_size_t *at) {
    calls = at;
}

EXPORTED void *malloc(size_t size) {
    counted();
    return __libc_malloc(size);
}
EXPORTED void *calloc(size_t count, size_t size) {
    counted();
    return __libc_calloc(count, size);
}
EXPORTED void *realloc(void *old, size_t size) {
    counted();
    return __libc_realloc(old, size);
}
