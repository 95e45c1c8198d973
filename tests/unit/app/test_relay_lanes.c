/* Several relays on one server's database: nothing twice, nothing left, in order. */
#include "app/relay/relay.h"

#include "base/arena.h"
#include "kit/engine.h"
#include "store/outbox/lanes.h"
#include "store/outbox/migrations_relay.h"
#include "store/outbox/outbox.h"
#include "store/write/migrations_write.h"
#include "wire/envelope.h"
#include <stdio.h>

enum { SUBJECTS = 40, SEEN_MAX = 5000, RELAYS = 2 };
#define S 1000000LL

typedef struct World {
    const char *url;
    Db *writer;
    struct One {
        Db *numbers, *outbox;
        Relay *relay;
        bool down; /* its way to the topic */
        size_t published;
    } one[RELAYS];
    int versions[SUBJECTS], published[SUBJECTS];
    size_t committed, seen[SEEN_MAX];
    int64_t now;
} World;

static World *w;

static GridAnswer take_request(void *user, const Span *packed, size_t count) {
    struct One *one = user;
    if (one->down) return (GridAnswer){.outcome = GRID_RETRY, .taken = count, .status = 503};
    for (size_t i = 0; i < count; i++) {
        AUTO(Arena) arena = arena_new(0);
        Events__V1__Envelope *e = envelope_unpack(packed[i], arena);
        REQUIRE(e != NULL && e->sequence < SEEN_MAX);
        w->seen[e->sequence]++;
        int subject = atoi(strchr(e->subject, '/') + 1);
        CHECK(e->subject_version == w->published[subject] + 1);
        w->published[subject] = (int)e->subject_version;
        one->published++;
    }
    return (GridAnswer){.outcome = GRID_PUBLISHED, .taken = count, .status = 200};
}

static void publish(void *user, GridRequest *requests, size_t count) {
    for (size_t i = 0; i < count; i++)
        requests[i].answer = take_request(user, requests[i].packed, requests[i].count);
}

static void ring(void *user, const char *text) {
    (void)user, (void)text;
}

static void start(size_t i) {
    static const char *const OWNERS[RELAYS] = {"a", "b"};
    struct One *one = &w->one[i];
    Err err = {0};
    const RelayOptions options = {.numbers = one->numbers,
                                  .outbox = one->outbox,
                                  .owner = OWNERS[i],
                                  .publish = publish,
                                  .ring = ring,
                                  .user = one};
    one->relay = relay_free(one->relay);
    REQUIRE(CHECK_OK(relay_open(&options, w->now - 10 * S, &one->relay, &err), &err));
}

static void world_open(void) {
    Err err = {0};
    w = must(calloc(1, sizeof *w));
    w->now = 1000 * S;
    w->url = test_database_with(write_migrate);
    w->writer = test_db_open(w->url, (DbOptions){0});
    REQUIRE(CHECK_OK(write_migrate(w->writer, &err) && relay_migrate(w->writer, &err), &err));
    for (size_t i = 0; i < RELAYS; i++) {
        w->one[i].numbers = test_db_open(w->url, (DbOptions){0});
        w->one[i].outbox = test_db_open(w->url, (DbOptions){.relaxed = true});
        start(i);
    }
}

static void world_close(void) {
    for (size_t i = 0; i < RELAYS; i++) {
        relay_free(w->one[i].relay);
        db_free(w->one[i].numbers), db_free(w->one[i].outbox);
    }
    db_free(w->writer);
    free(w);
}

static void append(Db *db, int subject) {
    char id[32], name[32];
    Err err = {0};
    Events__V1__Envelope e = EVENTS__V1__ENVELOPE__INIT;
    snprintf(id, sizeof id, "%d-%d", subject, ++w->versions[subject]);
    snprintf(name, sizeof name, "prospect/%d", subject);
    e.event_id = id;
    e.event_type = (char *)"ProspectUpdated";
    e.tenant_id = (char *)"t";
    e.subject = name;
    e.subject_version = w->versions[subject];
    REQUIRE(CHECK_OK(outbox_append(db, &e, 1, &err), &err));
    w->committed++;
}

static void commit(int count) {
    Err err = {0};
    REQUIRE(db_begin(w->writer, &err));
    for (int i = 0; i < count; i++) append(w->writer, i % SUBJECTS);
    REQUIRE(CHECK_OK(db_commit(w->writer, &err), &err));
}

static void turn(size_t i) {
    Err err = {0};
    bool more = true;
    for (int k = 0; more && k < 100; k++)
        REQUIRE(CHECK_OK(relay_turn(w->one[i].relay, w->now, &more, &err), &err));
    CHECK(!more);
}

/* Every number once. */
static void check_all_seen(void) {
    for (size_t i = 1; i <= w->committed; i++) CHECK(w->seen[i] == 1);
    for (int i = 0; i < SUBJECTS; i++) CHECK(w->published[i] == w->versions[i]);
    CHECK(test_db_number(w->writer, "SELECT count(*) FROM relay_lane WHERE leased_until > {now}") == 0);
}

