/* ring.c - numbers are dense, so "may this one go?" is arithmetic: an event is released when all lower
 * numbers are held (domain/prefix.h does the counting).
 *
 * An early one goes ahead where all that its subject had before has gone: it is the subject's first or only
 * event, or its previous version is known to have gone. `passed` remembers by the subject's hash what has gone
 * last of it; it has as many places as the ring, a newer subject takes an older one's, and of a subject that
 * is not there any more nothing is known, so that its events wait for their turn. Those held back for it are
 * found by subject and version, so that what goes costs the same however many wait.
 *
 * slots[] holds by number both the released events (the ring, up to `released`) and the early ones above it.
 * An early event beyond the array or its bytes is dropped: it is then a hole, and the log has it. */
#include "gateway/feed/ring.h"

#include "domain/prefix.h"
#include <stdlib.h>

typedef struct Passed {
    uint64_t subject; /* its hash */
    int64_t version;
} Passed;

typedef struct Ahead {
    Event *event;
    uint64_t place; /* among all that ever went ahead, from 1 */
} Ahead;

struct Ring {
    RingLimits limits;
    Prefix *prefix;
    int64_t low; /* low .. released are here */
    int64_t released;
    size_t released_bytes, early_bytes;
    Passed *passed;
    uint32_t *held, *held_next; /* held back: chains by subject and version, of places in slots + 1 */
    size_t held_count;
    Ahead *ahead; /* by place; some of them, never more than half, are released since */
    size_t ahead_count, ahead_over;
    uint64_t ahead_last;
    size_t size;
    Event *slots[];
};

Ring *ring_new(const RingLimits *limits, int64_t head) {
    size_t size = limits->events + limits->early_events;
    Ring *ring = must(calloc(1, sizeof *ring + size * sizeof *ring->slots));
    ring->limits = *limits;
    ring->size = size;
    ring->passed = must(calloc(size, sizeof *ring->passed));
    ring->held = must(calloc(size, sizeof *ring->held));
    ring->held_next = must(calloc(size, sizeof *ring->held_next));
    ring->ahead = must(calloc(2 * limits->early_events, sizeof *ring->ahead));
    ring->prefix = prefix_new(head);
    ring->released = head;
    ring->low = head + 1;
    return ring;
}

Ring *ring_after(Ring *old, int64_t head) {
    Ring *ring = ring_new(&old->limits, head);
    ring->ahead_last = old->ahead_last;
    ring_free(old);
    return ring;
}

Ring *ring_free(Ring *ring) {
    if (!ring) return NULL;
    for (size_t i = 0; i < ring->size; i++) event_unref(ring->slots[i]);
    for (size_t i = 0; i < ring->ahead_count; i++) event_unref(ring->ahead[i].event);
    prefix_free(ring->prefix);
    free(ring->passed);
    free(ring->held);
    free(ring->held_next);
    free(ring->ahead);
    free(ring);
    return NULL;
}

static size_t place(const Ring *ring, int64_t number) {
    return (uint64_t)number & (ring->size - 1);
}

/* --- of each subject, what has gone --- */

static Passed *passed_of(const Ring *ring, const Event *event) {
    return &ring->passed[event_subject_hash(event) & (ring->size - 1)];
}

static void note_passed(Ring *ring, const Event *event) {
    Passed *p = passed_of(ring, event);
    int64_t version = event_version(event);
    if (version && (p->subject != event_subject_hash(event) || p->version < version))
        *p = (Passed){event_subject_hash(event), version};
}

static bool follows_what_passed(const Ring *ring, const Event *event) {
    const Passed *p = passed_of(ring, event);
    int64_t version = event_version(event);
    return version <= 1 || (p->subject == event_subject_hash(event) && p->version >= version - 1);
}

/* --- held back --- */

static uint32_t *chain_of(const Ring *ring, uint64_t subject, int64_t version) {
    uint64_t mixed = (subject + (uint64_t)version) * UINT64_C(0x9E3779B97F4A7C15);
    return &ring->held[mixed >> 32 & (ring->size - 1)];
}

static void hold_back(Ring *ring, const Event *event) {
    uint32_t *first = chain_of(ring, event_subject_hash(event), event_version(event));
    size_t slot = place(ring, event_sequence(event));
    ring->held_next[slot] = *first;
    *first = (uint32_t)slot + 1;
    ring->held_count++;
}

/* False where it was not. */
static bool hold_no_more(Ring *ring, const Event *event) {
    uint32_t slot = (uint32_t)place(ring, event_sequence(event)) + 1;
    uint32_t *at = chain_of(ring, event_subject_hash(event), event_version(event));
    while (*at && *at != slot) at = &ring->held_next[*at - 1];
    if (!*at) return false;
    *at = ring->held_next[slot - 1];
    ring->held_count--;
    return true;
}

static Event *held_back(const Ring *ring, uint64_t subject, int64_t version) {
    for (uint32_t at = *chain_of(ring, subject, version); at; at = ring->held_next[at - 1]) {
        Event *event = ring->slots[at - 1];
        if (event_subject_hash(event) == subject && event_version(event) == version) return event;
    }
    return NULL;
}

/* --- ahead of their turn --- */

