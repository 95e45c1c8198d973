/* What each type of event does to the read model: the table of the projection. */
#pragma once
#include "base/arena.h"
#include "db/db.h"
#include "events/v1/envelope.pb-c.h"

/* Applies one event inside the caller's transaction. ERR_INVALID (or ERR_TOO_LARGE): this event can never be applied,
 * and others are not concerned. A type without a rule changes nothing but the outcome of its command. */
bool projection_apply(Db *db, const Events__V1__Envelope *event, Arena *arena, Err *err);
