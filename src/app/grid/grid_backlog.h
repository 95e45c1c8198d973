/* The events behind a position, for one sender: from the tail, or from the database where they have left it.
 * One thread. */
#pragma once
#include "app/grid/grid_journal.h"
#include "observe/metric.h"

typedef struct GridBacklog GridBacklog;
/* index, name: of the subscription; the name is borrowed. */
GridBacklog *grid_backlog_new(GridJournal *journal, size_t index, const char *name);
GridBacklog *grid_backlog_free(GridBacklog *backlog);
AUTO_FREE(GridBacklog, grid_backlog_free)

/* Some events in the order of their positions, the first of which is position + 1. */
typedef struct GridTake {
    Blob **events;             /* room for `most`; references, given back by grid_take_drop() */
    size_t most, bytes, count; /* about as many bytes, but one event in any case */
    int64_t position;
} GridTake;
/* What lies behind take->position, which rises where that is gone; count is 0 where nothing does. False where
 * the database did not give what it holds. */
bool grid_backlog_take(GridBacklog *backlog, GridTake *take);
void grid_take_drop(GridTake *take);
/* Until the next event behind `position`, or the alarm; what has been passed is saved after a second without
 * one. No timer runs beyond that. */
void grid_backlog_wait(GridBacklog *backlog, int64_t position, const atomic_bool *alarm);

/* What became of a subscription's events. */
typedef struct GridCounts {
    Metric *delivered, *failed, *buried, *lag;
} GridCounts;
GridCounts grid_counts(const char *name);
