/* What a loop has given to its live subscriptions ahead of its turn, because a hole that is before it holds back
 * other subjects only (ring.h): until its turn comes, when it is not given to them again, and so that whoever
 * becomes live meanwhile gets it first. Each has a place, by which those are counted that ever went. On the loop's
 * thread. */
#pragma once
#include "gateway/feed/event.h"

typedef struct Ahead Ahead;
Ahead *ahead_new(void);
Ahead *ahead_free(Ahead *ahead);

void ahead_note(Ahead *ahead, Event *event); /* takes a reference of its own */
bool ahead_has(const Ahead *ahead, int64_t sequence);
void ahead_forget(Ahead *ahead, int64_t position); /* those up to it: their turn has been */
bool ahead_any(const Ahead *ahead);
uint64_t ahead_last(const Ahead *ahead); /* the last place that was given */
/* The next ones behind the place *after, which is moved: in the order in which they went, at most `most` and about
 * `bytes`. Borrowed until the next note or forget. */
size_t ahead_next(const Ahead *ahead, uint64_t *after, size_t most, size_t bytes, Event **ret);
