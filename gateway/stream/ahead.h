/* What a loop has given to its live subscriptions ahead of its turn, because a hole that is before it holds back
 * other subjects only (ring.h): until its turn comes, when it is not given to them again, and so that whoever
 * becomes live meanwhile gets it too. On the loop's thread. */
#pragma once
#include "gateway/feed/event.h"

typedef struct Ahead Ahead;
Ahead *ahead_new(void);
Ahead *ahead_free(Ahead *ahead);

void ahead_note(Ahead *ahead, Event *event); /* takes a reference of its own */
bool ahead_has(const Ahead *ahead, int64_t sequence);
void ahead_forget(Ahead *ahead, int64_t position);             /* those up to it: their turn has been */
Event *const *ahead_events(const Ahead *ahead, size_t *count); /* in the order in which they went */
