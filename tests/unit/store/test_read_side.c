#include "base/map.h"
#include "kit/engine.h"
#include "store/read/inbox.h"
#include "store/read/migrations_read.h"
#include "store/read/outcomes.h"
#include "store/read/read_model.h"
#include "store/read/replay_log.h"
#include "wire/envelope.h"
#include "wire/message.h"
#include <stdio.h>

static void open_read(Db **db) {
    Err err = {0};
    *db = test_db_open(test_database_with(read_migrate), (DbOptions){0});
    REQUIRE(CHECK_OK(read_migrate(*db, &err), &err));
}

static ProspectSummary summary(int64_t version, const char *tenant, const char *name, int64_t at) {
    return (ProspectSummary){.prospect_id = 7,
                             .version = version,
                             .tenant_id = span_of(tenant),
                             .first_name = span_of(name),
                             .last_name = SPAN("b"),
                             .email = SPAN("c"),
                             .phone = SPAN(""),
                             .notes = SPAN(""),
                             .created_at = at,
                             .updated_at = at,
                             .last_name_key = SPAN("b"),
                             .email_key = SPAN("c"),
                             .search = SPAN(" x")};
}

/* name, version, tenant, and what the row says afterwards */
static const struct {
    const char *name, *tenant;
    int64_t version, at, want_version, want_updated;
} UPSERTS[] = {
    {"first", "t", 1, 100, 1, 100},          {"newer", "t", 3, 300, 3, 300},
    {"older", "t", 2, 200, 3, 300},          {"same", "t", 3, 400, 3, 300},
    {"another tenant", "u", 9, 900, 3, 300}, {"newer again", "t", 4, 500, 4, 500},
};

static void only_newer_versions_replace(void) {
    AUTO(Db) db = NULL;
    AUTO(Rows) rows = rows_new(&PROSPECT_ROWS[0]);
    open_read(&db);
    for (size_t i = 0; i < COUNT(UPSERTS); i++) {
        Err err = {0};
        ProspectSummary row = summary(UPSERTS[i].version, UPSERTS[i].tenant, UPSERTS[i].name, UPSERTS[i].at);
        read_model_prospect(rows, &row);
        CHECK_OK(rows_flush(rows, db, &err), &err);
        CHECK(test_db_number(db, "SELECT version FROM prospect_summary") == UPSERTS[i].want_version);
        CHECK(test_db_number(db, "SELECT updated_at FROM prospect_summary") == UPSERTS[i].want_updated);
        CHECK(test_db_number(db, "SELECT created_at FROM prospect_summary") == 100);
    }
    CHECK(test_db_number(db, "SELECT count(*) FROM prospect_summary WHERE first_name = 'newer again'") == 1);
}

/* A transaction may hold many versions of one row, and their order counts. */
static void many_versions_at_once(void) {
    AUTO(Db) db = NULL;
    AUTO(Rows) rows = rows_new(&PROSPECT_ROWS[0]);
    Err err = {0};
    open_read(&db);
    for (int64_t version = 1; version <= 5; version++) {
        for (int64_t id = 1; id <= 50; id++) {
            ProspectSummary row = summary(version, "t", version == 4 ? "four" : "x", 10 * version);
            row.prospect_id = id;
            if (id % version == 0) read_model_prospect(rows, &row);
        }
    }
    REQUIRE(CHECK_OK(rows_flush(rows, db, &err), &err));
    CHECK(test_db_number(db, "SELECT count(*) FROM prospect_summary WHERE created_at = 10") == 50);
    CHECK(test_db_number(db, "SELECT count(*) FROM prospect_summary WHERE first_name = 'four'") == 10);
    CHECK(test_db_number(db, "SELECT count(*) FROM prospect_summary WHERE version = 5") == 10);
    CHECK(test_db_number(db, "SELECT sum(version) FROM prospect_summary") == 145);
}

static void the_first_outcome_stays(void) {
    AUTO(Db) db = NULL;
    Err err = {0};
    AUTO(Rows) rows = rows_new(&OUTCOME_ROWS);
    open_read(&db);
    OutcomeRow row = {.tenant_id = SPAN("t"),
                      .issued_by = SPAN("u"),
                      .command_id = SPAN("c"),
                      .status = 4,
                      .subject = SPAN(""),
                      .event_id = SPAN(""),
                      .code = SPAN(""),
                      .errors = SPAN(""),
                      .correlation_id = SPAN("")};
    static const struct {
        int status, want;
    } STEPS[] = {{4, 4}, {2, 2}, {3, 2}, {4, 2}}; /* failed, then requeued and succeeded, then nothing else */
    for (size_t i = 0; i < COUNT(STEPS); i++) {
        row.status = STEPS[i].status;
        outcome_add(rows, &row);
        CHECK_OK(rows_flush(rows, db, &err), &err);
        CHECK(test_db_number(db, "SELECT status FROM command_outcome") == STEPS[i].want);
    }
    row.issued_by = SPAN("somebody else");
    outcome_add(rows, &row);
    CHECK_OK(rows_flush(rows, db, &err), &err);
    CHECK(test_db_number(db, "SELECT count(*) FROM command_outcome") == 2);
}

