/* Events with their numbers, ascending, on the way from the outbox to the topic. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "store/outbox/lanes.h"
#include "store/outbox/numbers.h"
#include "store/outbox/outbox_read.h"

enum { RELAY_BATCH = 1000 };

typedef struct RelayBatch {
    size_t count;
    int64_t numbers[RELAY_BATCH];
    int lanes[RELAY_BATCH];   /* where lanes keep relays apart */
    bool sent[RELAY_BATCH];   /* the topic has it */
    Span packed[RELAY_BATCH]; /* with numbers */
    Arena *arena;
    Buf bytes; /* the envelopes one behind the other */
} RelayBatch;

RelayBatch *relay_batch_new(void);
RelayBatch *relay_batch_free(RelayBatch *batch);
void relay_batch_clear(RelayBatch *batch);

/* Appends an event, or the EventSkipped that stands for it; relay_batch_place() when all are there. */
bool relay_batch_add(RelayBatch *batch, const LaneRow *row, int64_t watermark, Err *err);
bool relay_batch_place(RelayBatch *batch, Err *err);
/* Puts an EventSkipped in the place of one event. It keeps tenant, subject and version, and always has the
 * same id. */
bool relay_batch_skip(RelayBatch *batch, size_t index, int64_t watermark, Err *err);
/* How many, from the first, the topic has; those behind may be there or not. */
size_t relay_batch_done(const RelayBatch *batch);
