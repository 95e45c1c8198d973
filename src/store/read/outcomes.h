/* The writing side of command outcomes (read.db). */
#pragma once
#include "domain/projection.h"
#include "store/rows.h"

/* The first outcome of a command stays; only a failed command (dead letter) may still get another one. */
extern const RowShape OUTCOME_ROWS;
void outcome_add(Rows *rows, const OutcomeRow *row);
