/* What an operator sees and decides about the outbox: how much waits, what the topic refused for good, and a
 * new numbering. numbers: relay.db, or the server's database; outbox: write.db, or the same.
 *
 * By eventsctl, on connections of its own; by the relay where it says so. */
#pragma once
#include "base/arena.h"
#include "base/uuid.h"
#include "store/dead_letters.h"

typedef struct OutboxStatus {
    char epoch[UUID_TEXT];
    int64_t last;     /* highest number given */
    int64_t fresh;    /* rows without a number */
    int64_t waiting;  /* numbered, not published, as far as it is stored */
    int64_t since_us; /* when the oldest of these was written; 0: there is none */
    int64_t letters;  /* dead letters */
} OutboxStatus;
bool outbox_status(Db *numbers, Db *outbox, OutboxStatus *ret, Err *err);

/* By the relay, in its transaction: an event that the topic has refused for good. Its number is the letter's too: an
 * EventSkipped has gone out under it. One that is there stays as it is. */
bool outbox_letter_add(Db *numbers, const DeadLetter *letter, Err *err);

/* ---- a new epoch ---- */

/* Numbers go on above `last`, in a new epoch. Rows up to the number `held`, of the numbering before, keep
 * their place behind; all others that are there get new numbers. No relay may be running. */
bool outbox_renumber(Db *numbers, Db *outbox, const char *epoch, int64_t last, int64_t held, Err *err);
