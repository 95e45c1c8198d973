/* attempts.c - two tables of fixed size. A pair (or address) that has no place of its own pushes out the one
 * of its set that has been quiet longest: the memory is bounded, and who is pushed out had most of his
 * attempts back anyway. */
#include "gateway/auth/attempts.h"

#include "base/buf.h"
#include "base/map.h"
#include "base/uuid.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>

enum { SETS = 1024, WAYS = 8 };

typedef struct Meter {
    uint64_t who;        /* 0: free */
    int64_t empty_at_us; /* attempts move it into the future, time catches up */
} Meter;

typedef struct Meters {
    int64_t burst, refill_us;
    Meter at[SETS][WAYS];
} Meters;

struct Attempts {
    pthread_mutex_t lock;
    uint64_t salt; /* so that nobody can aim at another's place */
    Meters pairs, addresses;
};

Attempts *attempts_new(void) {
    Attempts *a = must(calloc(1, sizeof *a));
    pthread_mutex_init(&a->lock, NULL);
    random_bytes(&a->salt, sizeof a->salt);
    a->pairs.burst = ATTEMPTS_BURST, a->pairs.refill_us = ATTEMPTS_REFILL_US;
    a->addresses.burst = ATTEMPTS_HERE_BURST, a->addresses.refill_us = ATTEMPTS_HERE_REFILL_US;
    return a;
}

Attempts *attempts_free(Attempts *a) {
    if (!a) return NULL;
    pthread_mutex_destroy(&a->lock);
    free(a);
    return NULL;
}

/* One customer has a whole /64 of IPv6 addresses: all of them count as one. */
static Span network_of(Span address, struct in6_addr *v6) {
    char text[INET6_ADDRSTRLEN];
    if (!span_copy(address, text, sizeof text) || inet_pton(AF_INET6, text, v6) != 1) return address;
    return IN6_IS_ADDR_V4MAPPED(v6) ? address : span_bytes(v6, sizeof *v6 / 2);
}

static uint64_t hash_of(const Attempts *a, Span name, Span address) {
    AUTO_BUF both = {.limit = 4096};
    struct in6_addr v6;
    buf_append(&both, &a->salt, sizeof a->salt);
    buf_append(&both, &name.len, sizeof name.len);
    buf_span(&both, name);
    buf_span(&both, network_of(address, &v6));
    uint64_t hash = hash_stable(buf_view(&both));
    return hash ? hash : 1;
}

static Meter *find(Meters *meters, uint64_t who) {
    Meter *set = meters->at[who % SETS], *oldest = set;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].who == who) return &set[i];
        if (set[i].empty_at_us < oldest->empty_at_us) oldest = &set[i];
    }
    *oldest = (Meter){.who = who};
    return oldest;
}

/* Where the meter would stand after one more attempt. */
static int64_t next_level(const Meters *meters, const Meter *m, int64_t now_us) {
    return (m->empty_at_us > now_us ? m->empty_at_us : now_us) + meters->refill_us;
}

/* For how long it has no room for one more; not above 0: it has. */
static int64_t wait_us(const Meters *meters, const Meter *m, int64_t now_us) {
    return next_level(meters, m, now_us) - (now_us + meters->burst * meters->refill_us);
}

bool attempts_take(Attempts *a, Span name, Span address, int64_t now_us, int64_t *retry_after_s) {
    uint64_t who = hash_of(a, name, address), where = hash_of(a, SPAN_NONE, address);
    pthread_mutex_lock(&a->lock);
    Meter *pair = find(&a->pairs, who), *here = find(&a->addresses, where);
    int64_t over = wait_us(&a->pairs, pair, now_us), over_here = wait_us(&a->addresses, here, now_us);
    if (over_here > over) over = over_here;
    if (over <= 0) {
        pair->empty_at_us = next_level(&a->pairs, pair, now_us);
        here->empty_at_us = next_level(&a->addresses, here, now_us);
    }
    pthread_mutex_unlock(&a->lock);
    *retry_after_s = over > 0 ? (over + 999999) / 1000000 : 0;
    return over <= 0;
}

void attempts_forgive(Attempts *a, Span name, Span address) {
    uint64_t who = hash_of(a, name, address), where = hash_of(a, SPAN_NONE, address);
    pthread_mutex_lock(&a->lock);
    find(&a->pairs, who)->empty_at_us = 0;
    find(&a->addresses, where)->empty_at_us -= ATTEMPTS_HERE_REFILL_US;
    pthread_mutex_unlock(&a->lock);
}
