/* Which commands have had their effect: written in the effect's own transaction. One thread. */
#pragma once
#include "base/arena.h"
#include "db/db.h"

typedef struct CommandKey {
    Span tenant_id, issued_by, command_id;
} CommandKey;

typedef struct CommandsDone CommandsDone;
CommandsDone *commands_done_new(Db *db); /* borrowed */
CommandsDone *commands_done_free(CommandsDone *done);
AUTO_FREE(CommandsDone, commands_done_free)

/* Forgets everything: another transaction begins. Its memory is that of the arena. */
void commands_done_begin(CommandsDone *done, Arena *arena);
/* Keys that will be asked for are read together. */
void commands_done_want(CommandsDone *done, const CommandKey *key);
bool commands_done_read(CommandsDone *done, Err *err);
/* It was done before, or in this transaction, with the body of *body_hash. */
bool commands_done_find(const CommandsDone *done, const CommandKey *key, uint64_t *body_hash);
/* Borrows its spans until the write. False: out of memory. */
bool commands_done_add(CommandsDone *done, const CommandKey *key, uint64_t body_hash, Span event_id,
                       int64_t done_at);
bool commands_done_write(CommandsDone *done, Err *err);
