/* The prospect service over a home of its own: a queue, its marks and the write model, on the engine of the suite. */
#pragma once
#include "app/commands/command_loop.h"
#include "app/commands/handlers.h"
#include "events/v1/envelope.pb-c.h"
#include "kit/engine.h"

typedef struct World {
    const char *home, *queue_url, *write_url;
    Db *queue, *db;
    QueueReceiver *receiver;
    CommandLoop *loop;
    size_t events; /* that the loop has told of */
} World;

World world_open(void); /* without the service; no other one may be open */
void world_open_service(World *w);
void world_close_service(World *w);
void world_close(World *w); /* both */

/* Commands, put into the queue as the gateway's sender would: of tenant "t" and user "u". */
void world_put_raw(World *w, const char *id, const char *key, Span body, uint64_t hash);
void world_put(World *w, const char *id, const char *type, const char *tenant,
               const ProtobufCMessage *message);
void world_create(World *w, const char *id, const char *last_name, const char *email);
void world_update_in(World *w, const char *tenant, const char *id, int64_t prospect, int64_t version,
                     const char *email);
void world_update(World *w, const char *id, int64_t prospect, int64_t version, const char *email);
void world_merge(World *w, const char *id, int64_t survivor, int64_t version, int64_t other,
                 int64_t other_version);

/* Commands handled. when_due: in a turn in which something was due, which may be only after a pause. */
size_t world_turn(World *w);
size_t world_turn_when_due(World *w);
/* Claims all that waits (of a server's lanes those of the first key), for handlers_run(). */
size_t world_claim_all(World *w, QueueMessage **m);

/* "ProspectCreated prospect/1 1; CommandRejected command/x 0 duplicate_email email; " in order of outbox_id. */
void world_expect_history(World *w, const char *want);

/* Before each such change of such a row: refuse it, or (the engine's silence) let it have no effect. */
void world_make_trigger(World *w, const char *change, const char *when, bool refuse);
void world_drop_trigger(World *w, const char *table);
void world_poison(World *w); /* e-mail addresses that begin so are refused */
