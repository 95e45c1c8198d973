/* The gateway's holes are filled from the log; what the log has trimmed is stepped over, and told to who needs it. */
#include "gateway/feed/keeper.h"

#include "base/clock.h"
#include "gateway/feed/hub.h"
#include "kit/engine.h"
#include "store/read/migrations_read.h"
#include "wire/envelope.h"
#include <stdio.h>

#define EPOCH "0190163d-8694-739b-aea5-966c26f8ad91"
enum { LAST = 10, BEGAN = 2 };

/* The log's rows 1 to 10, of which some are gone. */
static void make_log(Db *db, int64_t trimmed, const char *kept) {
    Err err = {0};
    AUTO(Rows) rows = rows_new(&REPLAY_ROWS);
    for (int64_t i = 1; i <= LAST; i++) {
        if (i <= trimmed && !strchr(kept, (char)('0' + i))) continue;
        static char body[LAST + 1][256]; /* until they are written */
        Events__V1__Envelope e = EVENTS__V1__ENVELOPE__INIT;
        e.event_id = (char *)"e", e.event_type = (char *)"ProspectCreated", e.tenant_id = (char *)"t";
        e.subject = (char *)"prospect/1", e.issued_by = (char *)"u", e.sequence = i;
        REQUIRE(events__v1__envelope__get_packed_size(&e) <= sizeof body[i]);
        size_t len = events__v1__envelope__pack(&e, (uint8_t *)body[i]);
        ReplayRow row = {.sequence = i,
                         .tenant_id = SPAN("t"),
                         .subject = SPAN("prospect/1"),
                         .event_type = SPAN("ProspectCreated"),
                         .issued_by = SPAN("u"),
                         .body = span_bytes(body[i], len)};
        replay_log_append(rows, &row);
    }
    REQUIRE(CHECK_OK(rows_flush(rows, db, &err), &err));
    char sql[160];
    snprintf(sql, sizeof sql, "UPDATE projection_state SET prefix = %d, trimmed = %lld, epoch = '%s'", LAST,
             (long long)trimmed, EPOCH);
    test_db_run(db, sql);
}

static void nobody_needs_repair(void *user) {
    (void)user;
}

static const struct {
    const char *name, *kept;
    int64_t trimmed;
    int64_t released, oldest; /* afterwards; oldest: the first position that the ring goes on from */
} CASES[] = {
    {"all is there", "", 0, LAST, BEGAN},        {"trimmed up to where it stands", "", BEGAN, LAST, BEGAN},
    {"trimmed beyond", "", 6, LAST, 6},          {"... but its next one is kept", "3", 6, LAST, 6},
    {"... and one in between", "5", 6, LAST, 6}, {"nothing is left", "", LAST, LAST, LAST},
};

static HubTake take_from(Hub *hub, int64_t after) {
    Event *events[LAST];
    size_t count = 0;
    unsigned generation;
    hub_position(hub, &generation);
    HubTake outcome = hub_take(hub, generation, after, LAST, 1 << 20, events, &count);
    for (size_t i = 0; i < count; i++) event_unref(events[i]);
    return outcome;
}

static void run_case(size_t i) {
    AUTO(Db) db = NULL;
    AUTO(Doorbell) bell = NULL;
    AUTO(Hub) hub = hub_new(&HUB_LIMITS, nobody_needs_repair, NULL);
    AUTO(Keeper) keeper = NULL;
    Err err = {0};
    Gateway gateway = {.hub = hub};
    const char *home = test_folder(), *url = test_database_with(read_migrate);
    db = test_db_open(url, (DbOptions){0});
    REQUIRE(CHECK_OK(read_migrate(db, &err), &err));
    make_log(db, CASES[i].trimmed, CASES[i].kept);
    REQUIRE(CHECK_OK(doorbell_open(home, "gateway", &bell, &err), &err));
    int64_t now = INT64_C(1000000000000000);
    clock_fake(now);
    hub_start(hub, &(ReplayHead){.epoch = EPOCH, .head = BEGAN});
    gateway.held = LAST; /* known: no news for loops, which are not there */
    KeeperOptions options = {&gateway, NULL, bell, {url, "sql:", home}, 3600000};
    keeper = keeper_new(&options);
    hub_held(hub, SPAN(EPOCH), LAST);
    for (int turn = 0; turn < 5; turn++) clock_fake(now += 1500000), keeper_turn(keeper);
    int64_t released = hub_position(hub, NULL).head;
    if (released != CASES[i].released) printf("\n    %s: at %lld", CASES[i].name, (long long)released);
    CHECK(released == CASES[i].released);
    CHECK(take_from(hub, CASES[i].oldest) == HUB_TAKEN);
    CHECK(CASES[i].oldest == BEGAN || take_from(hub, CASES[i].oldest - 1) == HUB_TOO_OLD);
    clock_fake(-1);
}

static void what_is_trimmed_is_stepped_over(void) {
    for (size_t i = 0; i < COUNT(CASES); i++) run_case(i);
}

SUITE_ON_ENGINES("keeper", TEST(what_is_trimmed_is_stepped_over));
