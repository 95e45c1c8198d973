#include "gateway/stream/ahead.h"

#include "gateway/feed/hub.h"
#include <stdlib.h>

/* The hub holds that many early ones at most, so that no two of them share a bit. */
enum { BITS = 2 * RING_EVENTS };

struct Ahead {
    Event **events;
    size_t count, size;
    uint64_t bits[BITS / 64]; /* by number */
};

Ahead *ahead_new(void) {
    return must(calloc(1, sizeof(Ahead)));
}

Ahead *ahead_free(Ahead *ahead) {
    if (!ahead) return NULL;
    for (size_t i = 0; i < ahead->count; i++) event_unref(ahead->events[i]);
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
    ahead->events[ahead->count++] = event_ref(event);
    set(ahead, event_sequence(event), true);
}

bool ahead_has(const Ahead *ahead, int64_t sequence) {
    return ahead->count && ahead->bits[(uint64_t)sequence % BITS / 64] >> (sequence % 64) & 1;
}

void ahead_forget(Ahead *ahead, int64_t position) {
    size_t left = 0;
    for (size_t i = 0; i < ahead->count; i++) {
        Event *event = ahead->events[i];
        if (event_sequence(event) > position) {
            ahead->events[left++] = event;
            continue;
        }
        set(ahead, event_sequence(event), false);
        event_unref(event);
    }
    ahead->count = left;
}

Event *const *ahead_events(const Ahead *ahead, size_t *count) {
    *count = ahead->count;
    return ahead->events;
}
