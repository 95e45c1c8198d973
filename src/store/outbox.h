/* Events that must reach the grid, written in their command's own transaction. */
#pragma once
#include "db/db.h"
#include "events/v1/envelope.pb-c.h"

/* Appends the packed envelope, which has no numbers yet: the relay gives them in the order of outbox_id. */
bool outbox_append(Db *db, const Events__V1__Envelope *envelope, int64_t created_at, Err *err);
