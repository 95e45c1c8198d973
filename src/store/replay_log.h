/* The replay log (read.db): every event under its number, without a gap up to the projection's prefix.
 *
 * The projection appends, inside its transaction; readers use connections of their own. */
#pragma once
#include "store/rows.h"

typedef struct ReplayRow {
    int64_t sequence, subject_version, occurred_at; /* occurred_at: only when written */
    Span tenant_id, subject, event_type, issued_by;
    Span body; /* packed Envelope with numbers */
} ReplayRow;

extern const RowShape REPLAY_ROWS;
void replay_log_append(Rows *rows, const ReplayRow *row);

/* Of the projection: epoch "" where not known yet; head: its prefix, up to which the log is complete. */
typedef struct ReplayHead {
    char epoch[64];
    int64_t head;
} ReplayHead;
bool replay_log_head(Db *db, ReplayHead *ret, Err *err);
/* Only the projection: stores both. before: the head that it knows; ERR_CONFLICT where that is another one by now. */
bool replay_log_set_head(Db *db, const ReplayHead *head, int64_t before, Err *err);
/* The lowest number kept; head + 1 where the log is empty. */
bool replay_log_oldest(Db *db, int64_t *ret, Err *err);

typedef struct ReplayVisitor {
    bool (*row)(void *user,
                const ReplayRow *row); /* false ends the reading early; the spans live until the return */
    void *user;
} ReplayVisitor;
/* Rows with after < sequence <= upto, ascending, at most limit. */
bool replay_log_read(Db *db, int64_t after, int64_t upto, int64_t limit, const ReplayVisitor *visitor,
                     Err *err);
/* Runs a prepared statement over the log whose columns are sequence and body. */
bool replay_log_visit(Stmt *s, const ReplayVisitor *visitor, Err *err);
