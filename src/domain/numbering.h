/* What the relay knows about the numbers it has given, and when to say so again.
 *
 * Pure, like prefix.h: no I/O, no clock. The relay announces its last number until the projection has
 * acknowledged it, so that the loss of the newest events is noticed though nothing follows them. It also
 * judges what the projection says it holds: another epoch, or more than was ever given, means that one of the
 * two databases was restored or replaced, and then nothing may be published before an operator has decided.
 * One thread. */
#pragma once
#include "base/span.h"

typedef enum NumberingState {
    NUMBERING_UNSURE, /* the projection has not answered since the start */
    NUMBERING_AGREED,
    NUMBERING_MISMATCH, /* publish nothing; another answer of the projection can still heal it */
} NumberingState;

enum {
    NUMBERING_RING_US = 1000000, /* until the first repetition; doubles */
    NUMBERING_RING_MAX_US = 30000000,
    NUMBERING_SURE_US = 3000000, /* how long a start waits for the projection's answer before it publishes */
    NUMBERING_EPOCH = 64,
};
#define NUMBERING_NEVER INT64_MAX
/* How a program names its epoch in a ring while it does not know it. */
#define NUMBERING_NO_EPOCH "-"

typedef struct Numbering {
    char epoch[NUMBERING_EPOCH];
    NumberingState state;
    int64_t last, held; /* highest number given; highest number acknowledged, -1: unknown */
    int64_t sure_us;    /* from then on UNSURE may publish */
    int64_t ring_us, delay_us;
} Numbering;

/* Of the stored values, at start: rings at once. epoch shorter than NUMBERING_EPOCH. */
Numbering numbering_start(Span epoch, int64_t last, int64_t now_us);
/* Numbers up to `last` exist from now on: rings at once. */
void numbering_given(Numbering *n, int64_t last, int64_t now_us);
/* The projection has said "held EPOCH M". True where the state has changed. */
bool numbering_held(Numbering *n, Span epoch, int64_t held, int64_t now_us);
bool numbering_may_publish(const Numbering *n, int64_t now_us);

/* True where "last EPOCH N" must be rung now; then the next ring is put off. */
bool numbering_due_ring(Numbering *n, int64_t now_us);
int64_t numbering_next_ring_us(const Numbering *n); /* NUMBERING_NEVER once all is acknowledged */
