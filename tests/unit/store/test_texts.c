/* Every statement of this room, in each dialect, as the engine would get it (kit/texts.h). The rows that are answered
 * are made up, so what the calls return is of no interest: that they go on to their next statement is. A statement that
 * is new belongs into the function of its part below. */
#include "kit/texts.h"

#include "store/dead_letters.h"
#include "store/grid/grid_log.h"
#include "store/outbox/lanes.h"
#include "store/outbox/migrations_relay.h"
#include "store/outbox/outbox_admin.h"
#include "store/outbox/outbox_read.h"
#include "store/read/event_queries.h"
#include "store/read/inbox.h"
#include "store/read/migrations_read.h"
#include "store/read/outcomes.h"
#include "store/read/prospect_queries.h"
#include "store/read/read_model.h"
#include "store/retention.h"
#include "store/users/revocations.h"
#include "store/users/user_sessions.h"
#include "store/write/migrations_write.h"
#include "store/write/write_model.h"

#define SAID(call) test_texts_said(call, &err)

/* ---- users ---- */

static void no_revocation(void *user, const Revocation *row) {
    (void)user, (void)row;
}

static void say_users(DbDialect dialect) {
    AUTO(Users) users = NULL;
    Err err = {0};
    User user = {0};
    bool narrowed;
    REQUIRE(CHECK_OK(users_open(test_texts_url(dialect), &users, &err), &err));
    SAID(tenant_add(users, SPAN("a"), &err));
    SAID(user_add(users, SPAN("ada"), SPAN("a"), SPAN("operator"), SPAN("a long password"), &err));
    SAID(user_set_password(users, SPAN("ada"), SPAN("a longer password"), &err));
    SAID(user_disable(users, SPAN("ada"), &err));
    SAID(user_revoke(users, SPAN("ada"), &err));
    SAID(user_enable(users, SPAN("ada"), &err));
    SAID(user_set_scopes(users, SPAN("ada"), SPAN("operator"), &narrowed, &err));
    SAID(user_find(users, SPAN("id"), &user, &err));
    SAID(user_login(users, SPAN("ada"), SPAN("a long password"), &user, &err));
    SAID(revocations_read(users, 1, 10, no_revocation, NULL, &err));
    test_texts_answer(TEXT_NO_ROW);
    SAID(tenant_add(users, SPAN("b"), &err));
}

static void say_sessions(DbDialect dialect) {
    AUTO(Users) users = NULL;
    Err err = {0};
    User user = {0};
    Renewal renewal;
    TicketGrant grant = {.user_id = "u"};
    char secret[SECRET_TEXT];
    const SessionTimes times = {-1, 10, 100};
    REQUIRE(CHECK_OK(users_open(test_texts_url(dialect), &users, &err), &err));
    SAID(refresh_issue(users, &times, &user, secret, &err));
    SAID(refresh_rotate(users, &times, span_of(secret), &renewal, &err)); /* used: column 2 says so */
    SAID(session_end(users, &times, SPAN("family"), &err));
    SAID(ticket_issue(users, &grant, 1, secret, &err));
    SAID(ticket_take(users, span_of(secret), SPAN(""), 1, &grant, &err));
    test_texts_answer(TEXT_ZEROS); /* it was not used, and is not over at -1 */
    SAID(refresh_rotate(users, &times, span_of(secret), &renewal, &err));
}

/* ---- the write model ---- */

static const Prospect ADA = {.prospect_id = 7,
                             .tenant_id = "a",
                             .first_name = "Ada",
                             .last_name = "L",
                             .email = "a@b",
                             .phone = "",
                             .notes = "",
                             .version = 1};

