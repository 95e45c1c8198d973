/* attempts.c - a table of fixed size. A pair that has no place of its own pushes out the one of its set that
 * has been quiet longest: the memory is bounded, and who is pushed out had most of his attempts back anyway.
 */
#include "gateway/attempts.h"

#include "base/buf.h"
#include "base/map.h"
#include "base/uuid.h"
#include <pthread.h>
#include <stdlib.h>

enum { SETS = 1024, WAYS = 8 };

typedef struct Meter {
    uint64_t pair;       /* 0: free */
    int64_t empty_at_us; /* attempts move it into the future, time catches up */
} Meter;

struct Attempts {
    pthread_mutex_t lock;
    uint64_t salt; /* so that nobody can aim at another's place */
    Meter meters[SETS][WAYS];
};

Attempts *attempts_new(void) {
    Attempts *a = must(calloc(1, sizeof *a));
    pthread_mutex_init(&a->lock, NULL);
    random_bytes(&a->salt, sizeof a->salt);
    return a;
}

Attempts *attempts_free(Attempts *a) {
    if (!a) return NULL;
    pthread_mutex_destroy(&a->lock);
    free(a);
    return NULL;
}

static uint64_t hash_pair(const Attempts *a, Span name, Span address) {
    AUTO_BUF both = {.limit = 4096};
    buf_append(&both, &a->salt, sizeof a->salt);
    buf_append(&both, &name.len, sizeof name.len);
    buf_span(&both, name);
    buf_span(&both, address);
    uint64_t hash = hash_stable(buf_view(&both));
    return hash ? hash : 1;
}

static Meter *find(Attempts *a, uint64_t pair) {
    Meter *set = a->meters[pair % SETS], *oldest = set;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].pair == pair) return &set[i];
        if (set[i].empty_at_us < oldest->empty_at_us) oldest = &set[i];
    }
    *oldest = (Meter){.pair = pair};
    return oldest;
}

bool attempts_take(Attempts *a, Span name, Span address, int64_t now_us, int64_t *retry_after_s) {
    uint64_t pair = hash_pair(a, name, address);
    pthread_mutex_lock(&a->lock);
    Meter *m = find(a, pair);
    int64_t level = m->empty_at_us > now_us ? m->empty_at_us : now_us;
    int64_t over = level + ATTEMPTS_REFILL_US - (now_us + (int64_t)ATTEMPTS_BURST * ATTEMPTS_REFILL_US);
    if (over <= 0) m->empty_at_us = level + ATTEMPTS_REFILL_US;
    pthread_mutex_unlock(&a->lock);
    *retry_after_s = over > 0 ? (over + 999999) / 1000000 : 0;
    return over <= 0;
}

void attempts_forgive(Attempts *a, Span name, Span address) {
    uint64_t pair = hash_pair(a, name, address);
    pthread_mutex_lock(&a->lock);
    find(a, pair)->empty_at_us = 0;
    pthread_mutex_unlock(&a->lock);
}
