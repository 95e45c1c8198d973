#include "store/outbox/outbox_admin.h"

#include "kit/engine.h"
#include "store/outbox/lanes.h"
#include "store/outbox/migrations_relay.h"
#include "store/outbox/outbox_read.h"
#include "store/write/migrations_write.h"
#include <stdio.h>

enum { ROWS = 10 };
static const char EPOCH[] = "00000000-0000-4000-8000-000000000001";

typedef struct Place {
    Db *numbers, *outbox;
} Place;

static void place_close(Place *p) {
    db_free(p->numbers), db_free(p->outbox);
}
#define AUTO_PLACE __attribute__((cleanup(place_close))) Place

static Place place_open(void) {
    Err err = {0};
    const char *url = test_database_with(write_migrate);
    Place p = {.outbox = test_db_open(url, (DbOptions){0})};
    p.numbers = test_db_open(test_engine() == DB_SQLITE ? test_database() : url, (DbOptions){0});
    REQUIRE(CHECK_OK(write_migrate(p.outbox, &err) && relay_migrate(p.numbers, &err), &err));
    return p;
}

static void write_rows(Place *p, int count, int64_t at) {
    Err err = {0};
    for (int i = 0; i < count; i++) {
        char subject[32];
        Events__V1__Envelope e = EVENTS__V1__ENVELOPE__INIT;
        snprintf(subject, sizeof subject, "prospect/%d", i);
        e.subject = subject;
        REQUIRE(CHECK_OK(outbox_append(p->outbox, &e, at + i, &err), &err));
    }
}

/* As a relay does it; how many rows got a number. */
static size_t number_rows(Place *p, int64_t *last) {
    AUTO(Arena) arena = arena_new(0);
    NumbersState state;
    OutboxRow *rows;
    LaneRow room[100];
    int64_t ids[100];
    size_t count;
    Err err = {0};
    LaneRows lanes = {.at = room, .most = 100, .arena = arena};
    REQUIRE(CHECK_OK(numbers_load(p->numbers, &state, &err), &err));
    if (test_engine() != DB_SQLITE) {
        REQUIRE(CHECK_OK(lanes_number(p->numbers, "a", NULL, &state, &lanes, &err), &err));
        count = lanes.given;
    } else {
        REQUIRE(CHECK_OK(
            outbox_read(p->outbox, state.last_outbox_id, INT64_MAX, 100, arena, &rows, &count, &err), &err));
        for (size_t i = 0; i < count; i++) ids[i] = rows[i].outbox_id;
        REQUIRE(CHECK_OK(numbers_give(p->numbers, &state, ids, count, &err), &err));
    }
    *last = state.last;
    return count;
}

static void status_counts(void) {
    AUTO_PLACE p = place_open();
    OutboxStatus s;
    Err err = {0};
    int64_t last;
    CHECK(!outbox_status(p.numbers, p.outbox, &s, &err) && err_is(&err, &ERR_NOT_FOUND));
    err_clear(&err);
    write_rows(&p, ROWS, 100);
    CHECK(number_rows(&p, &last) == ROWS);
    write_rows(&p, 3, 200);
    REQUIRE(CHECK_OK(outbox_status(p.numbers, p.outbox, &s, &err), &err));
    CHECK(s.last == ROWS && s.waiting == ROWS && s.fresh == 3 && s.since_us == 100 && !s.letters);
    test_db_run(p.numbers, test_engine() == DB_SQLITE ? "UPDATE relay_state SET published = 10"
                                                      : "UPDATE relay_lane SET published = last_sequence");
    REQUIRE(CHECK_OK(outbox_status(p.numbers, p.outbox, &s, &err), &err));
    CHECK(s.waiting == 0 && s.fresh == 3 && s.since_us == 200);
}

/* how much the projection holds of ten, where numbers go on, and how many rows get new ones */
static const struct {
    int64_t held, last;
    size_t again;
} EPOCHS[] = {{0, 10, 10}, {7, 10, 3}, {10, 10, 0}, {25, 25, 0}};

static void a_new_epoch_goes_on_above(void) {
    for (size_t i = 0; i < COUNT(EPOCHS); i++) {
        AUTO_PLACE p = place_open();
        NumbersState state;
        Err err = {0};
        int64_t last;
        write_rows(&p, ROWS, 100);
        number_rows(&p, &last);
        REQUIRE(CHECK_OK(outbox_renumber(p.numbers, p.outbox, EPOCH, EPOCHS[i].last, EPOCHS[i].held, &err),
                         &err));
        REQUIRE(CHECK_OK(numbers_load(p.numbers, &state, &err), &err));
        CHECK(!strcmp(state.epoch, EPOCH) && state.last == EPOCHS[i].last);
        CHECK(number_rows(&p, &last) == EPOCHS[i].again);
        CHECK(last == EPOCHS[i].last + (int64_t)EPOCHS[i].again);
        write_rows(&p, 2, 300);
        CHECK(number_rows(&p, &last) == 2);
    }
}

static bool take(void *user, const DeadLetter *letter) {
    int64_t *sum = user;
    *sum += letter->sequence;
    return true;
}

static void letters_are_kept_until_decided(void) {
    AUTO_PLACE p = place_open();
    AUTO(Arena) arena = arena_new(0);
    DeadLetter letter;
    Err err = {0};
    int64_t sum = 0;
    for (int64_t i = 1; i <= 3; i++)
        for (int again = 0; again < 2; again++)
            CHECK_OK(numbers_skip(p.numbers, i, again ? "again" : "why", SPAN("packed\0bytes"), 7, &err),
                     &err);
    REQUIRE(CHECK_OK(dead_letters(p.numbers, &OUTBOX_LETTERS, 1, 10, &(DeadLetterVisitor){take, &sum}, &err),
                     &err));
    CHECK(sum == 5);
    REQUIRE(CHECK_OK(dead_letter_find(p.numbers, &OUTBOX_LETTERS, 2, arena, &letter, &err), &err));
    CHECK_SPAN(letter.reason, "why");
    CHECK(letter.body.len == 12 && letter.dead_at == 7);
    CHECK_OK(dead_letter_remove(p.numbers, &OUTBOX_LETTERS, 2, &err), &err);
    CHECK(!dead_letter_remove(p.numbers, &OUTBOX_LETTERS, 2, &err) && err_is(&err, &ERR_NOT_FOUND));
    err_clear(&err);
    CHECK(!dead_letter_find(p.numbers, &OUTBOX_LETTERS, 2, arena, &letter, &err) &&
          err_is(&err, &ERR_NOT_FOUND));
    CHECK(test_db_number(p.numbers, "SELECT count(*) FROM skipped") == 3); /* the number stays given away */
}

SUITE_ON_ENGINES("outbox admin", TEST(status_counts), TEST(a_new_epoch_goes_on_above),
                 TEST(letters_are_kept_until_decided));
