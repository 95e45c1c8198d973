/* What is old goes, what is needed stays, in pieces of any size. */
#include "store/retention.h"

#include "kit/engine.h"
#include "store/read/inbox.h"
#include "store/read/migrations_read.h"
#include "store/read/outcomes.h"
#include "store/read/replay_log.h"
#include "store/write/command_done.h"
#include "store/write/migrations_write.h"
#include <stdio.h>

enum { ROWS = 25 };

static void open_migrated(bool (*migrate)(Db *db, Err *err), Db **db) {
    Err err = {0};
    *db = test_db_open(test_database_with(migrate), (DbOptions){0});
    REQUIRE(CHECK_OK(migrate(*db, &err), &err));
}

static void add_mark(Db *db, int64_t at) {
    char id[16];
    Err err = {0};
    snprintf(id, sizeof id, "c%lld", (long long)at);
    CommandKey key = {SPAN("t"), SPAN("u"), span_of(id)};
    AUTO(CommandsDone) done = commands_done_new(db);
    AUTO(Arena) arena = arena_new(0);
    commands_done_begin(done, arena);
    REQUIRE(commands_done_add(done, &key, 7, SPAN("e"), at));
    REQUIRE(CHECK_OK(commands_done_write(done, &err), &err));
}

static void add_read_row(Db *db, int64_t at, const RowShape *shape) {
    AUTO(Rows) rows = rows_new(shape);
    char id[16];
    Err err = {0};
    snprintf(id, sizeof id, "c%lld", (long long)at);
    OutcomeRow outcome = {.tenant_id = SPAN("t"),
                          .issued_by = SPAN("u"),
                          .command_id = span_of(id),
                          .status = 1,
                          .decided_at = at};
    if (shape == &INBOX_ROWS) inbox_add(rows, span_of(id), at, at);
    if (shape == &OUTCOME_ROWS) outcome_add(rows, &outcome);
    REQUIRE(CHECK_OK(rows_flush(rows, db, &err), &err));
}

static void add_inbox(Db *db, int64_t at) {
    add_read_row(db, at, &INBOX_ROWS);
}
static void add_outcome(Db *db, int64_t at) {
    add_read_row(db, at, &OUTCOME_ROWS);
}

static const struct {
    bool (*migrate)(Db *db, Err *err);
    void (*add)(Db *db, int64_t at);
    bool (*retain)(Db *db, int64_t before_us, size_t most, size_t *gone, Err *err);
    const char *count, *oldest;
} TABLES[] = {
    {write_migrate, add_mark, retain_command_marks, "SELECT count(*) FROM command_done",
     "SELECT min(done_at) FROM command_done"},
    {read_migrate, add_inbox, retain_inbox, "SELECT count(*) FROM inbox",
     "SELECT min(received_at) FROM inbox"},
    {read_migrate, add_outcome, retain_outcomes, "SELECT count(*) FROM command_outcome",
     "SELECT min(decided_at) FROM command_outcome"},
};

/* Times 1 to 25 in an order of their own; older than 18 goes, ten at a time. */
static void old_rows_go_in_pieces(void) {
    for (size_t i = 0; i < COUNT(TABLES); i++) {
        AUTO(Db) db = NULL;
        Err err = {0};
        size_t gone;
        open_migrated(TABLES[i].migrate, &db);
        for (int64_t k = 0; k < ROWS; k++) TABLES[i].add(db, 1 + k * 7 % ROWS);
        static const size_t WANT[] = {10, 7, 0};
        for (size_t turn = 0; turn < COUNT(WANT); turn++) {
            CHECK_OK(TABLES[i].retain(db, 18, 10, &gone, &err), &err);
            CHECK(gone == WANT[turn]);
        }
        CHECK(test_db_number(db, TABLES[i].count) == 8 && test_db_number(db, TABLES[i].oldest) == 18);
    }
}

static void a_mark_within_its_time_is_found(void) {
    AUTO(Db) db = NULL;
    Err err = {0};
    size_t gone;
    open_migrated(write_migrate, &db);
    add_mark(db, 5), add_mark(db, 6);
    REQUIRE(CHECK_OK(retain_command_marks(db, 6, 10, &gone, &err), &err));
    static const struct {
        const char *id;
        bool found;
    } MARKS[] = {{"c5", false}, {"c6", true}};
    for (size_t i = 0; i < COUNT(MARKS); i++) {
        CommandKey key = {SPAN("t"), SPAN("u"), span_of(MARKS[i].id)};
        AUTO(CommandsDone) done = commands_done_new(db);
        AUTO(Arena) arena = arena_new(0);
        uint64_t hash = 7;
        commands_done_begin(done, arena);
        commands_done_want(done, &key);
        REQUIRE(CHECK_OK(commands_done_read(done, &err), &err));
        CHECK(commands_done_find(done, &key, &hash) == MARKS[i].found && hash == 7);
    }
}

