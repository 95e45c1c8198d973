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

/* relay_number(): what store/outbox/lanes.h promises of the numbering, in one round trip, commit included. Each round
 * trip more would be waited for by all who number; and a statement that waits for the lock inside itself would read
 * what was there before the wait, where the statements of a function read anew.
 *
 * The first row says how things stand, the others are the events that have got a number; those without their bytes
 * stand in lanes of other relays. Rows are taken out of outbox_fresh and get numbers, what this relay has published
 * (upto[lane + 1], 0: nothing) is noted, and the lanes that are free and have nothing older are leased. All lanes that
 * change are locked in their order, as everywhere, and what they say is read as it is then.
 *
 * Without a row to number nothing needs the lock, and the commit is not waited for: what is noted then may be lost
 * (the events go out once more, and are known by their numbers). A commit with numbers is always synced: an event that
 * leaves under a number that a loss of power takes back would share it with another event. */
#define GREATER "greatest(l.published, CASE WHEN l.owner = me THEN upto[l.lane + 1] ELSE 0 END)"
#define HELD    "l.owner = me AND (upto[l.lane + 1] > 0 OR l.leased_until > {now})"
static const char RELAY_NUMBER[] =
    "CREATE FUNCTION relay_number(me TEXT, lease BIGINT, most BIGINT, upto BIGINT[])"
    " RETURNS TABLE (number BIGINT, in_lane SMALLINT, event BYTEA, in_epoch TEXT) LANGUAGE plpgsql AS $$\n"
    "#variable_conflict use_column\n"
    "DECLARE last BIGINT; epoch_now TEXT; BEGIN"
    " IF NOT EXISTS (SELECT FROM outbox_fresh) THEN"
    " PERFORM set_config('synchronous_commit', 'off', true);"
    " WITH lanes AS (SELECT lane FROM relay_lane l WHERE " HELD " ORDER BY lane FOR UPDATE)"
    " UPDATE relay_lane l SET published = " GREATER
    ", leased_until = {now} FROM lanes t WHERE l.lane = t.lane;"
    " RETURN QUERY SELECT s.last_sequence, CAST(-1 AS SMALLINT), CAST(NULL AS BYTEA), s.epoch FROM "
    "relay_state s"
    " WHERE s.id = 1; RETURN; END IF;"
    " SELECT s.last_sequence, s.epoch INTO last, epoch_now FROM relay_state s WHERE s.id = 1 FOR UPDATE;"
    " RETURN QUERY SELECT last, CAST(-1 AS SMALLINT), CAST(NULL AS BYTEA), epoch_now WHERE last IS NOT NULL;"
    " RETURN QUERY WITH taken AS (DELETE FROM outbox_fresh WHERE outbox_id IN"
    " (SELECT outbox_id FROM outbox_fresh ORDER BY outbox_id LIMIT most) RETURNING outbox_id),"
    " ordered AS (SELECT o.outbox_id, o.lane, o.body, last + row_number() OVER (ORDER BY o.outbox_id) AS "
    "sequence"
    " FROM taken JOIN outbox o ON o.outbox_id = taken.outbox_id),"
    " kept AS (INSERT INTO numbered (sequence, outbox_id, lane) SELECT sequence, outbox_id, lane FROM "
    "ordered),"
    " news AS (SELECT lane, max(sequence) AS last FROM ordered GROUP BY lane),"
    " lanes AS (SELECT l.lane, " HELD " AS held, " GREATER " >= l.last_sequence"
    " AND (l.owner = me OR l.leased_until < {now}) AS take FROM relay_lane l"
    " WHERE l.lane IN (SELECT lane FROM news) OR " HELD " ORDER BY l.lane FOR UPDATE),"
    " noted AS (UPDATE relay_lane l SET published = " GREATER ","
    " last_sequence = coalesce(n.last, l.last_sequence),"
    " owner = CASE WHEN n.last > 0 AND t.take THEN me ELSE l.owner END,"
    " leased_until = CASE WHEN n.last > 0 AND t.take THEN {now} + lease WHEN t.held THEN {now} ELSE "
    "l.leased_until END"
    " FROM lanes t LEFT JOIN news n ON n.lane = t.lane WHERE l.lane = t.lane),"
    " marked AS (UPDATE relay_state SET last_sequence = m.last, last_outbox_id = greatest(last_outbox_id, "
    "m.id) FROM"
    " (SELECT max(sequence) AS last, max(outbox_id) AS id FROM ordered) m WHERE relay_state.id = 1 AND "
    "m.last > 0)"
    " SELECT r.sequence, r.lane, CASE WHEN t.take THEN r.body END, CAST(NULL AS TEXT)"
    " FROM ordered r JOIN lanes t ON t.lane = r.lane ORDER BY r.sequence; END $$;\n";

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
    {3, "", RELAY_NUMBER, ""},
};

bool relay_migrate(Db *db, Err *err) {
    return migrate(db, "relay", STEPS, COUNT(STEPS), err);
}
