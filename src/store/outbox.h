/* Events that must reach the grid, written in their command's own transaction. */
#pragma once
#include "db/db.h"
#include "events/v1/envelope.pb-c.h"

/* On a server each event stands in the lane of its subject, so that relays can share the work
 * (store/lanes.h). */
enum { OUTBOX_LANES = 16 };
int outbox_lane(Span subject);

/* Appends the packed envelope, which has no numbers yet: the relay gives them in the order of outbox_id. */
bool outbox_append(Db *db, const Events__V1__Envelope *envelope, int64_t created_at, Err *err);
