/* The numbers of events, given to outbox rows: dense, in the order of the rows, each once and for ever.
 *
 * relay.db is written by one relay alone; on a server numbers are given by store/outbox/lanes.h. All by the thread
 * that owns the connection. */
#pragma once
#include "base/uuid.h"
#include "db/db.h"

typedef struct NumbersState {
    char epoch[UUID_TEXT];  /* of this numbering; made with it */
    int64_t last;           /* highest number given */
    int64_t last_outbox_id; /* the row that has it */
    int64_t published;      /* all up to it have been published; stored lazily */
} NumbersState;

/* The stored state; makes the epoch where there is none yet. */
bool numbers_load(Db *db, NumbersState *ret, Err *err);
/* The same without making one: ERR_NOT_FOUND where no relay has been here yet. */
bool numbers_stored(Db *db, NumbersState *ret, Err *err);
/* The same inside a transaction, which then is the only one that numbers: until it ends. */
bool numbers_lock(Db *db, NumbersState *ret, Err *err);
/* Gives the next numbers to these rows (ascending, above last_outbox_id), in one durable transaction, and
 * stores the whole state with it. On failure nothing has changed. */
bool numbers_give(Db *db, NumbersState *state, const int64_t *outbox_ids, size_t count, Err *err);
/* Stores all but the epoch. */
bool numbers_mark(Db *db, const NumbersState *state, Err *err);

typedef struct NumberedRow {
    int64_t sequence, outbox_id;
    bool skipped; /* an EventSkipped stands for it */
} NumberedRow;
/* The rows with the numbers from..to, ascending, at most `most`; *count of them. */
bool numbers_read(Db *db, int64_t from, int64_t to, NumberedRow *rows, size_t most, size_t *count, Err *err);
/* This event can't be published; from now on an EventSkipped has its number, and the event itself (packed,
 * with its number) is a dead letter (store/outbox/outbox_admin.h). */
bool numbers_skip(Db *db, int64_t sequence, const char *reason, Span packed, int64_t now_us, Err *err);
