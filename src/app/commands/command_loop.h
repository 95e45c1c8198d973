/* The prospect service's loop: claim, handle, commit, ring, settle; back to back while there is work. */
#pragma once
#include "app/commands/handlers.h"

typedef struct CommandLoop CommandLoop;

enum { COMMANDS_AT_ONCE = 256 }; /* in a transaction */

typedef struct CommandLoopOptions {
    QueueReceiver *receiver;                           /* borrowed */
    Db *db;                                            /* write.db, borrowed */
    void (*events_written)(void *user, size_t events); /* after the commit */
    void *user;
} CommandLoopOptions;

CommandLoop *command_loop_new(const CommandLoopOptions *options);
CommandLoop *command_loop_free(CommandLoop *loop);
AUTO_FREE(CommandLoop, command_loop_free)

/* One turn. *wait_ms: 0, go on at once; else how long there is nothing to do unless somebody rings (-1: until
 * then); *only_wait: an engine is out, so that a ring shall not shorten the wait. */
size_t command_loop_turn(CommandLoop *loop, int64_t *wait_ms, bool *only_wait);
/* The next turn counts what waits and what is dead, also without work. Any thread. */
void command_loop_recount(CommandLoop *loop);
