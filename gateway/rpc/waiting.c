/* waiting.c - two places for a waiter: among those of whose command nothing is known (found by its id, for
 * every event that passes), and, once an event has come, in the short list of those that wait for the
 * projection. */
#include "gateway/rpc/waiting.h"

#include "base/map.h"
#include "wire/envelope.h"
#include <stdlib.h>

enum { PLACES = 1024 };

struct Waiting {
    Waiter *unknown[PLACES];
    Waiter *known;
    int64_t held; /* as far as has been told */
    size_t count;
};

Waiting *waiting_new(void) {
    return must(calloc(1, sizeof(Waiting)));
}

Waiting *waiting_free(Waiting *w) {
    free(w);
    return NULL;
}

static Waiter **place_of(Waiting *w, Span command_id) {
    return &w->unknown[hash_stable(command_id) % PLACES];
}

static void put(Waiter **list, Waiter *waiter) {
    waiter->next = *list;
    waiter->at = list;
    if (waiter->next) waiter->next->at = &waiter->next;
    *list = waiter;
}

static void take(Waiter *waiter) {
    *waiter->at = waiter->next;
    if (waiter->next) waiter->next->at = waiter->at;
    waiter->at = NULL;
}

bool waiting_add(Waiting *w, Waiter *waiter) {
    if (w->count == WAITERS_MAX) return false;
    w->count++;
    put(place_of(w, span_of(waiter->command_id)), waiter);
    return true;
}

void waiting_remove(Waiting *w, Waiter *waiter) {
    if (!waiter->at) return;
    take(waiter);
    w->count--;
}

/* It may cause more events: back to where they are looked for, and then told. */
static void tell(Waiting *w, Waiter *waiter) {
    take(waiter);
    put(place_of(w, span_of(waiter->command_id)), waiter);
    waiter->look(waiter);
}

static void found(Waiting *w, Waiter *waiter, int64_t sequence) {
    waiter->sequence = sequence;
    take(waiter);
    put(&w->known, waiter);
    if (w->held >= sequence) tell(w, waiter);
}

/* Also those that wait for an earlier event of the same command: the last one counts. */
static void look_through(Waiting *w, Waiter *list, Span command_id, int64_t sequence) {
    for (Waiter *waiter = list, *next; waiter; waiter = next) {
        next = waiter->next;
        if (span_is(command_id, waiter->command_id)) found(w, waiter, sequence);
    }
}

void waiting_event(Waiting *w, Event *event) {
    EnvelopePeek e;
    if (!w->count || !envelope_peek(event_envelope(event), &e) || !e.causation_id.len) return;
    look_through(w, w->known, e.causation_id, event_sequence(event));
    look_through(w, *place_of(w, e.causation_id), e.causation_id, event_sequence(event));
}

void waiting_held(Waiting *w, int64_t position) {
    w->held = position;
    for (Waiter *waiter = w->known, *next; waiter; waiter = next) {
        next = waiter->next;
        if (waiter->sequence <= position) tell(w, waiter);
    }
}

static void drain_list(Waiter *list) {
    for (Waiter *waiter = list, *next; waiter; waiter = next) {
        next = waiter->next;
        waiter->drain(waiter);
    }
}

void waiting_drain(Waiting *w) {
    drain_list(w->known);
    for (size_t i = 0; i < PLACES; i++) drain_list(w->unknown[i]);
}
