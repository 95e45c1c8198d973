#include "store/migrations_relay.h"

#include "db/migrate.h"

/* published: every number up to it has been taken by the topic. It may lag behind the truth (then events go
 * out once more), so it needs no write of its own per batch. skipped: numbers whose event the topic refuses
 * for good. */
static const Migration STEPS[] = {
    {1, "CREATE TABLE numbered (sequence INTEGER PRIMARY KEY, outbox_id BIGINT NOT NULL UNIQUE);\n"
        "CREATE TABLE skipped (sequence INTEGER PRIMARY KEY, reason TEXT NOT NULL, skipped_at BIGINT NOT "
        "NULL);\n"
        "CREATE TABLE relay_state (id INTEGER PRIMARY KEY CHECK (id = 1), epoch TEXT NOT NULL,"
        " last_sequence BIGINT NOT NULL, last_outbox_id BIGINT NOT NULL, published BIGINT NOT NULL);\n"},
};

bool relay_migrate(Db *db, Err *err) {
    return migrate(db, "relay", STEPS, COUNT(STEPS), err);
}
