/* Scope frees: `AUTO(Batch) batch = NULL;` is freed by every return below it. A destructor takes the pointer, accepts
 * NULL and half-built objects, and returns NULL, so that `x = thing_free(x)` never leaves a stale pointer. */
#pragma once
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define AUTO(T) __attribute__((cleanup(auto_##T))) T *
#define AUTO_FREE(T, fn)                                                                                               \
    static inline void auto_##T(T **at) { *at = fn(*at); }

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Heap text and bytes: `AUTO_TEXT text = NULL;` */
static inline void auto_text_free(char **at) { free(*at); }
#define AUTO_TEXT __attribute__((cleanup(auto_text_free))) char *

/* File descriptors: `AUTO_FD int fd = -1;` */
static inline void auto_fd_close(int *fd) {
    if (*fd >= 0) close(*fd);
}
#define AUTO_FD __attribute__((cleanup(auto_fd_close)))

/* Where memory is as good as never refused (small fixed objects at start) a failure ends the process at once. */
static inline void *must(void *memory) {
    if (!memory) abort();
    return memory;
}

#define CONTAINER(pointer, T, member) ((T *)((char *)(pointer)-offsetof(T, member)))