static void say_write_model(Db *db, WriteModel *m, Arena *arena, bool creates) {
    Err err = {0};
    Prospect next = ADA, seen = {0};
    int64_t id = 0;
    bool found;
    const CommandKey key = {SPAN("a"), SPAN("u"), SPAN("c")};
    write_model_begin(m, arena, 1);
    commands_done_want(m->done, &key);
    prospects_want(m->prospects, 0); /* the id that every row has */
    prospects_want_email(m->prospects, SPAN("a"), SPAN("a@b"));
    SAID(write_model_read(m, &err));
    SAID(prospects_load(m->prospects, 0, &seen, &found, &err));
    SAID(prospects_next_id(m->prospects, &id, &err));
    next.prospect_id = creates ? ADA.prospect_id : 0;
    next.version = creates ? 1 : seen.version + 1;
    if (creates)
        SAID(prospects_insert(m->prospects, &next, SPAN("a@b"), &err));
    else
        SAID(prospects_update(m->prospects, &next, SPAN("old@b"), SPAN("a@b"), &err));
    next = ADA;
    next.prospect_id = 9;
    SAID(prospects_end(m->prospects, &next, SPAN("end@b"), &err));
    Events__V1__Envelope envelope = EVENTS__V1__ENVELOPE__INIT;
    commands_done_add(m->done, &key, 1, SPAN("e"), 1);
    SAID(outbox_add(m->outbox, &envelope, 1, &err));
    SAID(write_model_write(m, &err));
    db_rollback(db);
}

static void say_write(DbDialect dialect) {
    AUTO(Db) db = test_texts_open(dialect);
    AUTO(WriteModel) m = write_model_new(db);
    AUTO(Arena) arena = arena_new(0);
    Err err = {0};
    size_t gone;
    SAID(write_migrate(db, &err));
    say_write_model(db, m, arena, true);
    say_write_model(db, m, arena, false);
    SAID(retain_command_marks(db, 1, 1, &gone, &err));
}

/* ---- numbers and the outbox ---- */

static bool each_letter(void *user, const DeadLetter *letter) {
    (void)user, (void)letter;
    return true;
}

static void say_letters(Db *db, const DeadLetterTable *table) {
    Err err = {0};
    DeadLetter letter;
    int64_t count;
    AUTO(Arena) arena = arena_new(0);
    SAID(dead_letters(db, table, 0, 10, &(DeadLetterVisitor){.each = each_letter}, &err));
    SAID(dead_letter_find(db, table, 1, arena, &letter, &err));
    SAID(dead_letter_remove(db, table, 1, &err));
    SAID(dead_letter_count(db, table, &count, &err));
}

static void say_numbers(DbDialect dialect) {
    AUTO(Db) db = test_texts_open(dialect);
    AUTO(Arena) arena = arena_new(0);
    Err err = {0};
    NumbersState state = {0};
    NumberedRow numbered[8];
    OutboxStatus status;
    OutboxRow *outbox;
    size_t count;
    int64_t id;
    SAID(relay_migrate(db, &err));
    SAID(numbers_load(db, &state, &err));
    SAID(numbers_stored(db, &state, &err));
    SAID(numbers_read(db, 1, 8, numbered, COUNT(numbered), &count, &err));
    SAID(numbers_skip(db, 1, "refused", SPAN("body"), 1, &err));
    SAID(numbers_mark(db, &state, &err));
    SAID(outbox_status(db, db, &status, &err));
    SAID(outbox_renumber(db, db, "epoch", 10, 5, &err));
    SAID(outbox_first_id(db, &id, &err));
    SAID(outbox_read(db, 0, 10, 5, arena, &outbox, &count, &err));
    SAID(retain_set_disposable(db, 5, &err));
    SAID(retain_disposable(db, &id, &err));
    say_letters(db, &OUTBOX_LETTERS);
}

static void say_lanes(DbDialect dialect) {
    AUTO(Db) db = test_texts_open(dialect);
    AUTO(Arena) arena = arena_new(0);
    Err err = {0};
    NumbersState state = {0};
    LaneRow rows[8];
    LaneRows taken = {.at = rows, .most = COUNT(rows), .arena = arena};
    const int64_t published[OUTBOX_LANES] = {1};
    size_t given;
    bool elsewhere;
    SAID(lanes_number(db, "relay", published, &state, &taken, &err));
    SAID(lanes_claim(db, "relay", &taken, &elsewhere, &err));
    SAID(lanes_read(db, 1, 8, &taken, &err));
    SAID(lanes_published(db, "relay", published, &err));
    SAID(retain_outbox_server(db, 5, 1, 5, &given, &err));
}

