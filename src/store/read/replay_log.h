/* The replay log (read.db): every event under its number, without a gap up to the projection's prefix.
 *
 * The projection appends, inside its transaction; readers use connections of their own. */
#pragma once
#include "store/rows.h"

typedef struct ReplayRow {
    int64_t sequence, subject_version, occurred_at; /* occurred_at: only when written */
    Span tenant_id, subject, event_type, issued_by;
    Span body; /* packed Envelope with numbers; of a row that was read the texts lie in here */
} ReplayRow;

extern const RowShape REPLAY_ROWS;
void replay_log_append(Rows *rows, const ReplayRow *row);

/* Of the projection: epoch "" where not known yet; head: its prefix, up to which the log is complete. */
typedef struct ReplayHead {
    char epoch[64];
    int64_t head;
    int model; /* which of the two read models serves (store/read/read_model.h) */
} ReplayHead;
bool replay_log_head(Db *db, ReplayHead *ret, Err *err);
/* Only the projection: stores epoch and head. before: the head that it knows; ERR_CONFLICT where that, or the
 * model that serves, is another one by now. */
bool replay_log_set_head(Db *db, const ReplayHead *head, int64_t before, Err *err);
/* By eventsctl, while no projection runs: a new numbering goes on above `head`. */
bool replay_log_begin_epoch(Db *db, const ReplayHead *head, Err *err);
/* The lowest number from which on every event is kept; head + 1 where none is. */
bool replay_log_oldest(Db *db, int64_t *ret, Err *err);
/* Only the projection, in its transaction: takes away the events of up to `most` numbers that happened before
 * this instant, in the order of the numbers, but of each subject never its first and its last one, which
 * carry its start and its whole state. *seen: how many numbers have been passed; fewer than `most` where the
 * next one is not old enough. */
bool replay_log_trim(Db *db, int64_t before_us, size_t most, size_t *seen, Err *err);

typedef struct ReplayVisitor {
    bool (*row)(void *user,
                const ReplayRow *row); /* false ends the reading early; the spans live until the return */
    void *user;
} ReplayVisitor;
/* Rows with after < sequence <= upto, ascending, at most limit. */
bool replay_log_read(Db *db, int64_t after, int64_t upto, int64_t limit, const ReplayVisitor *visitor,
                     Err *err);
/* Runs a prepared statement over the log whose column is the body. */
bool replay_log_visit(Stmt *s, const ReplayVisitor *visitor, Err *err);
