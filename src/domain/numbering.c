#include "domain/numbering.h"

Numbering numbering_start(Span epoch, int64_t last, int64_t now_us) {
    Numbering n = {.last = last,
                   .held = -1,
                   .sure_us = now_us + NUMBERING_SURE_US,
                   .ring_us = now_us,
                   .delay_us = NUMBERING_RING_US};
    span_copy(epoch, n.epoch, sizeof n.epoch);
    return n;
}

void numbering_given(Numbering *n, int64_t last, int64_t now_us) {
    if (last <= n->last) return;
    n->last = last;
    n->ring_us = now_us;
    n->delay_us = NUMBERING_RING_US;
}

static NumberingState judge(const Numbering *n, Span epoch, int64_t held) {
    /* a projection that has no epoch yet takes ours with the next ring; what it holds must still be possible
     */
    bool known = !span_is(epoch, NUMBERING_NO_EPOCH);
    if (known && !span_is(epoch, n->epoch)) return NUMBERING_MISMATCH;
    return held > n->last ? NUMBERING_MISMATCH : NUMBERING_AGREED;
}

static void acknowledge(Numbering *n, bool epoch_known, int64_t held, int64_t now_us) {
    if (epoch_known && held == n->last) {
        n->ring_us = NUMBERING_NEVER;
    } else if (held != n->held || n->ring_us == NUMBERING_NEVER) {
        /* it moves, or has fallen back (its database was restored): the tail is announced again soon */
        n->delay_us = NUMBERING_RING_US;
        n->ring_us = epoch_known && held > n->held ? now_us + NUMBERING_RING_US : now_us;
    }
    n->held = held;
}

bool numbering_held(Numbering *n, Span epoch, int64_t held, int64_t now_us) {
    NumberingState before = n->state;
    n->state = judge(n, epoch, held);
    if (n->state == NUMBERING_AGREED) acknowledge(n, !span_is(epoch, NUMBERING_NO_EPOCH), held, now_us);
    return n->state != before;
}

bool numbering_may_publish(const Numbering *n, int64_t now_us) {
    return n->state == NUMBERING_AGREED || (n->state == NUMBERING_UNSURE && now_us >= n->sure_us);
}

bool numbering_due_ring(Numbering *n, int64_t now_us) {
    if (now_us < n->ring_us) return false;
    n->ring_us = now_us + n->delay_us;
    n->delay_us = n->delay_us * 2 < NUMBERING_RING_MAX_US ? n->delay_us * 2 : NUMBERING_RING_MAX_US;
    return true;
}

int64_t numbering_next_ring_us(const Numbering *n) {
    return n->ring_us;
}