static void collect(void *user, int64_t sequence) {
    *(int64_t *)user = *(int64_t *)user * 10 + sequence;
}

static void put_in_map(void *user, Span event_id) {
    map_put(user, event_id, user);
}

static void count_known(void *user, Span event_id) {
    uint64_t number;
    CHECK(span_to_u64((Span){event_id.at + 6, event_id.len - 6}, 99, &number) && number % 3 == 0);
    ++*(int64_t *)user;
}

static void the_inbox_remembers(void) {
    AUTO(Db) db = NULL;
    AUTO(Arena) arena = arena_new(0);
    Err err = {0};
    Span bodies[3], ids[100];
    char texts[100][24];
    int64_t seen = 0;
    open_read(&db);
    AUTO(Rows) rows = rows_new(&INBOX_ROWS);
    for (int i = 0; i < 100; i++) {
        snprintf(texts[i], sizeof texts[i], "event-%d", i);
        ids[i] = span_of(texts[i]);
        if (i % 3 == 0) inbox_add(rows, ids[i], i, 5);
    }
    inbox_add(rows, ids[3], 3, 5); /* twice is fine */
    CHECK(rows_count(rows) == 35);
    CHECK_OK(rows_flush(rows, db, &err), &err);
    CHECK(rows_count(rows) == 0 && test_db_number(db, "SELECT count(*) FROM inbox") == 34);
    CHECK_OK(inbox_known(db, ids, 100, count_known, &seen, &err), &err);
    CHECK(seen == 34);
    seen = 0;

    AUTO(Rows) waiting = rows_new(&WAITING_ROWS);
    waiting_add(waiting, 5, SPAN("five"), 0);
    waiting_add(waiting, 3, SPAN("three"), 0);
    CHECK_OK(rows_flush(waiting, db, &err), &err);
    waiting_add(waiting, 3, SPAN("again"), 0);
    CHECK_OK(rows_flush(waiting, db, &err), &err);
    CHECK_OK(waiting_each(db, collect, &seen, &err), &err);
    CHECK(seen == 35);
    CHECK_OK(waiting_read(db, 3, 5, arena, bodies, &err), &err);
    CHECK_SPAN(bodies[0], "three");
    CHECK(!bodies[1].at);
    CHECK_SPAN(bodies[2], "five");
    CHECK_OK(waiting_remove(db, 1, 4, &err), &err);
    CHECK(test_db_number(db, "SELECT count(*) FROM waiting") == 1);

    DeadEvent dead = {.body = SPAN("{}"), .reason = "no id", .index = 1};
    CHECK_OK(dead_event_add(db, &dead, 0, &err), &err);
    CHECK_OK(dead_event_add(db, &dead, 0, &err), &err);
    dead.index = 2;
    CHECK_OK(dead_event_add(db, &dead, 0, &err), &err);
    CHECK(test_db_number(db, "SELECT count(*) FROM event_dead_letter") == 2);
}

/* Whatever bytes there are: PostgreSQL reads them out of arrays. */
static void any_text_and_bytes_come_back(void) {
    static const char *const TEXTS[] = {"",
                                        "NULL",
                                        "null",
                                        "{}",
                                        "a,b",
                                        "\"",
                                        "\\",
                                        "\\\"{,}'",
                                        " x ",
                                        "\n\t",
                                        "\xc3\xa9 \xf0\x9f\x98\x80",
                                        "'; --",
                                        "?",
                                        "{id}"};
    AUTO(Db) db = NULL;
    AUTO(Arena) arena = arena_new(0);
    AUTO(Rows) waiting = rows_new(&WAITING_ROWS);
    AUTO(Rows) inbox = rows_new(&INBOX_ROWS);
    Err err = {0};
    char all[256];
    Span bodies[COUNT(TEXTS) + 2], ids[COUNT(TEXTS)];
    open_read(&db);
    for (size_t i = 0; i < COUNT(TEXTS); i++) {
        ids[i] = span_of(TEXTS[i]);
        inbox_add(inbox, ids[i], (int64_t)i, 0);
        waiting_add(waiting, (int64_t)i, ids[i], 0);
    }
    for (size_t i = 0; i < sizeof all; i++) all[i] = (char)i;
    char *large = must(arena_alloc(arena, 5 << 20)); /* more than goes into one statement */
    waiting_add(waiting, COUNT(TEXTS), span_bytes(large, 5 << 20), 0);
    waiting_add(waiting, COUNT(TEXTS) + 1, span_bytes(all, sizeof all), 0);
    REQUIRE(CHECK_OK(rows_flush(inbox, db, &err) && rows_flush(waiting, db, &err), &err));
    REQUIRE(CHECK_OK(waiting_read(db, 0, COUNT(TEXTS) + 1, arena, bodies, &err), &err));
    for (size_t i = 0; i < COUNT(TEXTS); i++) CHECK_SPAN(bodies[i], TEXTS[i]);
    CHECK(bodies[COUNT(TEXTS)].len == 5 << 20);
    CHECK(span_equal(bodies[COUNT(TEXTS) + 1], span_bytes(all, sizeof all)));
    AUTO(Map) seen = map_new();
    CHECK_OK(inbox_known(db, ids, COUNT(TEXTS), put_in_map, seen, &err), &err);
    for (size_t i = 0; i < COUNT(TEXTS); i++) CHECK(map_get(seen, ids[i]) != NULL);
    CHECK(map_count(seen) == COUNT(TEXTS));
}