/* What happened at the times 1, 2, 3 ... */
static const struct {
    const char *subject, *type;
    int64_t version;
    bool goes, goes_later; /* with all before 12 old; with all before 16 old */
} LOG[] = {
    {"prospect/1", "ProspectCreated", 1, false, false}, /* its start */
    {"prospect/1", "ProspectUpdated", 2, true, true},   /* in between */
    {"prospect/2", "ProspectCreated", 1, false, false}, /* the only one */
    {"prospect/1", "CommandRejected", 0, true, true},   /* says nothing of a state */
    {"prospect/3", "ProspectCreated", 1, false, false},
    {"prospect/1", "ProspectUpdated", 3, true, true}, /* a younger one has the state */
    {"prospect/3", "ProspectUpdated", 2, true, true},
    {"prospect/3", "EventSkipped", 3, true, true}, /* has no state */
    {"", "CommandRejected", 0, true, true},
    {"prospect/4", "ProspectCreated", 1, false, false},
    {"prospect/4", "ProspectMerged", 2, false, false}, /* the end */
    {"prospect/1", "ProspectUpdated", 4, false, true}, /* from here on young */
    {"prospect/3", "ProspectUpdated", 4, false, false},
    {"prospect/1", "ProspectUpdated", 5, false, false},
    {"", "CommandRejected", 0, false, true},
    {"prospect/5", "ProspectCreated", 1, false, false},
};

static void append(Db *db, int64_t at, const char *subject, const char *type, int64_t version) {
    AUTO(Rows) rows = rows_new(&REPLAY_ROWS);
    Err err = {0};
    ReplayRow row = {.sequence = at,
                     .subject_version = version,
                     .occurred_at = at,
                     .tenant_id = SPAN("t"),
                     .subject = span_of(subject),
                     .event_type = span_of(type),
                     .issued_by = SPAN("u"),
                     .body = SPAN("b")};
    replay_log_append(rows, &row);
    REQUIRE(CHECK_OK(rows_flush(rows, db, &err), &err));
    test_db_run(db, "UPDATE projection_state SET prefix = prefix + 1");
}

static void fill_log(Db *db) {
    for (size_t i = 0; i < COUNT(LOG); i++)
        append(db, (int64_t)i + 1, LOG[i].subject, LOG[i].type, LOG[i].version);
}

static void trim(Db *db, int64_t before, size_t most, int64_t want_oldest) {
    Err err = {0};
    size_t seen;
    int64_t oldest;
    do {
        REQUIRE(CHECK_OK(db_begin(db, &err) && replay_log_trim(db, before, most, &seen, &err) &&
                             db_commit(db, &err),
                         &err));
    } while (seen == most);
    REQUIRE(CHECK_OK(replay_log_oldest(db, &oldest, &err), &err));
    CHECK(oldest == want_oldest);
}

static void check_log(Db *db, bool later) {
    for (size_t i = 0; i < COUNT(LOG); i++) {
        char sql[80];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM replay_log WHERE sequence = %zu", i + 1);
        bool goes = later ? LOG[i].goes_later : LOG[i].goes;
        if (test_db_number(db, sql) != !goes) printf("\n    event %zu, later %d", i + 1, later);
        CHECK(test_db_number(db, sql) == !goes);
    }
}

static void the_log_keeps_first_and_last(void) {
    for (size_t most = 1; most <= 20; most += most < 4 ? 1 : 8) {
        AUTO(Db) db = NULL;
        open_migrated(read_migrate, &db);
        fill_log(db);
        trim(db, 0, most, 1);
        trim(db, 12, most, 12);
        check_log(db, false);
        trim(db, 16, most, 16);
        check_log(db, true);
        trim(db, 1000, most, 17); /* nothing can be resumed but what comes */
        CHECK(test_db_number(db, "SELECT count(*) FROM replay_log") == 8);
        append(db, 17, "prospect/3", "ProspectUpdated", 5); /* what was the last one goes with it */
        trim(db, 1000, most, 18);
        CHECK(test_db_number(db, "SELECT count(*) FROM replay_log") == 8);
        CHECK(test_db_number(db, "SELECT count(*) FROM replay_log WHERE sequence IN (5, 17)") == 2);
        append(db, 18, "prospect/5", "ProspectUpdated", 3);
        append(db, 19, "prospect/5", "ProspectUpdated",
               2); /* was requeued: the number is new, the state is not */
        trim(db, 1000, most, 20);
        CHECK(test_db_number(db, "SELECT count(*) FROM replay_log WHERE sequence IN (18, 19)") == 1);
        CHECK(test_db_number(db, "SELECT count(*) FROM replay_log WHERE sequence = 18") == 1);
    }
}

SUITE_ON_ENGINES("retention", TEST(old_rows_go_in_pieces), TEST(a_mark_within_its_time_is_found),
                 TEST(the_log_keeps_first_and_last));
