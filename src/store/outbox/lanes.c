#include "store/outbox/lanes.h"

/* One statement takes rows out of outbox_fresh, gives them numbers, notes these for their lanes, takes those
 * that are free and have nothing older, and reads the events: each round trip more would be waited for by all
 * who number. What lanes say is read as it is when they are locked (in their order, as everywhere). In T-SQL,
 * where a CTE cannot write, these are statements one after the other, in one round trip too. They begin with a SELECT
 * that sees one state of outbox_fresh, by versions of rows: one that only passed over locked rows could meet a later
 * version of a subject, committed behind its back, without the earlier one. */
static const SqlText NUMBER = {
    .postgresql =
        "WITH taken AS (DELETE FROM outbox_fresh WHERE outbox_id IN"
        " (SELECT outbox_id FROM outbox_fresh ORDER BY outbox_id {limit}) RETURNING outbox_id),"
        " ordered AS (SELECT o.outbox_id, o.lane, o.body,"
        " CAST(? AS BIGINT) + row_number() OVER (ORDER BY o.outbox_id) AS sequence"
        " FROM taken JOIN outbox o ON o.outbox_id = taken.outbox_id),"
        " kept AS (INSERT INTO numbered (sequence, outbox_id, lane) SELECT sequence, outbox_id, lane FROM "
        "ordered),"
        " news AS (SELECT lane, max(sequence) AS last FROM ordered GROUP BY lane),"
        " lanes AS (SELECT lane, published >= last_sequence AND (owner = ? OR leased_until < {now}) AS take"
        " FROM relay_lane WHERE lane IN (SELECT lane FROM news) ORDER BY lane{lock}),"
        " noted AS (UPDATE relay_lane l SET last_sequence = n.last,"
        " owner = CASE WHEN t.take THEN ? ELSE l.owner END,"
        " leased_until = CASE WHEN t.take THEN {now} + ? ELSE l.leased_until END"
        " FROM lanes t JOIN news n ON n.lane = t.lane WHERE l.lane = t.lane),"
        " marked AS (UPDATE relay_state SET last_sequence = m.last, last_outbox_id = "
        "greatest(last_outbox_id, "
        "m.id) FROM"
        " (SELECT max(sequence) AS last, max(outbox_id) AS id FROM ordered) m WHERE relay_state.id = 1"
        " AND m.last > 0)"
        " SELECT r.sequence, r.lane, 0, CASE WHEN t.take THEN r.body END"
        " FROM ordered r JOIN lanes t ON t.lane = r.lane ORDER BY r.sequence",
    .sqlserver =
        "SET NOCOUNT ON; DECLARE @most BIGINT = ?, @last BIGINT = ?, @owner NVARCHAR(400) = ?, @taker "
        "NVARCHAR(400) = ?,"
        " @lease BIGINT = ?; DECLARE @ordered TABLE (sequence BIGINT PRIMARY KEY, outbox_id BIGINT NOT NULL,"
        " lane SMALLINT NOT NULL); DECLARE @lanes TABLE (lane SMALLINT PRIMARY KEY, last BIGINT NOT NULL,"
        " take BIT NOT NULL);"
        " INSERT INTO @ordered SELECT @last + row_number() OVER (ORDER BY o.outbox_id), o.outbox_id, o.lane"
        " FROM (SELECT TOP (@most) outbox_id FROM outbox_fresh ORDER BY outbox_id) f"
        " JOIN outbox o ON o.outbox_id = f.outbox_id;"
        " DELETE f FROM outbox_fresh f JOIN @ordered r ON r.outbox_id = f.outbox_id;"
        " INSERT INTO numbered (sequence, outbox_id, lane) SELECT sequence, outbox_id, lane FROM @ordered;"
        " INSERT INTO @lanes SELECT l.lane, n.last, CASE WHEN l.published >= l.last_sequence"
        " AND (l.owner = @owner OR l.leased_until < {now}) THEN 1 ELSE 0 END FROM relay_lane l{locked}"
        " JOIN (SELECT lane, max(sequence) AS last FROM @ordered GROUP BY lane) n ON n.lane = l.lane"
        " ORDER BY l.lane;"
        " UPDATE l SET last_sequence = t.last, owner = CASE WHEN t.take = 1 THEN @taker ELSE l.owner END,"
        " leased_until = CASE WHEN t.take = 1 THEN {now} + @lease ELSE l.leased_until END"
        " FROM relay_lane l JOIN @lanes t ON t.lane = l.lane;"
        " UPDATE s SET last_sequence = m.last, last_outbox_id = greatest(s.last_outbox_id, m.id)"
        " FROM relay_state s CROSS JOIN (SELECT max(sequence) AS last, max(outbox_id) AS id FROM @ordered) m"
        " WHERE s.id = 1 AND m.last > 0;"
        " SELECT r.sequence, r.lane, 0, CASE WHEN t.take = 1 THEN o.body END FROM @ordered r"
        " JOIN @lanes t ON t.lane = r.lane JOIN outbox o ON o.outbox_id = r.outbox_id ORDER BY r.sequence"};

