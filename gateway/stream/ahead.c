#include "gateway/stream/ahead.h"

#include "gateway/feed/hub.h"
#include <stdlib.h>

/* The hub holds that many early ones at most, so that no two of them share a bit. */
enum { BITS = 2 * RING_EVENTS };

typedef struct Gone {
    Event *event;
    uint64_t place;
} Gone;

struct Ahead {
    Gone *events; /* by place */
    size_t count, size;
    uint64_t last;
    uint64_t bits[BITS / 64]; /* by number */
};

Ahead *ahead_new(void) {
    return must(calloc(1, sizeof(Ahead)));
}

Ahead *ahead_free(Ahead *ahead) {
    if (!ahead) return NULL;
    for (size_t i = 0; i < ahead->count; i++) event_unref(ahead->events[i].event);
    free(ahead->events);
    free(ahead);
    return NULL;
}

static void set(Ahead *ahead, int64_t sequence, bool here) {
    uint64_t *word = &ahead->bits[(uint64_t)sequence % BITS / 64], bit = UINT64_C(1) << (sequence % 64);
    *word = here ? *word | bit : *word & ~bit;
}

void ahead_note(Ahead *ahead, Event *event) {
    if (ahead->count == ahead->size) {
        ahead->size = ahead->size ? ahead->size * 2 : 64;
        ahead->events = must(realloc(ahead->events, ahead->size * sizeof *ahead->events));
    }
    ahead->events[ahead->count++] = (Gone){event_ref(event), ++ahead->last};
    set(ahead, event_sequence(event), true);
}

bool ahead_has(const Ahead *ahead, int64_t sequence) {
    return ahead->count && ahead->bits[(uint64_t)sequence % BITS / 64] >> (sequence % 64) & 1;
}

void ahead_forget(Ahead *ahead, int64_t position) {
    size_t left = 0;
    for (size_t i = 0; i < ahead->count; i++) {
        Gone gone = ahead->events[i];
        if (event_sequence(gone.event) > position) {
            ahead->events[left++] = gone;
            continue;
        }
        set(ahead, event_sequence(gone.event), false);
        event_unref(gone.event);
    }
    ahead->count = left;
}

bool ahead_any(const Ahead *ahead) {
    return ahead->count;
}

uint64_t ahead_last(const Ahead *ahead) {
    return ahead->last;
}

/* Index of the first one behind the place. */
static size_t find(const Ahead *ahead, uint64_t place) {
    size_t low = 0, high = ahead->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ahead->events[middle].place <= place)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t ahead_next(const Ahead *ahead, uint64_t *after, size_t most, size_t bytes, Event **ret) {
    size_t count = 0, total = 0;
    for (size_t i = find(ahead, *after); i < ahead->count && count < most && total < bytes; i++) {
        Gone gone = ahead->events[i];
        total += event_size(gone.event);
        ret[count++] = gone.event;
        *after = gone.place;
    }
    return count;
}