/* What one relay has numbered but not published stays its own while the lease lasts; the rest goes out. */
static void a_lease_keeps_others_out(void) {
    world_open();
    w->one[0].down = true;
    commit(SUBJECTS);
    turn(0);
    /* a topic that is down gives its lanes back at once: so the lease is put there again, as of one at work
     */
    test_db_run(w->writer,
                "UPDATE relay_lane SET owner = 'a', leased_until = {now} + 20000000 WHERE lane < 8");
    turn(1);
    CHECK(w->one[1].published > 0 && w->one[1].published < SUBJECTS);
    size_t first = w->one[1].published;
    commit(SUBJECTS);
    turn(1);
    CHECK(w->one[1].published == 2 * first); /* the others stand behind what is leased */
    CHECK(relay_due_us(w->one[1].relay) <= w->now + 200000);
    w->one[0].down = false;
    w->now += 60 * S;
    turn(0);
    turn(1);
    check_all_seen();
    world_close();
}

/* A relay dies with lanes in its hands: another takes over when the lease has run out; itself, started again,
 * at once. */
static void a_dead_relay_is_followed(void) {
    for (size_t heir = 0; heir < RELAYS; heir++) {
        world_open();
        w->one[0].down = true;
        commit(3 * SUBJECTS);
        turn(0);
        test_db_run(w->writer, "UPDATE relay_lane SET owner = 'a', leased_until = {now} + 20000000");
        w->one[0].down = false;
        start(heir);
        turn(heir);
        CHECK(w->one[heir].published == (heir ? 0 : w->committed));
        test_db_run(w->writer, "UPDATE relay_lane SET leased_until = {now} - 1 WHERE leased_until > 0");
        w->now += S;
        turn(heir);
        check_all_seen();
        world_close();
    }
}

/* A writer has its row's id early and commits late: it gets a later number, and nobody has waited for it. */
static void a_late_commit_delays_nobody(void) {
    world_open();
    AUTO(Db) slow = test_db_open(w->url, (DbOptions){0});
    Err err = {0};
    REQUIRE(db_begin(slow, &err));
    append(slow, 39);
    commit(10);
    turn(0);
    CHECK(w->one[0].published == 10);
    REQUIRE(CHECK_OK(db_commit(slow, &err), &err));
    turn(0);
    check_all_seen();
    CHECK(test_db_number(w->writer, "SELECT outbox_id FROM numbered WHERE sequence = 11") == 1);
    world_close();
}

/* A backlog is published by all relays at the same time: each takes its share of the lanes. */
static const struct {
    int others; /* at work a moment ago */
    size_t lanes;
} SHARES[] = {{0, 16}, {1, 8}, {2, 6}, {3, 4}};

static size_t claimed_lanes(Db *db, const char *owner, size_t *rows_count) {
    LaneRow rows[1000];
    AUTO(Arena) arena = arena_new(64 << 20);
    LaneRows claim = {.at = rows, .most = 1000, .arena = arena};
    Err err = {0};
    bool elsewhere;
    unsigned lanes = 0;
    REQUIRE(CHECK_OK(lanes_claim(db, owner, &claim, &elsewhere, &err), &err));
    for (size_t i = 0; i < claim.count; i++) lanes |= 1u << rows[i].lane;
    *rows_count += claim.count;
    return (size_t)__builtin_popcount(lanes);
}

static void lanes_are_shared_evenly(void) {
    for (size_t i = 0; i < COUNT(SHARES); i++) {
        char sql[200];
        size_t rows = 0;
        world_open();
        Db *db = w->writer;
        test_db_run(
            db, "INSERT INTO outbox (event_id, tenant_id, subject, subject_version, body, created_at, lane)"
                " SELECT 'e' || i, 't', 's', i, '\\x0a0165', 1, i % 16 FROM generate_series(1, 160) i");
        test_db_run(db, "INSERT INTO numbered SELECT outbox_id, outbox_id, lane FROM outbox");
        test_db_run(db, "UPDATE relay_lane SET last_sequence = 160");
        snprintf(sql, sizeof sql,
                 "UPDATE relay_lane SET owner = 'r' || lane, leased_until = {now} - 500000 WHERE lane < %d",
                 SHARES[i].others);
        test_db_run(db, sql);
        CHECK(claimed_lanes(db, "a", &rows) == SHARES[i].lanes);
        if (SHARES[i].others == 1) CHECK(claimed_lanes(db, "r0", &rows) == 8 && rows == 160);
        world_close();
    }
}

/* What has been published is noted with the next numbering, whether there is something to number or not: its lanes are
 * given back, and taken again for what is new. Of another's lanes nothing is noted. */
static const struct {
    const char *owner;
    int fresh;
    size_t given, taken;
    int64_t waiting, leased; /* events that are not noted as published; lanes */
} NOTES[] = {
    {"a", 0, 0, 0, 0, 0},
    {"a", SUBJECTS, SUBJECTS, SUBJECTS, SUBJECTS, -1},
    {"b", 0, 0, 0, SUBJECTS, -1},
    {"b", SUBJECTS, SUBJECTS, 0, 2 * SUBJECTS, -1},
};

