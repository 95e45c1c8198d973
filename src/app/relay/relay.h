/* Carries committed events from the outbox to the topic: numbers them, publishes them in order, publishes
 * again what the projection misses, and tells it the last number until it has acknowledged that.
 *
 * One relay per file, any number per server; one thread. The relay never waits or sleeps: relay_turn() does
 * one bounded piece of work, and relay_due_us() says when the next turn is worth while without a ring. now_us
 * is monotonic time.
 */
#pragma once
#include "base/auto.h"
#include "base/err.h"
#include "db/db.h"
#include "grid/grid_publish.h"

typedef struct Relay Relay;
typedef struct RelayOptions {
    /* Borrowed. Files: relay.db, migrated, and write.db, read only. A server: two connections to the write
     * database, migrated; the second may be relaxed, it notes what has been published. */
    Db *numbers, *outbox;
    int64_t retention_s; /* how long a published event is kept; 0: for ever */
    const char *owner;   /* a server: tells relays of one database apart, the same after a restart */
    /* As grid_publish(). */
    void (*publish)(void *user, GridRequest *requests, size_t count);
    size_t part_events; /* of a batch, that are worth a request of their own; 0: 250 */
    /* Rings the projection's bell. A ring may be lost. */
    void (*ring)(void *user, const char *ring);
    void *user;
} RelayOptions;

bool relay_open(const RelayOptions *options, int64_t now_us, Relay **ret, Err *err);
Relay *relay_free(Relay *relay);
AUTO_FREE(Relay, relay_free)

/* "held EPOCH N" and "repair FROM TO" of the projection; "up grid" of a topic that has just started, so that the end
 * of a back-off is not waited for; "work" and anything else mean only: take a turn. */
void relay_hear(Relay *relay, const char *ring, int64_t now_us);
/* One piece of work. *more: there is more to do at once. False where a database failed; call again, with
 * back-off. */
bool relay_turn(Relay *relay, int64_t now_us, bool *more, Err *err);
/* The next deadline of its own (a repeated ring, the end of a back-off); INT64_MAX where there is none. */
int64_t relay_due_us(const Relay *relay);
/* False while the projection's epoch or position contradicts ours: then nothing is published. */
bool relay_healthy(const Relay *relay);
/* What is known as published but not stored yet, before an orderly end. */
bool relay_close(Relay *relay, Err *err);
