/* Counts the calls of malloc, calloc and realloc of the whole process, libraries included. */
#pragma once
#include <stdatomic.h>
#include <stddef.h>

size_t heap_count(void);
void heap_count_at(atomic_size_t *at); /* counts there from now on; before there are threads */
