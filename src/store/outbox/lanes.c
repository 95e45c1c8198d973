#include "store/outbox/lanes.h"

#include "base/buf.h"

/* On PostgreSQL a function of the database (migrations_relay.c): one round trip, commit included. In T-SQL, where a CTE
 * cannot write, these are statements one after the other, in one round trip too. They read one state of outbox_fresh,
 * by versions of rows: a SELECT that only passed over locked rows could meet a later version of a subject, committed
 * behind its back, without the earlier one. */
static const SqlText NUMBER = {
    .postgresql = "SELECT number, in_lane, 0, event, in_epoch"
                  " FROM relay_number(?, ?, ?, CAST(? AS BIGINT[]))",
    .sqlserver =
        "SET NOCOUNT ON; SET XACT_ABORT ON; DECLARE @owner NVARCHAR(400) = ?, @lease BIGINT = ?, @most "
        "BIGINT = ?,"
        " @upto VARCHAR(400) = ?, @last BIGINT, @epoch NVARCHAR(400);"
        " DECLARE @marks TABLE (lane SMALLINT PRIMARY KEY, upto BIGINT NOT NULL);"
        " DECLARE @ordered TABLE (sequence BIGINT PRIMARY KEY, outbox_id BIGINT NOT NULL, lane SMALLINT NOT "
        "NULL);"
        " DECLARE @lanes TABLE (lane SMALLINT PRIMARY KEY, last BIGINT, published BIGINT NOT NULL, take BIT "
        "NOT NULL,"
        " held BIT NOT NULL);"
        " INSERT INTO @marks SELECT ordinal - 1, CAST(value AS BIGINT) FROM string_split(@upto, ',', 1);"
        " BEGIN TRANSACTION;"
        " SELECT @last = last_sequence, @epoch = epoch FROM relay_state{locked} WHERE id = 1;"
        " INSERT INTO @ordered SELECT @last + row_number() OVER (ORDER BY o.outbox_id), o.outbox_id, o.lane"
        " FROM (SELECT TOP (@most) outbox_id FROM outbox_fresh ORDER BY outbox_id) f"
        " JOIN outbox o ON o.outbox_id = f.outbox_id;"
        " DELETE f FROM outbox_fresh f JOIN @ordered r ON r.outbox_id = f.outbox_id;"
        " INSERT INTO numbered (sequence, outbox_id, lane) SELECT sequence, outbox_id, lane FROM @ordered;"
        " INSERT INTO @lanes SELECT t.lane, t.last, t.published, CASE WHEN t.published >= t.last_sequence AND"
        " (t.owner = @owner OR t.leased_until < {now}) THEN 1 ELSE 0 END, CASE WHEN t.owner = @owner THEN 1 "
        "ELSE 0 END"
        " FROM (SELECT l.lane, n.last, l.last_sequence, l.owner, l.leased_until, m.upto, "
        "greatest(l.published,"
        " CASE WHEN l.owner = @owner THEN m.upto ELSE 0 END) AS published FROM relay_lane l{locked}"
        " JOIN @marks m ON m.lane = l.lane LEFT JOIN"
        " (SELECT lane, max(sequence) AS last FROM @ordered GROUP BY lane) n ON n.lane = l.lane) t"
        " WHERE t.last > 0 OR (t.owner = @owner AND (t.upto > 0 OR t.leased_until > {now})) ORDER BY t.lane;"
        " UPDATE l SET published = t.published, last_sequence = coalesce(t.last, l.last_sequence),"
        " owner = CASE WHEN t.last > 0 AND t.take = 1 THEN @owner ELSE l.owner END,"
        " leased_until = CASE WHEN t.last > 0 AND t.take = 1 THEN {now} + @lease WHEN t.held = 1 THEN {now}"
        " ELSE l.leased_until END FROM relay_lane l JOIN @lanes t ON t.lane = l.lane;"
        " UPDATE s SET last_sequence = m.last, last_outbox_id = greatest(s.last_outbox_id, m.id)"
        " FROM relay_state s CROSS JOIN (SELECT max(sequence) AS last, max(outbox_id) AS id FROM @ordered) m"
        " WHERE s.id = 1 AND m.last > 0; COMMIT;"
        " SELECT @last AS sequence, CAST(-1 AS SMALLINT) AS lane, 0 AS skipped, CAST(NULL AS VARBINARY(MAX)) "
        "AS event,"
        " @epoch AS epoch WHERE @last IS NOT NULL UNION ALL SELECT r.sequence, r.lane, 0,"
        " CASE WHEN t.take = 1 THEN o.body END, NULL FROM @ordered r JOIN @lanes t ON t.lane = r.lane"
        " JOIN outbox o ON o.outbox_id = r.outbox_id ORDER BY sequence"};

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
    .postgresql = "WITH mine AS (SELECT l.lane, v.upto FROM relay_lane l JOIN (VALUES " EACH16(
        ONE) ") AS v(lane, upto) ON v.lane = l.lane"
             " WHERE l.owner = ? AND (v.upto > 0 OR l.leased_until > {now}) ORDER BY l.lane FOR UPDATE OF l)"
             " UPDATE relay_lane SET published = greatest(published, mine.upto), leased_until = {now}"
             " FROM mine WHERE relay_lane.lane = mine.lane",
    .sqlserver = "UPDATE l SET published = greatest(l.published, v.upto), leased_until = {now}"
                 " FROM relay_lane l{locked} JOIN (VALUES " EACH16(
                     ONE) ") AS v(lane, upto) ON v.lane = l.lane WHERE l.owner = ?"
                          " AND (v.upto > 0 OR l.leased_until > {now})"};
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

