#include "store/outbox/migrations_relay.h"

#include "db/migrate.h"

/* published: every number up to it has been taken by the topic. It may lag behind the truth (then events go
 * out once more), so it needs no write of its own per batch. skipped: numbers whose event the topic refuses
 * for good.
 *
 * On a server several relays share the work by lanes (store/outbox/lanes.h): each has its own `published`, `last` is
 * the highest number in it, and who has leased it publishes it. relay_state's row is the lock of the
 * numbering.
 *
 * disposable (files): rows of the outbox up to this id have been published and are held by the projection, so
 * that the prospect service, whose file that is, may delete them when they are old. outbox_dead_letter has
 * what was refused, for an operator to decide. */
#define SKIPPED                                                                                              \
    "CREATE TABLE skipped (sequence {key}, reason {text} NOT NULL, skipped_at BIGINT NOT NULL);\n"           \
    "CREATE TABLE relay_state (id INTEGER PRIMARY KEY CHECK (id = 1), epoch {name} NOT NULL,"                \
    " last_sequence BIGINT NOT NULL, last_outbox_id BIGINT NOT NULL, published BIGINT NOT NULL);\n"
#define FOUR "(VALUES (0), (1), (2), (3))"

static const Migration STEPS[] = {
    {1, "CREATE TABLE numbered (sequence {key}, outbox_id BIGINT NOT NULL UNIQUE);\n" SKIPPED,
     "CREATE TABLE numbered (sequence {key}, outbox_id BIGINT NOT NULL, lane SMALLINT NOT NULL);\n"
     "CREATE INDEX numbered_lane ON numbered (lane, sequence);\n" SKIPPED
     "CREATE TABLE relay_lane (lane SMALLINT PRIMARY KEY, owner {name} NOT NULL, leased_until BIGINT NOT "
     "NULL,"
     " last_sequence BIGINT NOT NULL, published BIGINT NOT NULL){busy};\n"
     "INSERT INTO relay_lane SELECT a.n * 4 + b.n, '', 0, 0, 0 FROM " FOUR " AS a(n) CROSS JOIN " FOUR
     " AS b(n);\n"},
    {2, "ALTER TABLE relay_state ADD disposable BIGINT NOT NULL DEFAULT 0;\n"
        "CREATE TABLE outbox_dead_letter (sequence {key}, reason {text} NOT NULL, body {bytes} NOT NULL,"
        " dead_at BIGINT NOT NULL);\n"},
};

bool relay_migrate(Db *db, Err *err) {
    return migrate(db, "relay", STEPS, COUNT(STEPS), err);
}
