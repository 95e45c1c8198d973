/* Numbered events in the order of their numbers, whatever the order in which they come: the newest of those
 * that may go (the ring), and the early ones behind a hole. Of these some may go ahead of their turn: a hole
 * holds back only what would overtake an event of its own subject.
 *
 * Pure: no I/O, no clock (the caller says what time it is), no lock. */
#pragma once
#include "gateway/feed/event.h"

typedef struct Ring Ring;

/* events + early_events: a power of two. */
typedef struct RingLimits {
    size_t events, bytes, early_events, early_bytes;
} RingLimits;

typedef enum RingOffer {
    RING_RELEASED, /* it may go, and maybe others that waited for it */
    RING_DUPLICATE,
    RING_AHEAD,   /* a hole is before it, but it may go ahead */
    RING_EARLY,   /* a hole is before it: kept, or (beyond the limits) dropped and known to be missing */
    RING_REFUSED, /* too many holes: it must come again */
} RingOffer;

/* Everything up to `head` has been released already, and is not here. */
Ring *ring_new(const RingLimits *limits, int64_t head);
/* Goes on behind `head`, without what the old one had, which is freed; its places of ring_take_ahead() follow those. */
Ring *ring_after(Ring *old, int64_t head);
Ring *ring_free(Ring *ring);
AUTO_FREE(Ring, ring_free)

RingOffer ring_offer(Ring *ring, Event *event, int64_t now_us); /* takes a reference of its own */
/* All numbers up to `last` exist, and can be had where ring_due_repair() sends the caller. */
void ring_available(Ring *ring, int64_t last, int64_t now_us);
int64_t ring_released(const Ring *ring); /* all up to it may go */

/* As prefix_due_repair() and prefix_next_due_us(). */
bool ring_due_repair(Ring *ring, int64_t now_us, int64_t *from, int64_t *to);
int64_t ring_next_due_us(const Ring *ring);

/* References to released events above `after`, without a hole, at most `most` and about `bytes`; none where
 * `after` is the last one. False where the ring begins above after + 1. */
bool ring_take(const Ring *ring, int64_t after, size_t most, size_t bytes, Event **ret, size_t *count);

/* References to the next events that may go ahead, at most `most`, in the order in which they may. *after:
 * where the caller has come to with them, 0 at first; moved. Each comes again by ring_take() in its turn; where
 * that comes first, not here. */
size_t ring_take_ahead(const Ring *ring, uint64_t *after, size_t most, Event **ret);
