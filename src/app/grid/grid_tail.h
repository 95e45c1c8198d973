/* The latest accepted events in memory, and the bell under which the senders sleep: what has just been
 * committed goes out without a look at the database. Bounded by count and bytes; what has left it is found in
 * the database. Any thread. */
#pragma once
#include "base/blob.h"
#include <stdatomic.h>

typedef struct GridTail GridTail;
/* last: the position of the newest event in the database (the tail itself begins empty). */
GridTail *grid_tail_new(size_t events_max, size_t bytes_max, int64_t last);
GridTail *grid_tail_free(GridTail *tail);
AUTO_FREE(GridTail, grid_tail_free)

/* Adds events with the positions behind the last one, taking over the references. Wakes everybody. */
void grid_tail_push(GridTail *tail, Blob *const *events, size_t count);
int64_t grid_tail_last(GridTail *tail);
/* References to the events behind `after`: at most `most`, at most `bytes` in all, but one in any case. 0
 * with *older where the event behind `after` is in the database only; 0 without where there is none. */
size_t grid_tail_take(GridTail *tail, int64_t after, Blob **events, size_t most, size_t bytes, bool *older);

/* Sleeps until there is an event behind `after` (INT64_MAX: never mind events), the alarm is set, or the time
 * is over
 * (-1: for ever). */
void grid_tail_wait(GridTail *tail, int64_t after, int64_t timeout_ms, const atomic_bool *alarm);
void grid_tail_alarm(GridTail *tail, atomic_bool *alarm); /* sets it and wakes whoever waits with it */