static bool add_up(void *user, const ReplayRow *row) {
    int64_t *sum = user;
    CHECK_SPAN(row->tenant_id, "t");
    CHECK_SPAN(row->subject, "s");
    CHECK_SPAN(row->event_type, "E");
    CHECK_SPAN(row->issued_by, "u");
    CHECK(row->subject_version == row->sequence + 10 && row->body.len > 0);
    *sum = *sum * 10 + row->sequence;
    return row->sequence < 8;
}

/* The packed envelope that such a row has; every second one with a NUL, which SQLite is given otherwise. */
static void pack(int64_t sequence, Buf *out) {
    Events__V1__Envelope e = EVENTS__V1__ENVELOPE__INIT;
    e.tenant_id = message_text("t"), e.subject = message_text("s"), e.event_type = message_text("E");
    e.issued_by = message_text("u"), e.subject_version = sequence + 10;
    e.data = (ProtobufCBinaryData){2, (uint8_t *)(sequence % 2 ? "a\xff" : "\0\xff")};
    message_pack(&e.base, out);
    envelope_append_numbers(out, sequence, sequence);
}

static void a_damaged_row_is_told(void) {
    AUTO(Db) db = NULL;
    Err err = {0};
    AUTO(Rows) rows = rows_new(&REPLAY_ROWS);
    open_read(&db);
    replay_log_append(rows, &(ReplayRow){.sequence = 1,
                                         .tenant_id = SPAN("t"),
                                         .subject = SPAN("s"),
                                         .event_type = SPAN("E"),
                                         .issued_by = SPAN(""),
                                         .body = SPAN("\x0a\x09x")});
    CHECK_OK(rows_flush(rows, db, &err), &err);
    int64_t sum = 0;
    CHECK(!replay_log_read(db, 0, 9, 9, &(ReplayVisitor){add_up, &sum}, &err) && err_is(&err, &ERR_INTERNAL));
    CHECK(sum == 0);
}

static void the_log_is_read_by_number(void) {
    AUTO(Db) db = NULL;
    Err err = {0};
    ReplayHead head;
    int64_t oldest;
    AUTO(Rows) rows = rows_new(&REPLAY_ROWS);
    open_read(&db);
    REQUIRE(CHECK_OK(replay_log_head(db, &head, &err), &err));
    CHECK(head.head == 0 && !head.epoch[0]);
    CHECK(replay_log_oldest(db, &oldest, &err) && oldest == 1);
    for (int64_t i = 1; i <= 9; i++) {
        AUTO_BUF body = {0};
        pack(i, &body);
        ReplayRow row = {.sequence = i,
                         .tenant_id = SPAN("t"),
                         .subject = SPAN("s"),
                         .event_type = SPAN("E"),
                         .issued_by = SPAN("u"),
                         .body = buf_view(&body)};
        replay_log_append(rows, &row);
        CHECK_OK(rows_flush(rows, db, &err), &err);
    }
    head = (ReplayHead){.epoch = "e", .head = 9};
    CHECK_OK(replay_log_set_head(db, &head, 0, &err), &err);
    CHECK(replay_log_head(db, &head, &err) && head.head == 9 && !strcmp(head.epoch, "e"));
    CHECK(!replay_log_set_head(db, &head, 8, &err) && err_is(&err, &ERR_CONFLICT)); /* by somebody else */
    err_clear(&err);
    static const struct {
        int64_t after, upto, limit, want;
    } READS[] = {{0, 3, 10, 123}, {4, 9, 2, 56}, {5, 9, 10, 678}, {9, 99, 10, 0}, {0, 9, 1, 1}};
    for (size_t i = 0; i < COUNT(READS); i++) {
        int64_t sum = 0;
        ReplayVisitor visitor = {add_up, &sum};
        CHECK_OK(replay_log_read(db, READS[i].after, READS[i].upto, READS[i].limit, &visitor, &err), &err);
        CHECK(sum == READS[i].want);
    }
}

SUITE_ON_ENGINES("read side", TEST(only_newer_versions_replace), TEST(many_versions_at_once),
                 TEST(the_first_outcome_stays), TEST(the_inbox_remembers), TEST(any_text_and_bytes_come_back),
                 TEST(the_log_is_read_by_number), TEST(a_damaged_row_is_told));
