/* The write model as the transaction of one batch of commands sees it. What the batch needs is read by a few
 * statements, decided on in memory, and written by a few: a round trip for each command would be most of its
 * cost on a server. One thread. */
#pragma once
#include "store/outbox/outbox.h"
#include "store/write/command_done.h"
#include "store/write/prospects.h"

typedef struct WriteModel {
    Prospects *prospects;
    CommandsDone *done;
    Outbox *outbox;
} WriteModel;

WriteModel *write_model_new(Db *db); /* borrowed */
WriteModel *write_model_free(WriteModel *model);
AUTO_FREE(WriteModel, write_model_free)

/* All inside a transaction of the caller's: begin, say what is wanted, read, change, write. */
void write_model_begin(WriteModel *model, Arena *arena, size_t commands);
bool write_model_read(WriteModel *model, Err *err);
bool write_model_write(WriteModel *model, Err *err);
