/* The reading side of the outbox (write.db), for the relay: a connection of its own, never writing. */
#pragma once
#include "base/arena.h"
#include "db/db.h"

typedef struct OutboxRow {
    int64_t outbox_id;
    Span body; /* packed Envelope without numbers, in memory of the arena */
} OutboxRow;

/* The highest id ever given to a row, whether it is still there or not; 0 where none was. Files only. */
bool outbox_last_id(Db *db, int64_t *ret, Err *err);
/* The lowest id that is there; 0 where none is. */
bool outbox_first_id(Db *db, int64_t *ret, Err *err);
/* Rows with after < outbox_id <= upto, ascending, at most `most`. Rows and bodies live in the arena.
 * On an engine with a single writer (SQLite) rows appear in the order of their ids, so that reading on from
 * the last one numbered finds them all. */
bool outbox_read(Db *db, int64_t after, int64_t upto, size_t most, Arena *arena, OutboxRow **rows,
                 size_t *count, Err *err);
