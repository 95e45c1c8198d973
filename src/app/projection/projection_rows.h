/* From what an event changes (domain/projection.h) to rows of the read model. */
#pragma once
#include "base/arena.h"
#include "events/v1/envelope.pb-c.h"
#include "store/rows.h"

/* Where it writes: rows that the projector inserts at the end of its transaction. */
typedef struct ProjectionRows {
    Rows *prospects, *outcomes;
} ProjectionRows;

/* Applies one event; rows borrow from the event and the arena. ERR_INVALID or ERR_TOO_LARGE: this event can
 * never be applied, and others are not concerned. */
bool projection_apply(const ProjectionRows *rows, const Events__V1__Envelope *event, Arena *arena, Err *err);
