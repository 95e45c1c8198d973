/* A run of consecutive numbers with their packed envelopes, on the way from the outbox to the topic. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "store/numbers.h"
#include "store/outbox_read.h"

enum { RELAY_BATCH = 1000 };

typedef struct RelayBatch {
    int64_t first; /* number of the first event */
    size_t count, done;
    Span packed[RELAY_BATCH]; /* with numbers */
    Arena *arena;
    Buf bytes; /* the envelopes one behind the other */
} RelayBatch;

RelayBatch *relay_batch_new(void);
RelayBatch *relay_batch_free(RelayBatch *batch);
void relay_batch_clear(RelayBatch *batch);

/* Fills it with these rows under the numbers from `first` on. */
bool relay_batch_fill(RelayBatch *batch, const OutboxRow *rows, size_t count, int64_t first,
                      int64_t watermark, Err *err);
/* Reads from..to back from the databases (at most RELAY_BATCH), with an EventSkipped where one stands for the
 * event. */
bool relay_batch_load(RelayBatch *batch, Db *numbers, Db *outbox, int64_t from, int64_t to, int64_t watermark,
                      Err *err);
/* Puts an EventSkipped in the place of one event. It keeps tenant, subject and version, and always has the
 * same id. */
bool relay_batch_skip(RelayBatch *batch, size_t index, int64_t watermark, Err *err);
static inline int64_t relay_batch_next(const RelayBatch *batch) {
    return batch->first + (int64_t)batch->done;
}