static bool goes_ahead(Ring *ring, Event *event) {
    if (ring->ahead_count == 2 * ring->limits.early_events || !follows_what_passed(ring, event)) return false;
    ring->ahead[ring->ahead_count++] = (Ahead){event_ref(event), ++ring->ahead_last};
    note_passed(ring, event);
    return true;
}

/* What was held back for one that has gone, and for that one, ... */
static void let_follow(Ring *ring, const Event *gone) {
    for (int64_t version = event_version(gone) + 1; ring->held_count; version++) {
        Event *event = held_back(ring, event_subject_hash(gone), version);
        if (!event || !goes_ahead(ring, event)) return;
        hold_no_more(ring, event);
    }
}

/* The turn of some has come. All are looked at only when that is half of them. */
static void forget_ahead(Ring *ring) {
    size_t left = 0;
    if (2 * ring->ahead_over < ring->ahead_count) return;
    for (size_t i = 0; i < ring->ahead_count; i++) {
        Ahead a = ring->ahead[i];
        if (event_sequence(a.event) <= ring->released)
            event_unref(a.event);
        else
            ring->ahead[left++] = a;
    }
    ring->ahead_count = left;
    ring->ahead_over = 0;
}

/* Index of the first one behind the place. */
static size_t find_ahead(const Ring *ring, uint64_t behind) {
    size_t low = 0, high = ring->ahead_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ring->ahead[middle].place <= behind)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t ring_take_ahead(const Ring *ring, uint64_t *after, size_t most, Event **ret) {
    size_t count = 0;
    for (size_t i = find_ahead(ring, *after); i < ring->ahead_count && count < most; i++) {
        *after = ring->ahead[i].place;
        if (event_sequence(ring->ahead[i].event) > ring->released)
            ret[count++] = event_ref(ring->ahead[i].event);
    }
    return count;
}

/* --- in their turn --- */

static void drop_oldest(Ring *ring) {
    Event **oldest = &ring->slots[place(ring, ring->low++)];
    ring->released_bytes -= event_size(*oldest);
    *oldest = event_unref(*oldest);
}

static Event *in_slot(const Ring *ring, int64_t number) {
    return ring->slots[place(ring, number)];
}

/* Moves `released` up to the prefix; everything between is in the slots: first the one that has just come, then
 * early ones, each of which was either held back or went ahead. */
static bool release(Ring *ring) {
    int64_t before = ring->released, held = prefix_held(ring->prefix);
    for (; ring->released < held; ring->released++) {
        const Event *event = in_slot(ring, ring->released + 1);
        ring->early_bytes -= event_size(event);
        ring->released_bytes += event_size(event);
        note_passed(ring, event);
        if (ring->released > before && !hold_no_more(ring, event)) ring->ahead_over++;
    }
    if (ring->released == before) return false;
    forget_ahead(ring);
    for (int64_t n = before + 1; n <= held && ring->held_count; n++) let_follow(ring, in_slot(ring, n));
    while (ring->released - ring->low + 1 > (int64_t)ring->limits.events ||
           (ring->released_bytes > ring->limits.bytes && ring->low < ring->released))
        drop_oldest(ring);
    return true;
}

RingOffer ring_offer(Ring *ring, Event *event, int64_t now_us) {
    int64_t number = event_sequence(event), ahead = number - ring->released;
    if (ahead <= 0) return RING_DUPLICATE;
    if (ahead > 1 && (ahead > (int64_t)ring->limits.early_events ||
                      ring->early_bytes + event_size(event) > ring->limits.early_bytes)) {
        prefix_known_last(ring->prefix, number, now_us);
        return RING_EARLY;
    }
    PrefixOffer offer = prefix_offer(ring->prefix, number, now_us);
    if (offer == PREFIX_DUPLICATE) return RING_DUPLICATE;
    if (offer == PREFIX_FULL) return RING_REFUSED;
    ring->slots[place(ring, number)] = event_ref(event);
    ring->early_bytes += event_size(event);
    if (release(ring)) return RING_RELEASED;
    if (!goes_ahead(ring, event)) {
        hold_back(ring, event);
        return RING_EARLY;
    }
    let_follow(ring, event);
    return RING_AHEAD;
}

void ring_available(Ring *ring, int64_t last, int64_t now_us) {
    prefix_known_last(ring->prefix, last, now_us);
    prefix_available(ring->prefix, last, now_us);
}

int64_t ring_released(const Ring *ring) {
    return ring->released;
}

bool ring_due_repair(Ring *ring, int64_t now_us, int64_t *from, int64_t *to) {
    return prefix_due_repair(ring->prefix, now_us, from, to);
}

int64_t ring_next_due_us(const Ring *ring) {
    return prefix_next_due_us(ring->prefix);
}

bool ring_take(const Ring *ring, int64_t after, size_t most, size_t bytes, Event **ret, size_t *count) {
    size_t total = 0;
    *count = 0;
    if (after < ring->low - 1) return false;
    for (int64_t n = after; n < ring->released && *count < most && total < bytes; n++) { /* any number */
        Event *event = event_ref(ring->slots[place(ring, n + 1)]);
        total += event_size(event);
        ret[(*count)++] = event;
    }
    return true;
}