#define READ   "SELECT n.sequence, n.lane, coalesce(s.sequence, 0), o.body FROM "
#define JOINED " JOIN outbox o ON o.outbox_id = n.outbox_id LEFT JOIN skipped s ON s.sequence = n.sequence"
/* Of each lane a run of its index, of these the lowest numbers, and only then the events themselves. */
static const char CLAIMED[] =
    READ "(SELECT w.sequence, w.lane, w.outbox_id FROM relay_lane l {apply}"
         " (SELECT sequence, lane, outbox_id FROM numbered WHERE lane = l.lane AND sequence > l.published"
         " ORDER BY sequence {limit}) w WHERE l.owner = ? AND l.leased_until > {now}"
         " ORDER BY w.sequence {limit}) n" JOINED " ORDER BY n.sequence";
static const char READ_RANGE[] =
    READ "(SELECT sequence, lane, outbox_id FROM numbered WHERE sequence BETWEEN ? AND ?"
         " ORDER BY sequence {limit}) n" JOINED " ORDER BY n.sequence";

#define EACH16(row)                                                                                              \
    row("0") "," row("1") "," row("2") "," row("3") "," row("4") "," row("5") "," row("6") "," row("7") "," row( \
        "8") "," row("9") "," row("10") "," row("11") "," row("12") "," row("13") "," row("14") "," row("1"      \
                                                                                                        "5")
#define ONE(lane) "(" lane ", CAST(? AS BIGINT))"
static const char TAKE[] = "UPDATE relay_lane SET owner = ?, leased_until = {now} + ?"
                           " WHERE lane IN (SELECT lane FROM relay_lane WHERE last_sequence > published"
                           " AND (owner = ? OR leased_until < {now}) ORDER BY published, lane {limit})";
/* Who has had a lane a moment ago will want some again. */
static const char OTHERS[] = "SELECT count(DISTINCT owner) FROM relay_lane WHERE owner <> ? AND owner <> ''"
                             " AND leased_until > {now} - ?";
/* Whoever changes lanes has locked them in their order, so that no two relays wait for each other. */
static const SqlText PUBLISHED = {
    .postgresql = "WITH mine AS (SELECT lane FROM relay_lane WHERE owner = ? ORDER BY lane{lock})"
                  " UPDATE relay_lane SET published = greatest(published, v.upto), leased_until = {now}"
                  " FROM mine JOIN (VALUES " EACH16(ONE) ") AS v(lane, upto) ON v.lane = mine.lane"
                                                         " WHERE relay_lane.lane = mine.lane",
    .sqlserver = "DECLARE @owner NVARCHAR(400) = ?; UPDATE l SET published = greatest(l.published, v.upto),"
                 " leased_until = {now} FROM relay_lane l{locked}"
                 " JOIN (VALUES " EACH16(ONE) ") AS v(lane, upto) ON v.lane = l.lane WHERE l.owner = @owner"};
_Static_assert(OUTBOX_LANES == 16, "the statements above name each lane");

enum {
    LEASE_US = 40000000, /* longer than a request to the topic may take */
    LATELY_US = 2000000,
};

typedef struct Lane {
    int64_t published, last;
    bool free; /* or this owner's */
} Lane;

/* The row that the statement stands on; one without its event is another relay's. */
static bool take_row(Stmt *s, LaneRows *rows, Err *err) {
    LaneRow row = {.sequence = stmt_int(s, 0), .lane = (int)stmt_int(s, 1), .skipped = stmt_int(s, 2) != 0};
    Span body = stmt_blob(s, 3);
    if (!body.at || rows->count == rows->most) return true;
    char *copy = arena_copy(rows->arena, body);
    if (!copy) {
        stmt_done(s);
        return err_set(err, &ERR_TOO_LARGE, "outbox: %zu rows do not fit in memory", rows->most);
    }
    if (row.lane < 0 || row.lane >= OUTBOX_LANES) row.lane = 0;
    row.body = (Span){copy, body.len};
    rows->at[rows->count++] = row;
    return true;
}

static bool take_rows(Stmt *s, LaneRows *rows, Err *err) {
    rows->count = 0;
    while (stmt_row(s, err) && take_row(s, rows, err)) continue;
    return !err->kind;
}

