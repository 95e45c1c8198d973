/* Events that the projection could not read or apply (read.db), for an operator to decide. It adds them by
 * dead_event_add() of store/read/inbox.h; these are for eventsctl, on a connection of its own. */
#pragma once
#include "base/arena.h"
#include "db/db.h"

typedef struct DeadLetter {
    int64_t id, dead_at;
    int64_t sequence;  /* 0: it had none */
    Span reason, body; /* body: as of DeadEvent */
} DeadLetter;

/* Those with higher ids than `after`, ascending; the spans live until each() returns, which ends it by false.
 */
bool dead_events(Db *db, int64_t after, int64_t most, bool (*each)(void *user, const DeadLetter *letter),
                 void *user, Err *err);
/* In memory of the arena; ERR_NOT_FOUND. */
bool dead_event_find(Db *db, int64_t id, Arena *arena, DeadLetter *ret, Err *err);
bool dead_event_remove(Db *db, int64_t id, Err *err); /* ERR_NOT_FOUND */
