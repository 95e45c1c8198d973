#include "base/map.h"

#include "base/uuid.h"
#include <pthread.h>
#include <xxhash.h>

typedef struct Slot {
    char *key; /* NULL: never used; value NULL with a key: removed */
    size_t len;
    uint64_t hash;
    void *value;
} Slot;

struct Map {
    Slot *slots;
    size_t mask, used, live;
};

static uint64_t seed;
static pthread_once_t seeded = PTHREAD_ONCE_INIT;
static void draw_seed(void) { random_bytes(&seed, sizeof seed); }

uint64_t hash_stable(Span bytes) { return XXH64(bytes.at, bytes.len, 0); }

Map *map_new(void) {
    pthread_once(&seeded, draw_seed);
    Map *m = must(calloc(1, sizeof *m));
    m->mask = 15;
    m->slots = must(calloc(m->mask + 1, sizeof *m->slots));
    return m;
}

Map *map_free(Map *m) {
    if (!m) return NULL;
    for (size_t i = 0; i <= m->mask; i++) free(m->slots[i].key);
    free(m->slots);
    free(m);
    return NULL;
}

static Slot *find(const Map *m, Span key, uint64_t hash) {
    for (size_t i = hash & m->mask;; i = (i + 1) & m->mask) {
        Slot *s = &m->slots[i];
        if (!s->key) return s;
        if (s->hash == hash && span_equal((Span){s->key, s->len}, key)) return s;
    }
}

static uint64_t hash_of(Span key) { return XXH64(key.at, key.len, seed); }

void *map_get(const Map *m, Span key) {
    const Slot *s = find(m, key, hash_of(key));
    return s->key ? s->value : NULL;
}

static void rebuild(Map *m) {
    Slot *old = m->slots;
    size_t count = m->mask + 1;
    while (m->live * 4 >= (m->mask + 1)) m->mask = m->mask * 2 + 1;
    m->slots = must(calloc(m->mask + 1, sizeof *m->slots));
    m->used = m->live;
    for (size_t i = 0; i < count; i++) {
        if (old[i].key && old[i].value) *find(m, (Span){old[i].key, old[i].len}, old[i].hash) = old[i];
        else free(old[i].key);
    }
    free(old);
}

void *map_put(Map *m, Span key, void *value) {
    if ((m->used + 1) * 2 > m->mask + 1) rebuild(m);
    uint64_t hash = hash_of(key);
    Slot *s = find(m, key, hash);
    if (!s->key) {
        s->key = must(malloc(key.len + 1));
        if (key.len) memcpy(s->key, key.at, key.len);
        s->key[key.len] = 0;
        s->len = key.len;
        s->hash = hash;
        m->used++;
    }
    void *before = s->value;
    if (!before) m->live++;
    s->value = value;
    return before;
}

void *map_remove(Map *m, Span key) {
    Slot *s = find(m, key, hash_of(key));
    if (!s->key || !s->value) return NULL;
    void *before = s->value;
    s->value = NULL;
    m->live--;
    return before;
}

size_t map_count(const Map *m) { return m->live; }

bool map_next(const Map *m, size_t *at, Span *key, void **value) {
    for (; *at <= m->mask; (*at)++) {
        const Slot *s = &m->slots[*at];
        if (!s->key || !s->value) continue;
        if (key) *key = (Span){s->key, s->len};
        if (value) *value = s->value;
        (*at)++;
        return true;
    }
    return false;
}
