/* Turns claimed commands into entities and events: one batch, one transaction.
 *
 * Each command stands alone: one that fails by itself is undone and reported, the others commit. One thread
 * per Handlers. */
#pragma once
#include "db/db.h"
#include "queue/queue.h"

typedef struct Handlers Handlers;

typedef enum HandledAs {
    HANDLED_DONE,     /* committed now or before: complete it */
    HANDLED_FAILED,   /* this try failed by itself; why tells */
    HANDLED_HOPELESS, /* no try can succeed: dead letter; reason tells */
    HANDLED_BEHIND,   /* not tried: an earlier one of its key has failed, or the database in the middle */
} HandledAs;

typedef struct Handled {
    HandledAs as;
    size_t events;      /* outbox rows that were written */
    const char *reason; /* static text */
    Err why;
} Handled;

/* Borrows db (write.db, migrated), which must live longer and is used by nobody else. */
Handlers *handlers_new(Db *db);
Handlers *handlers_free(Handlers *h);
AUTO_FREE(Handlers, handlers_free)

/* Fills results[0..count). False: the database failed, nothing of the batch is committed as far as is known,
 * and no message of it has been tried. */
bool handlers_run(Handlers *h, const QueueMessage *messages, size_t count, Handled *results, Err *err);
