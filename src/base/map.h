/* A hash table from byte strings to pointers (xxHash64 with a random seed per process, linear probing). It copies the
 * keys and owns nothing of the values. */
#pragma once
#include "base/auto.h"
#include "base/span.h"

typedef struct Map Map;
Map *map_new(void);
Map *map_free(Map *m);
AUTO_FREE(Map, map_free)

void *map_get(const Map *m, Span key);             /* NULL where absent */
void *map_put(Map *m, Span key, void *value);      /* returns the value that was there before; value is not NULL */
void *map_remove(Map *m, Span key);                /* returns what was there */
size_t map_count(const Map *m);
/* for (size_t at = 0; map_next(m, &at, &key, &value);) - no changes to the map inside such a loop */
bool map_next(const Map *m, size_t *at, Span *key, void **value);

/* xxHash64 with seed 0: the same in every process and on every machine (lanes, partitions, body hashes). */
uint64_t hash_stable(Span bytes);
