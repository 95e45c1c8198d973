/* ring.c - numbers are dense, so "may this one go?" is arithmetic: an event is released when all lower
 * numbers are held (domain/prefix.h does the counting). Design section "Sent" would allow more: an event
 * whose subject's previous version has passed may go before a hole of another subject is filled. That
 * shortens the wait behind a lost event from about a second to nothing, for the price of positions that are
 * no prefix; it comes with the issue that needs it.
 *
 * slots[] holds by number both the released events (the ring, up to `released`) and the early ones above it.
 * An early event beyond the array or its bytes is dropped: it is then a hole, and the log has it. */
#include "gateway/stream/ring.h"

#include "domain/prefix.h"
#include <stdlib.h>

struct Ring {
    RingLimits limits;
    Prefix *prefix;
    int64_t low; /* low .. released are here */
    int64_t released;
    size_t released_bytes, early_bytes;
    size_t size;
    Event *slots[];
};

Ring *ring_new(const RingLimits *limits, int64_t head) {
    size_t size = limits->events + limits->early_events;
    Ring *ring = must(calloc(1, sizeof *ring + size * sizeof *ring->slots));
    ring->limits = *limits;
    ring->size = size;
    ring->prefix = prefix_new(head);
    ring->released = head;
    ring->low = head + 1;
    return ring;
}

Ring *ring_free(Ring *ring) {
    if (!ring) return NULL;
    for (size_t i = 0; i < ring->size; i++) event_unref(ring->slots[i]);
    prefix_free(ring->prefix);
    free(ring);
    return NULL;
}

static size_t place(const Ring *ring, int64_t number) {
    return (uint64_t)number & (ring->size - 1);
}

static void drop_oldest(Ring *ring) {
    Event **oldest = &ring->slots[place(ring, ring->low++)];
    ring->released_bytes -= event_size(*oldest);
    *oldest = event_unref(*oldest);
}

/* Moves `released` up to the prefix; everything between is in the slots. */
static bool release(Ring *ring) {
    int64_t before = ring->released, held = prefix_held(ring->prefix);
    for (; ring->released < held; ring->released++) {
        size_t size = event_size(ring->slots[place(ring, ring->released + 1)]);
        ring->early_bytes -= size;
        ring->released_bytes += size;
    }
    while (ring->released - ring->low + 1 > (int64_t)ring->limits.events ||
           (ring->released_bytes > ring->limits.bytes && ring->low < ring->released))
        drop_oldest(ring);
    return ring->released > before;
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
    return release(ring) ? RING_RELEASED : RING_EARLY;
}

void ring_known_last(Ring *ring, int64_t last, int64_t now_us) {
    prefix_known_last(ring->prefix, last, now_us);
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
