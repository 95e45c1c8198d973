/* The memory of command ids in tables: what is settled and old leaves command_queue. Inside queue/ only, by the thread
 * that writes there.
 *
 * A command's outcome must be found from its 202 on: its row may go only when the read model has long had its outcome.
 * One that waited longer than commands are remembered is old at once when it is settled, so a round takes only what
 * the round before it has seen settled. */
#pragma once
#include "queue/queue_place.h"

typedef struct QueueMemory {
    QueuePlace place;
    int64_t settled; /* all up to here were, when the last round ended; 0: there was none yet */
    int64_t passed;  /* of this round */
} QueueMemory;

/* One piece, one short transaction. *more: the round is not at its end. */
bool queue_memory_clean(QueueMemory *memory, Db *queue, int64_t before_us, bool *more, Err *err);
