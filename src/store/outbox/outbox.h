/* Events that must reach the grid, written in their command's own transaction. One thread. */
#pragma once
#include "base/arena.h"
#include "db/db.h"
#include "events/v1/envelope.pb-c.h"

/* On a server each event stands in the lane of its subject, so that relays can share the work
 * (store/outbox/lanes.h). */
enum { OUTBOX_LANES = 16 };
int outbox_lane(Span subject);

typedef struct Outbox Outbox;
Outbox *outbox_new(Db *db); /* borrowed */
Outbox *outbox_free(Outbox *outbox);
AUTO_FREE(Outbox, outbox_free)
/* Forgets what was added: another transaction begins. */
void outbox_begin(Outbox *outbox, Arena *arena);
/* The packed envelope, which has no numbers yet: the relay gives them in the order of outbox_id, which is
 * that of the calls. Borrows the envelope's texts until the write, and memory of the arena. */
bool outbox_add(Outbox *outbox, const Events__V1__Envelope *envelope, int64_t created_at, Err *err);
bool outbox_write(Outbox *outbox, Err *err);
/* One event by itself. */
bool outbox_append(Db *db, const Events__V1__Envelope *envelope, int64_t created_at, Err *err);
