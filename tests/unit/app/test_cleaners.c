/* Cleaning as the programs do it: what is published, acknowledged and old leaves the outbox, and nothing
 * else; what is asked for again stays until then. */
#include "app/commands/prospect_cleaner.h"
#include "app/relay/relay.h"

#include "base/clock.h"
#include "kit/engine.h"
#include "store/outbox/migrations_relay.h"
#include "store/outbox/outbox.h"
#include "store/write/migrations_write.h"
#include <stdio.h>

#define S 1000000LL

typedef struct World {
    Db *numbers, *outbox;
    const char *numbers_url;
    Relay *relay;
    int64_t now, wall;
    bool down;
    size_t published;
    char ring[128];
} World;

static GridAnswer take_request(void *user, const Span *packed, size_t count) {
    World *w = user;
    (void)packed;
    if (w->down) return (GridAnswer){.outcome = GRID_RETRY, .taken = count, .status = 503};
    w->published += count;
    return (GridAnswer){.outcome = GRID_PUBLISHED, .taken = count, .status = 200};
}

static void publish(void *user, GridRequest *requests, size_t count) {
    for (size_t i = 0; i < count; i++)
        requests[i].answer = take_request(user, requests[i].packed, requests[i].count);
}

static void ring(void *user, const char *text) {
    World *w = user;
    snprintf(w->ring, sizeof w->ring, "%s", text);
}

static void start(World *w) {
    Err err = {0};
    const RelayOptions options = {.numbers = w->numbers,
                                  .outbox = w->outbox,
                                  .retention_s = 100,
                                  .owner = "a",
                                  .publish = publish,
                                  .ring = ring,
                                  .user = w};
    w->relay = relay_free(w->relay);
    REQUIRE(CHECK_OK(relay_open(&options, w->now, &w->relay, &err), &err));
    w->now += 4 * S;
}

static World *world_new(void) {
    World *w = must(calloc(1, sizeof *w));
    Err err = {0};
    const char *url = test_database_with(write_migrate);
    w->outbox = test_db_open(url, (DbOptions){0});
    w->numbers_url = test_engine() == DB_SQLITE ? test_database() : url;
    w->numbers = test_db_open(w->numbers_url, (DbOptions){0});
    REQUIRE(CHECK_OK(write_migrate(w->outbox, &err) && relay_migrate(w->numbers, &err), &err));
    w->now = 1000 * S;
    w->wall = clock_now_us();
    start(w);
    return w;
}

static World *world_free(World *w) {
    relay_free(w->relay);
    db_free(w->outbox), db_free(w->numbers);
    free(w);
    return NULL;
}
AUTO_FREE(World, world_free)

/* Rows that were written so many seconds ago. */
static void commit(World *w, int count, int64_t age_s) {
    Err err = {0};
    REQUIRE(db_begin(w->outbox, &err));
    for (int i = 0; i < count; i++) {
        Events__V1__Envelope e = EVENTS__V1__ENVELOPE__INIT;
        e.event_id = (char *)"e";
        e.event_type = (char *)"ProspectCreated";
        e.tenant_id = (char *)"t";
        e.subject = (char *)(i % 2 ? "prospect/1" : "prospect/2");
        e.subject_version = 1;
        REQUIRE(CHECK_OK(outbox_append(w->outbox, &e, w->wall - age_s * S, &err), &err));
    }
    REQUIRE(CHECK_OK(db_commit(w->outbox, &err), &err));
}

static void turn(World *w) {
    Err err = {0};
    bool more = true;
    for (int i = 0; more && i < 100; i++) REQUIRE(CHECK_OK(relay_turn(w->relay, w->now, &more, &err), &err));
}

static void hold(World *w, int64_t held) {
    char text[128], epoch[64];
    Span rest;
    span_split(span_of(w->ring), ' ', &rest);
    REQUIRE(span_copy(span_split(rest, ' ', &rest), epoch, sizeof epoch));
    snprintf(text, sizeof text, "held %s %lld", epoch, (long long)held);
    relay_hear(w->relay, text, w->now);
}

