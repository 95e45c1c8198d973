/* A backlog does not slow the claim: the relay's statements cost the same at 0 and at many rows behind them,
 * because each finds its rows by an index. The short form asks for the plans alone; EVENTS_LONG=1 builds five
 * million rows, prints plans and times, and judges the times, too. */
#include "app/relay/relay.h"

#include "base/clock.h"
#include "kit/engine.h"
#include "store/outbox/lanes.h"
#include "store/outbox/migrations_relay.h"
#include "store/outbox/outbox_read.h"
#include "store/retention.h"
#include "store/write/migrations_write.h"
#include <stdio.h>

enum { ROWS_SHORT = 20000, ROWS_LONG = 5000000, CLAIM = 1000, TURNS = 20, PIECES = 20 };

typedef struct World {
    Db *numbers, *outbox;
    int64_t rows;
} World;

static bool is_file(void) {
    return test_engine() == DB_SQLITE;
}

static void world_open(World *w) {
    Err err = {0};
    const char *url = test_database_with(write_migrate);
    w->outbox = test_db_open(url, (DbOptions){0});
    w->numbers = test_db_open(is_file() ? test_database() : url, (DbOptions){0});
    REQUIRE(CHECK_OK(write_migrate(w->outbox, &err) && relay_migrate(w->numbers, &err), &err));
    w->rows = getenv("EVENTS_LONG") ? ROWS_LONG : ROWS_SHORT;
}

static void world_close(World *w) {
    db_free(w->numbers), db_free(w->outbox);
}

/* Rows without a number, as a topic that was away for an hour leaves them behind. */
static const SqlText FILL = {
    .sqlite = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
              " INSERT INTO outbox (event_id, tenant_id, subject, subject_version, body, created_at)"
              " SELECT 'e' || i, 't', 's' || i % 1000, i, x'0a0165', 1 FROM n",
    .postgresql = "WITH added AS (INSERT INTO outbox (event_id, tenant_id, subject, subject_version, body,"
                  " created_at, lane) SELECT 'e' || i, 't', 's' || i % 1000, i, '\\x0a0165', 1, i % 16"
                  " FROM generate_series(1, {rows}) i RETURNING outbox_id)"
                  " INSERT INTO outbox_fresh SELECT outbox_id FROM added"};

static void fill(World *w) {
    char sql[500];
    Span rest, before = span_of(db_text(w->outbox, &FILL));
    const char *number = strstr(before.at, "{rows}");
    rest = span_of(number + strlen("{rows}"));
    snprintf(sql, sizeof sql, "%.*s%lld%.*s", (int)(number - before.at), before.at,
             (long long)(w->rows / PIECES), SPAN_ARGS(rest));
    for (int i = 0; i < PIECES; i++) test_db_run(w->outbox, sql); /* each in the time of one statement */
    if (!is_file()) test_db_run(w->outbox, "ANALYZE");
}

/* What a relay does with a thousand rows: numbers them, and notes that they are published. */
static void claim_file(World *w, Arena *arena, Err *err) {
    NumbersState state;
    OutboxRow *rows;
    size_t count;
    int64_t ids[CLAIM];
    REQUIRE(CHECK_OK(numbers_load(w->numbers, &state, err), err));
    REQUIRE(CHECK_OK(
        outbox_read(w->outbox, state.last_outbox_id, INT64_MAX, CLAIM, arena, &rows, &count, err), err));
    for (size_t i = 0; i < count; i++) ids[i] = rows[i].outbox_id;
    state.published = state.last;
    REQUIRE(CHECK_OK(numbers_give(w->numbers, &state, ids, count, err), err));
}

