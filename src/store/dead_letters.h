/* Events that could not be processed, for an operator to decide: three programs keep such a table, each in its own
 * database, and this is what the tables have in common. For eventsctl, on a connection of its own. */
#pragma once
#include "base/arena.h"
#include "db/db.h"

typedef struct DeadLetter {
    int64_t number; /* names it in its table */
    int64_t dead_at;
    int64_t sequence;  /* of the event; 0: it had none, or it is not told */
    int64_t attempts;  /* to deliver it; 0: not told */
    Span subscription; /* empty: not told */
    Span reason;
    Span body; /* the packed Envelope with its number; of a delivery: the CloudEvent, JSON */
} DeadLetter;

typedef struct DeadLetterTable {
    const char *list, *find, *remove, *count;
} DeadLetterTable;
extern const DeadLetterTable
    OUTBOX_LETTERS,     /* what the topic has refused; relay.db, or the server's database */
    PROJECTION_LETTERS, /* what the projection cannot read or apply; the read model's */
    DELIVERY_LETTERS;   /* what events-grid has given up to deliver; grid.db */

/* Those with higher numbers than `after`, ascending; the spans live until each() returns, which ends it by false. */
typedef struct DeadLetterVisitor {
    bool (*each)(void *user, const DeadLetter *letter);
    void *user;
} DeadLetterVisitor;
bool dead_letters(Db *db, const DeadLetterTable *table, int64_t after, int64_t most,
                  const DeadLetterVisitor *visitor, Err *err);
/* In memory of the arena; ERR_NOT_FOUND. */
bool dead_letter_find(Db *db, const DeadLetterTable *table, int64_t number, Arena *arena, DeadLetter *ret,
                      Err *err);
bool dead_letter_remove(Db *db, const DeadLetterTable *table, int64_t number, Err *err); /* ERR_NOT_FOUND */
bool dead_letter_count(Db *db, const DeadLetterTable *table, int64_t *ret, Err *err);
