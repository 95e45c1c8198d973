/* Command loops side by side, each on a thread and connections of its own. A server's queue keeps them apart:
 * each leases lanes of keys, so that commands of one key keep their order (queue/queue_tables_receiver.c); of a broker
 * each has lanes of its own (queue/amqp_inbox.c). A file has one writer, so that one worker is all that it can use.
 *
 * One that handles small batches is worth more than several that share them: a second one is called only
 * while the claims of those at work are full, or where they have heard nothing for a while (a lock, a slow
 * commit). */
#pragma once
#include "app/commands/command_loop.h"

typedef struct CommandWorkers CommandWorkers;

enum { COMMAND_WORKERS_MAX = 16 };

typedef struct CommandWorkersOptions {
    size_t poll_ms; /* look at least so often */
    /* On a worker's thread, after its commit, and after each turn that has handled commands. */
    void (*events_written)(void *user, size_t events);
    void (*handled)(void *user, size_t commands);
    /* By the first worker, when it finds nothing to do: other work on its database. How many milliseconds
     * until it wants to be called again; 0: at once. May be NULL. */
    int64_t (*idle)(void *user, Db *db);
    void *user;
} CommandWorkersOptions;

CommandWorkers *command_workers_new(const CommandWorkersOptions *options);
/* Ends each worker behind the turn that it is in. */
CommandWorkers *command_workers_free(CommandWorkers *workers);
AUTO_FREE(CommandWorkers, command_workers_free)
/* One worker more. Owns the database and the receiver from now on, on failure too. */
bool command_workers_add(CommandWorkers *workers, Db *db, QueueReceiver *receiver, Err *err);

/* There is, or may be, something to do. Any thread. */
void command_workers_ring(CommandWorkers *workers);
/* Somebody else has changed what waits or is dead: look, and count anew. */
void command_workers_recount(CommandWorkers *workers);
/* A while after a ring: if nobody has looked since then, because those at work are held up, another one is
 * called. */
void command_workers_insist(CommandWorkers *workers);
