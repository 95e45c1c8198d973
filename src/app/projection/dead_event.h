/* A dead letter of the projection, tried again by an operator. */
#pragma once
#include "db/db.h"

/* The event has its number and its place in the log already, so that it is not delivered once more: what it
 * changes is written now, if no newer version is there, and the dead letter goes, in one transaction.
 * db: read.db. ERR_NOT_FOUND; ERR_INVALID: it still cannot be applied, or never had a number (then what it
 * held is still missing, and asked for until it comes). */
bool dead_event_requeue(Db *db, int64_t id, Err *err);
