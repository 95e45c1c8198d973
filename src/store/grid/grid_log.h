/* The events that events-grid has accepted and not yet delivered to everybody, a cursor for each
 * subscription, and dead letters. Positions are dense: 1, 2, 3 ... also across restarts.
 *
 * A log belongs to one thread. One writer; readers open their own with grid_log_open_reader(). What changes
 * something runs inside the caller's transaction (grid_log_begin() ... grid_log_commit()), so that many share
 * one. */
#pragma once
#include "db/db.h"

typedef struct GridLog GridLog;
bool grid_log_open(const char *url, GridLog **ret, Err *err); /* brings the tables up to date */
bool grid_log_open_reader(const char *url, GridLog **ret, Err *err);
GridLog *grid_log_free(GridLog *log);
AUTO_FREE(GridLog, grid_log_free)

bool grid_log_begin(GridLog *log, Err *err);
bool grid_log_commit(GridLog *log, Err *err);
void grid_log_rollback(GridLog *log); /* also puts the connection right where it broke */

/* The highest position ever given, kept or deleted. */
bool grid_log_last(GridLog *log, int64_t *ret, Err *err);
bool grid_log_append(GridLog *log, int64_t position, Span body, int64_t now_us, Err *err);
/* The subscription's position; 0 where it is new. */
bool grid_log_cursor(GridLog *log, Span subscription, int64_t *ret, Err *err);
bool grid_log_set_cursor(GridLog *log, Span subscription, int64_t position, Err *err);
/* Deletes what lies at or below the position. */
bool grid_log_delete(GridLog *log, int64_t position, Err *err);
/* The lowest position that is still stored; INT64_MAX where none is. */
bool grid_log_first(GridLog *log, int64_t *ret, Err *err);

typedef struct GridDeadLetter {
    Span subscription, body, reason, last_outcome;
    int64_t position, attempts, dead_at_us;
} GridDeadLetter;
bool grid_log_bury(GridLog *log, const GridDeadLetter *letter, Err *err);
bool grid_log_buried(GridLog *log, int64_t *count, Err *err);

/* Calls each for the events above `after`, in order, until it returns false or `most` have been seen. */
bool grid_log_read(GridLog *log, int64_t after, size_t most,
                   bool (*each)(void *user, int64_t position, Span body), void *user, Err *err);