static void what_is_published_is_noted_with_the_next_numbering(void) {
    LaneRow room[1000];
    for (size_t i = 0; i < COUNT(NOTES); i++) {
        AUTO(Arena) arena = arena_new(64 << 20);
        LaneRows rows = {.at = room, .most = COUNT(room), .arena = arena};
        NumbersState state;
        Err err = {0};
        int64_t upto[OUTBOX_LANES] = {0};
        world_open();
        Db *db = w->writer;
        commit(SUBJECTS);
        REQUIRE(CHECK_OK(numbers_load(db, &state, &err) && lanes_number(db, "a", NULL, &state, &rows, &err),
                         &err));
        REQUIRE(rows.given == SUBJECTS && rows.count == SUBJECTS && state.last == SUBJECTS);
        for (size_t k = 0; k < rows.count; k++) upto[rows.at[k].lane] = rows.at[k].sequence;
        int64_t lanes = test_db_number(db, "SELECT count(*) FROM relay_lane WHERE leased_until > {now}");
        if (NOTES[i].fresh) commit(NOTES[i].fresh);
        REQUIRE(CHECK_OK(lanes_number(db, NOTES[i].owner, upto, &state, &rows, &err), &err));
        CHECK(rows.given == NOTES[i].given && rows.count == NOTES[i].taken);
        CHECK(state.last == SUBJECTS + (int64_t)NOTES[i].given);
        CHECK(test_db_number(db, "SELECT count(*) FROM numbered n JOIN relay_lane l ON l.lane = n.lane"
                                 " WHERE n.sequence > l.published") == NOTES[i].waiting);
        CHECK(test_db_number(db,
                             "SELECT count(*) FROM relay_lane WHERE leased_until > {now} AND owner = 'a'") ==
              (NOTES[i].leased < 0 ? lanes : NOTES[i].leased));
        world_close();
    }
}

static int64_t tuples_read_by_scans(Db *db) {
    return test_db_number(db, "SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables"
                              " WHERE relname IN ('outbox', 'outbox_fresh', 'numbered')");
}

/* 100,000 rows without a number and 100,000 with one, unpublished: no statement reads them from end to end,
 * and each claim touches what it takes. */
static void a_backlog_does_not_slow_the_claim(void) {
    world_open();
    Db *db = w->writer;
    test_db_run(db,
                "INSERT INTO outbox (event_id, tenant_id, subject, subject_version, body, created_at, lane)"
                " SELECT 'e' || i, 't', 's', i, '\\x0a0165', 1, i % 16 FROM generate_series(1, 200000) i");
    test_db_run(db, "INSERT INTO outbox_fresh SELECT outbox_id FROM outbox WHERE outbox_id > 100000");
    test_db_run(
        db, "INSERT INTO numbered SELECT outbox_id, outbox_id, lane FROM outbox WHERE outbox_id <= 100000");
    test_db_run(db, "UPDATE relay_lane SET last_sequence = 100000");
    test_db_run(db, "UPDATE relay_state SET last_sequence = 100000");
    int64_t before = tuples_read_by_scans(db);
    LaneRow rows[1000];
    AUTO(Arena) arena = arena_new(64 << 20);
    LaneRows claim = {.at = rows, .most = 1000, .arena = arena};
    NumbersState state;
    Err err = {0};
    bool elsewhere;
    for (int i = 0; i < 10; i++) {
        int64_t upto[OUTBOX_LANES] = {0};
        arena_reset(arena);
        REQUIRE(CHECK_OK(lanes_claim(db, "a", &claim, &elsewhere, &err), &err) && claim.count == 1000);
        CHECK(rows[0].sequence == 1000 * i + 1 && rows[999].sequence == 1000 * (i + 1));
        for (size_t k = 0; k < claim.count; k++) upto[rows[k].lane] = rows[k].sequence;
        REQUIRE(CHECK_OK(lanes_published(db, "a", upto, &err), &err));
        REQUIRE(CHECK_OK(numbers_load(db, &state, &err) && lanes_number(db, "a", NULL, &state, &claim, &err),
                         &err));
        CHECK(claim.given == 1000 && claim.count == 0 && state.last == 100000 + 1000 * (i + 1));
    }
    w->writer = db_free(db); /* a session's counts are told by its end at the latest */
    w->writer = test_db_open(w->url, (DbOptions){0});
    CHECK(tuples_read_by_scans(w->writer) == before);
    world_close();
}

SUITE_ON_POSTGRESQL("relays and lanes", TEST(a_lease_keeps_others_out), TEST(a_dead_relay_is_followed),
                    TEST(a_late_commit_delays_nobody), TEST(lanes_are_shared_evenly),
                    TEST(what_is_published_is_noted_with_the_next_numbering),
                    TEST(a_backlog_does_not_slow_the_claim));
