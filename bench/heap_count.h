/* Counts the calls of malloc, calloc and realloc of the whole process, libraries included. */
#pragma once
#include <stddef.h>

size_t heap_count(void);
