#include "store/outbox/numbers.h"

#include "kit/test.h"
#include "store/outbox/migrations_relay.h"
#include "store/outbox/outbox_read.h"
#include <stdio.h>

static void open_file(const char *name, Db **db) {
    char url[300];
    Err err = {0};
    snprintf(url, sizeof url, "sqlite:%s/%s", test_folder(), name);
    REQUIRE(CHECK_OK(db_open(url, (DbOptions){0}, db, &err), &err));
}

static void numbers_are_dense_and_kept(void) {
    AUTO(Db) db = NULL;
    Err err = {0};
    NumbersState state, again;
    open_file("numbers.db", &db);
    REQUIRE(CHECK_OK(relay_migrate(db, &err), &err));
    REQUIRE(CHECK_OK(relay_migrate(db, &err), &err));
    REQUIRE(CHECK_OK(numbers_load(db, &state, &err), &err));
    CHECK(strlen(state.epoch) == 36 && state.last == 0 && state.published == 0);

    int64_t ids[100], given = 0;
    static const size_t SIZES[] = {1, 31, 32, 33, 100, 64};
    for (size_t i = 0; i < COUNT(SIZES); i++) {
        for (size_t k = 0; k < SIZES[i]; k++) ids[k] = 3 * ++given; /* row ids have gaps, numbers have none */
        REQUIRE(CHECK_OK(numbers_give(db, &state, ids, SIZES[i], &err), &err));
        CHECK(state.last == given && state.last_outbox_id == 3 * given);
    }
    state.published = 77;
    CHECK_OK(numbers_mark(db, &state, &err), &err);
    REQUIRE(CHECK_OK(numbers_load(db, &again, &err), &err));
    CHECK(!strcmp(state.epoch, again.epoch) && again.last == given && again.published == 77);

    NumberedRow rows[300];
    size_t count;
    REQUIRE(CHECK_OK(numbers_read(db, 1, 1000, rows, COUNT(rows), &count, &err), &err));
    REQUIRE(count == (size_t)given);
    for (size_t i = 0; i < count; i++)
        CHECK(rows[i].sequence == (int64_t)i + 1 && rows[i].outbox_id == 3 * rows[i].sequence &&
              !rows[i].skipped);
}

static void a_row_gets_one_number_only(void) {
    AUTO(Db) db = NULL;
    Err err = {0};
    NumbersState state, before;
    open_file("once.db", &db);
    REQUIRE(relay_migrate(db, &err) && numbers_load(db, &state, &err));
    REQUIRE(CHECK_OK(numbers_give(db, &state, (int64_t[]){1, 2}, 2, &err), &err));
    before = state;
    CHECK(!numbers_give(db, &state, (int64_t[]){3, 2}, 2, &err));
    CHECK(err_is(&err, &ERR_DUPLICATE));
    CHECK(state.last == before.last && state.last_outbox_id == before.last_outbox_id);
    err_clear(&err);
    CHECK_OK(numbers_give(db, &state, (int64_t[]){3}, 1, &err),
             &err); /* the failed one left nothing behind */
    CHECK(state.last == 3);
}

static void skipped_numbers_are_marked(void) {
    AUTO(Db) db = NULL;
    Err err = {0};
    NumbersState state;
    NumberedRow rows[3];
    size_t count;
    open_file("skipped.db", &db);
    REQUIRE(relay_migrate(db, &err) && numbers_load(db, &state, &err));
    REQUIRE(numbers_give(db, &state, (int64_t[]){1, 2, 3}, 3, &err));
    CHECK_OK(numbers_skip(db, 2, "the topic answered 400", SPAN("packed"), 5, &err), &err);
    CHECK_OK(numbers_skip(db, 2, "once more", SPAN("again"), 6, &err), &err);
    REQUIRE(CHECK_OK(numbers_read(db, 1, 3, rows, 3, &count, &err), &err));
    REQUIRE(count == 3);
    CHECK(!rows[0].skipped && rows[1].skipped && !rows[2].skipped);
}

static void the_outbox_is_read_in_order(void) {
    AUTO(Db) db = NULL;
    AUTO(Arena) arena = arena_new(0);
    Err err = {0};
    open_file("outbox.db", &db);
    REQUIRE(db_execute(db, "CREATE TABLE outbox (outbox_id INTEGER PRIMARY KEY, body BLOB)", &err));
    REQUIRE(db_execute(db, "INSERT INTO outbox VALUES (9, x'0900'), (2, x'02'), (5, x'')", &err));
    OutboxRow *rows;
    size_t count;
    REQUIRE(CHECK_OK(outbox_read(db, 0, INT64_MAX, 10, arena, &rows, &count, &err), &err));
    REQUIRE(count == 3);
    CHECK(rows[0].outbox_id == 2 && rows[1].outbox_id == 5 && rows[2].outbox_id == 9);
    CHECK(rows[1].body.len == 0 && span_equal(rows[2].body, span_bytes("\t\0", 2)));
    REQUIRE(CHECK_OK(outbox_read(db, 2, 5, 10, arena, &rows, &count, &err), &err));
    CHECK(count == 1 && rows[0].outbox_id == 5);
    REQUIRE(CHECK_OK(outbox_read(db, 0, INT64_MAX, 2, arena, &rows, &count, &err), &err));
    CHECK(count == 2);
}

SUITE("numbers", TEST(numbers_are_dense_and_kept), TEST(a_row_gets_one_number_only),
      TEST(skipped_numbers_are_marked), TEST(the_outbox_is_read_in_order));