/* What only files do. */
static void say_files(DbDialect dialect) {
    AUTO(Db) db = test_texts_open(dialect);
    Err err = {0};
    NumbersState state = {0};
    size_t gone;
    int64_t id, ids[40] = {1};
    for (size_t i = 0; i < COUNT(ids); i++) ids[i] = (int64_t)i + 1;
    SAID(numbers_give(db, &state, ids, COUNT(ids), &err));
    SAID(outbox_last_id(db, &id, &err));
    SAID(retain_outbox_file(db, 1, 1, 5, &gone, &err));
    SAID(retain_numbers_file(db, 1, 5, &gone, &err));
    say_letters(db, &DELIVERY_LETTERS);
}

static bool each_position(void *user, int64_t position, Span body) {
    (void)user, (void)position, (void)body;
    return true;
}

static void say_grid(DbDialect dialect) {
    AUTO(GridLog) log = NULL;
    Err err = {0};
    int64_t number;
    const GridDeadLetter letter = {.subscription = SPAN("s"), .reason = SPAN("gone")};
    REQUIRE(CHECK_OK(grid_log_open(test_texts_url(dialect), &log, &err), &err));
    SAID(grid_log_last(log, &number, &err));
    SAID(grid_log_first(log, &number, &err));
    SAID(grid_log_append(log, 1, SPAN("{}"), 1, &err));
    SAID(grid_log_cursor(log, SPAN("s"), &number, &err));
    SAID(grid_log_set_cursor(log, SPAN("s"), 1, &err));
    test_texts_answer(TEXT_NO_ROW);
    SAID(grid_log_set_cursor(log, SPAN("s"), 1, &err));
    test_texts_answer(TEXT_COLUMNS);
    SAID(grid_log_delete(log, 1, &err));
    SAID(grid_log_bury(log, &letter, &err));
    SAID(grid_log_read(log, 0, 10, each_position, NULL, &err));
}

/* ---- the read model ---- */

static bool each_row(void *user, const ReplayRow *row) {
    (void)user, (void)row;
    return true;
}
static void each_id(void *user, Span id) {
    (void)user, (void)id;
}
static void each_sequence(void *user, int64_t sequence) {
    (void)user, (void)sequence;
}

static void say_rows(Db *db, const RowShape *shape) {
    AUTO(Rows) rows = rows_new(shape);
    Err err = {0};
    for (const char *c = shape->given.columns; *c; c++) {
        if (*c == 'i')
            rows_int(rows, 1);
        else if (*c == 'b')
            rows_blob(rows, SPAN("b"));
        else
            rows_text(rows, SPAN("t"));
    }
    SAID(rows_flush(rows, db, &err));
}

static void say_receiving(Db *db) {
    const Span ids[] = {SPAN("a"), SPAN("b")};
    Err err = {0};
    Span bodies[4];
    AUTO(Arena) arena = arena_new(0);
    const DeadEvent dead = {.sequence = 1, .reason = "unreadable"};
    SAID(inbox_known(db, ids, COUNT(ids), each_id, NULL, &err));
    say_rows(db, &INBOX_ROWS);
    say_rows(db, &WAITING_ROWS);
    say_rows(db, &OUTCOME_ROWS);
    say_rows(db, &REPLAY_ROWS);
    SAID(waiting_read(db, 0, 3, arena, bodies, &err));
    SAID(waiting_remove(db, 1, 2, &err));
    SAID(waiting_each(db, each_sequence, NULL, &err));
    SAID(dead_event_add(db, &dead, 1, &err));
    say_letters(db, &PROJECTION_LETTERS);
}

static void say_log(Db *db) {
    Err err = {0};
    ReplayHead head = {.epoch = "e"};
    int64_t oldest;
    size_t seen;
    const ReplayVisitor visitor = {.row = each_row};
    AUTO(Arena) arena = arena_new(0);
    Events__V1__CommandOutcome *outcome;
    SAID(replay_log_head(db, &head, &err));
    SAID(replay_log_set_head(db, &head, 0, &err));
    SAID(replay_log_begin_epoch(db, &head, &err));
    SAID(replay_log_oldest(db, &oldest, &err));
    SAID(replay_log_trim(db, 100, 10, &seen, &err));
    SAID(replay_log_read(db, 0, 10, 5, &visitor, &err));
    SAID(tenant_log_read(db, SPAN("a"), 0, 10, 5, &visitor, &err));
    SAID(subject_history(db, SPAN("a"), SPAN("s"), 10, 5, &visitor, &err));
    SAID(outcome_find(db, SPAN("a"), SPAN("u"), SPAN("c"), arena, &outcome, &err));
}