static void claim_server(World *w, Arena *arena, Err *err) {
    static LaneRow room[CLAIM];
    LaneRows rows = {.at = room, .most = CLAIM, .arena = arena};
    NumbersState state;
    int64_t upto[OUTBOX_LANES] = {0};
    bool elsewhere;
    REQUIRE(CHECK_OK(numbers_load(w->numbers, &state, err), err));
    REQUIRE(CHECK_OK(lanes_claim(w->numbers, "a", &rows, &elsewhere, err), err));
    if (!rows.count) REQUIRE(CHECK_OK(lanes_number(w->numbers, "a", NULL, &state, &rows, err), err));
    for (size_t i = 0; i < rows.count; i++) upto[rows.at[i].lane] = rows.at[i].sequence;
    REQUIRE(CHECK_OK(lanes_published(w->outbox, "a", upto, err), err));
}

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The median of some claims, in microseconds. */
static int64_t time_claims(World *w) {
    int64_t took[TURNS];
    Err err = {0};
    for (size_t i = 0; i < TURNS; i++) {
        AUTO(Arena) arena = arena_new(64 << 20);
        int64_t begun = clock_mono_us();
        if (is_file())
            claim_file(w, arena, &err);
        else
            claim_server(w, arena, &err);
        took[i] = clock_mono_us() - begun;
    }
    qsort(took, TURNS, sizeof *took, by_value);
    return took[TURNS / 2];
}

/* As many rows as are claimed, and no more: the measure. */
static int64_t time_small(void) {
    World w = {0};
    world_open(&w);
    w.rows = (int64_t)CLAIM * TURNS;
    fill(&w);
    int64_t took = time_claims(&w);
    world_close(&w);
    return took;
}

/* The statements that look for rows; parameters stand for themselves in a plan. */
static const char *const PLANS_FILE[] = {
    "SELECT outbox_id, body FROM outbox WHERE outbox_id > 5 AND outbox_id <= 9999999 ORDER BY outbox_id "
    "LIMIT 9",
    "DELETE FROM outbox WHERE outbox_id IN (SELECT outbox_id FROM outbox WHERE outbox_id <= 99999"
    " ORDER BY outbox_id LIMIT 500) AND created_at < 5",
};
static const char *const PLANS_SERVER[] = {
    "DELETE FROM outbox_fresh WHERE outbox_id IN (SELECT outbox_id FROM outbox_fresh ORDER BY outbox_id "
    "LIMIT 1000)"
    " RETURNING outbox_id",
    "SELECT w.sequence FROM relay_lane l CROSS JOIN LATERAL (SELECT sequence FROM numbered WHERE lane = "
    "l.lane"
    " AND sequence > l.published ORDER BY sequence LIMIT 1000) w WHERE l.owner = 'a' ORDER BY w.sequence "
    "LIMIT 1000",
    "SELECT sequence, outbox_id FROM numbered WHERE sequence <= 9999999 ORDER BY sequence LIMIT 500",
};

/* No line of it may read a large table from end to end; a server does that where it is small. */
static void check_plan(Db *db, const char *sql, bool judged) {
    char explain[600];
    Err err = {0};
    snprintf(explain, sizeof explain, "%s %s", is_file() ? "EXPLAIN QUERY PLAN" : "EXPLAIN", sql);
    Stmt *s = db_statement(db, explain);
    REQUIRE(CHECK_OK(stmt_run(s, NULL, &err), &err));
    while (stmt_row(s, &err)) {
        char line[300];
        Span text = stmt_text(s, is_file() ? 3 : 0);
        snprintf(line, sizeof line, "%.*s", SPAN_ARGS(text));
        if (getenv("EVENTS_LONG")) printf("\n      %s", line);
        if (!judged) continue;
        CHECK(!strstr(line, "Seq Scan on outbox") && !strstr(line, "Seq Scan on numbered"));
        CHECK(!strstr(line, "SCAN outbox") || strstr(line, "USING"));
    }
    stmt_done(s);
}

static void a_backlog_does_not_slow_the_claim(void) {
    int64_t small = time_small();
    World w = {0};
    world_open(&w);
    fill(&w);
    int64_t large = time_claims(&w);
    size_t plans = is_file() ? COUNT(PLANS_FILE) : COUNT(PLANS_SERVER);
    for (size_t i = 0; i < plans; i++)
        check_plan(w.outbox, is_file() ? PLANS_FILE[i] : PLANS_SERVER[i], is_file() || w.rows == ROWS_LONG);
    printf("\n    a claim of %d rows: %.2f ms with nothing behind it, %.2f ms with %lld rows", CLAIM,
           (double)small / 1e3, (double)large / 1e3, (long long)w.rows);
    if (w.rows == ROWS_LONG) CHECK(large < 3 * small);
    world_close(&w);
}

SUITE_ON_ENGINES("backlog", TEST(a_backlog_does_not_slow_the_claim));