/* Both programs are started again and clean, one after the other, until nothing more goes. */
static void clean(World *w, int64_t held) {
    Err err = {0};
    const WriteRetention retention = {.command_s = 100, .outbox_s = 100, .relay_url = w->numbers_url};
    for (int i = 0; i < 2; i++) {
        bool more = true;
        REQUIRE(CHECK_OK(relay_close(w->relay, &err), &err));
        start(w);
        if (held >= 0) hold(w, held);
        for (int k = 0; k < 10; k++) turn(w);
        while (more) REQUIRE(CHECK_OK(write_clean(w->outbox, &retention, w->wall, &more, &err), &err));
    }
}

static void check_rows(World *w, int64_t rows, int64_t numbers) {
    int64_t have = test_db_number(w->outbox, "SELECT count(*) FROM outbox");
    int64_t numbered = test_db_number(w->numbers, "SELECT count(*) FROM numbered");
    if (have != rows || numbered != numbers)
        printf("\n    %lld rows, %lld numbers", (long long)have, (long long)numbered);
    CHECK(have == rows && numbered == numbers);
}

static void only_what_is_acknowledged_and_old_goes(void) {
    AUTO(World) w = world_new();
    commit(w, 1200, 200);
    commit(w, 7, 50);
    turn(w);
    CHECK(w->published == 1207);
    clean(w, -1);
    check_rows(w, 1207, 1207); /* nobody has acknowledged anything */
    commit(w, 1, 50);
    clean(w, 1100);
    check_rows(w, 108, 108); /* 100 that are not held, and 8 young ones */
    commit(w, 1, 200);
    w->down = true;
    clean(w, 1208);
    check_rows(w, 9, 9); /* the old one at the end is not published yet */
    w->down = false;
    w->now += 60 * S;
    turn(w);
    CHECK(w->published == 1209);
}

static void what_is_gone_cannot_be_had_again(void) {
    AUTO(World) w = world_new();
    commit(w, 10, 200);
    turn(w);
    clean(w, 10);
    check_rows(w, 0, 0);
    commit(w, 2, 1);
    turn(w);
    size_t before = w->published;
    relay_hear(w->relay, "repair 1 12", w->now);
    turn(w);
    CHECK(w->published == before + 2); /* 11 and 12 */
    relay_hear(w->relay, "repair 1 3", w->now);
    turn(w);
    CHECK(w->published == before + 2);
    w->now += S;
    turn(w);
    CHECK(relay_due_us(w->relay) > w->now); /* nor is it tried for ever */
}

/* A start, then nothing; after work once more, and then nothing again. */
static void an_idle_program_does_not_clean(void) {
    Cleaner c = cleaner_start(604800, 50 * S);
    CHECK(c.due_us == 50 * S);
    cleaner_done(&c, true, false, 50 * S);
    CHECK(c.due_us == 50 * S);
    cleaner_done(&c, false, false, 51 * S);
    CHECK(c.due_us == CLEANER_NEVER);
    cleaner_worked(&c, 60 * S), cleaner_worked(&c, 70 * S);
    CHECK(c.due_us == 3660 * S);
    cleaner_done(&c, false, true, 3660 * S); /* failed */
    CHECK(c.due_us == 7260 * S);
    cleaner_done(&c, false, false, 7260 * S);
    CHECK(c.due_us == CLEANER_NEVER);
    c = cleaner_start(2, 0);
    cleaner_done(&c, false, false, 0);
    cleaner_worked(&c, 0);
    CHECK(c.due_us == 2 * S);
}

SUITE_ON_ENGINES("cleaners", TEST(only_what_is_acknowledged_and_old_goes),
                 TEST(what_is_gone_cannot_be_had_again), TEST(an_idle_program_does_not_clean));