static void say_models(Db *db) {
    Err err = {0};
    bool done;
    SAID(rebuild_take(db, "run", &err));
    SAID(rebuild_begin(db, "run", &err));
    SAID(rebuild_lock_head(db, &err));
    db_rollback(db);
    for (int model = 0; model < MODELS; model++) {
        say_rows(db, &PROSPECT_ROWS[model]);
        say_rows(db, &PROSPECT_ROWS_AGAIN[model]);
        /* the highest id is 0 in each answer: -1 goes on, 0 is the end */
        for (int64_t from = -1; from <= 0; from++) {
            int64_t after = from;
            SAID(read_model_clear(db, model, &after, 5, &done, &err));
            after = from;
            SAID(read_model_copy(db, model, &after, 5, &done, &err));
        }
        SAID(rebuild_switch(db, model, &err));
    }
}

static void say_queries(Db *db) {
    Err err = {0};
    AUTO(Arena) arena = arena_new(0);
    ProspectRow *rows;
    Events__V1__Prospect *prospect;
    size_t count;
    int64_t merged;
    bool more;
    SAID(read_begin(db, &err));
    for (int i = 0; i < 2 * 2 * 2 * SORTS * MODELS; i++) {
        ProspectQuery q = {.tenant_id = SPAN("a"), .words = {SPAN("ada"), SPAN("l")}, .limit = 10};
        q.word_count = i & 1 ? 2 : 0;
        q.descending = i & 2;
        q.has_after = i & 4;
        q.sort = (ProspectSort)(i / 8 % SORTS);
        q.model = i / 8 / SORTS;
        q.after_key = SPAN("k");
        SAID(prospect_page(db, &q, arena, &rows, &count, &more, &err));
    }
    for (int model = 0; model < MODELS; model++) {
        const ProspectKey key = {SPAN("a"), 1, model};
        SAID(prospect_find(db, &key, arena, &prospect, &err));
        SAID(prospect_merged_into(db, &key, &merged, &err));
    }
    read_end(db);
}

static void say_read(DbDialect dialect) {
    AUTO(Db) db = test_texts_open(dialect);
    Err err = {0};
    size_t gone;
    SAID(read_migrate(db, &err));
    say_receiving(db);
    say_log(db);
    say_models(db);
    say_queries(db);
    SAID(retain_inbox(db, 1, 5, &gone, &err));
    SAID(retain_outcomes(db, 1, 5, &gone, &err));
}

/* ---- each part, in each dialect ---- */

static const struct {
    const char *name;
    void (*say)(DbDialect dialect);
    bool files_too, servers_too;
} PARTS[] = {
    {"users", say_users, true, true},  {"sessions", say_sessions, true, true},
    {"write", say_write, true, true},  {"numbers", say_numbers, true, true},
    {"lanes", say_lanes, false, true}, {"files", say_files, true, false},
    {"grid", say_grid, true, false},   {"read", say_read, true, true},
};

static void say_all(DbDialect dialect) {
    for (size_t i = 0; i < COUNT(PARTS); i++) {
        if (!(dialect == DB_SQLITE ? PARTS[i].files_too : PARTS[i].servers_too)) continue;
        test_texts_begin();
        PARTS[i].say(dialect);
        CHECK(test_texts_count() > 8);
        test_texts_check(dialect);
    }
    test_texts_begin();
}

static void sqlite(void) {
    say_all(DB_SQLITE);
}
static void postgresql(void) {
    say_all(DB_POSTGRESQL);
}
static void sqlserver(void) {
    say_all(DB_SQLSERVER);
}

SUITE("texts of the store", TEST(sqlite), TEST(postgresql), TEST(sqlserver));