static bool read_lanes(Db *db, const char *owner, Lane lanes[OUTBOX_LANES], Err *err) {
    Stmt *s = db_statement(db, "SELECT lane, published, last_sequence,"
                               " CASE WHEN owner = ? OR leased_until < {now} THEN 1 ELSE 0 END"
                               " FROM relay_lane{locked} ORDER BY lane{lock}");
    stmt_bind_text(s, 1, span_of(owner));
    if (!stmt_run(s, NULL, err)) return false;
    while (stmt_row(s, err)) {
        int64_t lane = stmt_int(s, 0);
        if (lane < 0 || lane >= OUTBOX_LANES) continue;
        lanes[lane] = (Lane){.published = stmt_int(s, 1), .last = stmt_int(s, 2)};
        lanes[lane].free = stmt_int(s, 3) != 0;
    }
    return !err->kind;
}

/* ---- numbering ---- */

static bool number_in_transaction(Db *db, const char *owner, NumbersState *state, LaneRows *rows,
                                  size_t *given, Err *err) {
    if (!numbers_lock(db, state, err)) return false;
    Stmt *s = db_statement(db, db_text(db, &NUMBER));
    stmt_bind_int(s, 1, (int64_t)rows->most);
    stmt_bind_int(s, 2, state->last);
    stmt_bind_text(s, 3, span_of(owner));
    stmt_bind_text(s, 4, span_of(owner));
    stmt_bind_int(s, 5, LEASE_US);
    if (!stmt_run(s, NULL, err)) return false;
    for (*given = rows->count = 0; stmt_row(s, err); ++*given)
        if (!take_row(s, rows, err)) return false;
    state->last += (int64_t)*given;
    return !err->kind && db_commit(db, err);
}

bool lanes_number(Db *db, const char *owner, NumbersState *state, LaneRows *rows, size_t *given, Err *err) {
    NumbersState next = *state;
    if (!db_begin(db, err)) return false;
    if (!number_in_transaction(db, owner, &next, rows, given, err)) {
        db_rollback(db);
        return false;
    }
    *state = next;
    return true;
}

/* ---- publishing ---- */

/* As many lanes as there are for each of the relays at work, so that all publish at the same time. */
static bool fair_share(Db *db, const char *owner, int64_t *ret, Err *err) {
    Stmt *s = db_statement(db, OTHERS);
    stmt_bind_text(s, 1, span_of(owner));
    stmt_bind_int(s, 2, LATELY_US);
    if (!stmt_run(s, NULL, err) || !stmt_row(s, err)) return false;
    int64_t relays = 1 + stmt_int(s, 0);
    stmt_done(s);
    *ret = (OUTBOX_LANES + relays - 1) / relays;
    return true;
}

static bool take_lanes(Db *db, const char *owner, bool *some, bool *elsewhere, Err *err) {
    Lane lanes[OUTBOX_LANES] = {0};
    NumbersState ignored;
    if (!numbers_lock(db, &ignored, err) || !read_lanes(db, owner, lanes, err)) return false;
    *some = *elsewhere = false;
    for (int i = 0; i < OUTBOX_LANES; i++) {
        bool waits = lanes[i].last > lanes[i].published;
        *some = *some || (waits && lanes[i].free);
        *elsewhere = *elsewhere || (waits && !lanes[i].free);
    }
    if (!*some) return db_commit(db, err);
    int64_t share;
    if (!fair_share(db, owner, &share, err)) return false;
    Stmt *s = db_statement(db, TAKE);
    stmt_bind_text(s, 1, span_of(owner));
    stmt_bind_int(s, 2, LEASE_US);
    stmt_bind_text(s, 3, span_of(owner));
    stmt_bind_int(s, 4, share);
    return stmt_run(s, NULL, err) && db_commit(db, err);
}

bool lanes_claim(Db *db, const char *owner, LaneRows *rows, bool *elsewhere, Err *err) {
    bool some;
    rows->count = 0;
    if (!db_begin(db, err)) return false;
    if (!take_lanes(db, owner, &some, elsewhere, err)) {
        db_rollback(db);
        return false;
    }
    if (!some) return true;
    Stmt *s = db_statement(db, CLAIMED);
    stmt_bind_int(s, 1, (int64_t)rows->most);
    stmt_bind_text(s, 2, span_of(owner));
    stmt_bind_int(s, 3, (int64_t)rows->most);
    return stmt_run(s, NULL, err) && take_rows(s, rows, err);
}

bool lanes_read(Db *db, int64_t from, int64_t to, LaneRows *rows, Err *err) {
    Stmt *s = db_statement(db, READ_RANGE);
    stmt_bind_int(s, 1, from);
    stmt_bind_int(s, 2, to);
    stmt_bind_int(s, 3, (int64_t)rows->most);
    return stmt_run(s, NULL, err) && take_rows(s, rows, err);
}

bool lanes_published(Db *db, const char *owner, const int64_t published[OUTBOX_LANES], Err *err) {
    Stmt *s = db_statement(db, db_text(db, &PUBLISHED));
    stmt_bind_text(s, 1, span_of(owner));
    for (int i = 0; i < OUTBOX_LANES; i++) stmt_bind_int(s, i + 2, published[i]);
    return stmt_run(s, NULL, err);
}
