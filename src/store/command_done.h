/* Which commands have had their effect: written in the effect's own transaction. */
#pragma once
#include "db/db.h"

typedef struct CommandKey {
    Span tenant_id, issued_by, command_id;
} CommandKey;

/* *found: it was done before, with the body of *body_hash. */
bool command_done_find(Db *db, const CommandKey *key, bool *found, uint64_t *body_hash, Err *err);
bool command_done_add(Db *db, const CommandKey *key, uint64_t body_hash, Span event_id, int64_t done_at,
                      Err *err);
