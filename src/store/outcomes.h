/* The writing side of command outcomes (read.db). Inside the caller's transaction. */
#pragma once
#include "db/db.h"
#include "domain/projection.h"

/* The first outcome of a command stays; only a failed command (dead letter) may still get another one. */
bool outcome_add(Db *db, const OutcomeRow *row, Err *err);