/* The first row: how things stood before. */
static bool take_state(Stmt *s, NumbersState *state, Err *err) {
    if (!stmt_row(s, err)) return err->kind ? false : err_set(err, &ERR_INTERNAL, "relay_state is empty");
    state->last = stmt_int(s, 0);
    return span_copy(stmt_text(s, 4), state->epoch, sizeof state->epoch) ||
           err_set(err, &ERR_INTERNAL, "relay_state has an epoch that is no UUID");
}

/* "{1,0,2 ...}", or "1,0,2 ..." in T-SQL: that of lane 0 first. */
static void list_lanes(const Db *db, const int64_t published[OUTBOX_LANES], Buf *out) {
    bool braces = db_dialect(db) == DB_POSTGRESQL;
    if (braces) buf_byte(out, '{');
    for (int i = 0; i < OUTBOX_LANES; i++)
        buf_printf(out, "%s%lld", i ? "," : "", (long long)(published ? published[i] : 0));
    if (braces) buf_byte(out, '}');
}

bool lanes_number(Db *db, const char *owner, const int64_t published[OUTBOX_LANES], NumbersState *state,
                  LaneRows *rows, Err *err) {
    AUTO_BUF lanes = {0};
    NumbersState next = *state;
    list_lanes(db, published, &lanes);
    Stmt *s = db_statement(db, db_text(db, &NUMBER));
    stmt_bind_text(s, 1, span_of(owner));
    stmt_bind_int(s, 2, LEASE_US);
    stmt_bind_int(s, 3, (int64_t)rows->most);
    stmt_bind_text(s, 4, buf_view(&lanes));
    rows->count = rows->given = 0;
    if (!stmt_run(s, NULL, err) || !take_state(s, &next, err)) return false;
    for (; stmt_row(s, err); rows->given++)
        if (!take_row(s, rows, err)) return false;
    if (err->kind) return false;
    next.last += (int64_t)rows->given;
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
    for (int i = 0; i < OUTBOX_LANES; i++) stmt_bind_int(s, i + 1, published[i]);
    stmt_bind_text(s, OUTBOX_LANES + 1, span_of(owner));
    return stmt_run(s, NULL, err);
}
