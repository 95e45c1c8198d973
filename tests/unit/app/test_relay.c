#include "app/relay/relay.h"

#include "base/arena.h"
#include "base/buf.h"
#include "kit/engine.h"
#include "store/outbox/migrations_relay.h"
#include "store/outbox/outbox.h"
#include "store/write/migrations_write.h"
#include "wire/envelope.h"
#include <stdio.h>

enum { SEEN_MAX = 20000 };
#define S 1000000LL

/* A topic that answers as it is told, and remembers what it took. */
typedef struct World {
    Db *numbers, *outbox;
    Relay *relay;
    int64_t now;
    int64_t bad;   /* number that is refused with 400; 0: none */
    size_t most;   /* events that fit into a request; 0: any */
    unsigned down; /* requests that fail before the next good one */
    unsigned requests;
    size_t asked; /* events of the last request */
    int64_t seen[SEEN_MAX];
    size_t seen_count, skipped;
    int subjects;    /* that events are of in turn */
    size_t together; /* requests at the same time, the last time */
    size_t failing;  /* one of those, from 1, that gets the answer below, once; 0: none */
    GridAnswer bad_answer;
    char ring[128];
    unsigned rings;
} World;

static void see(World *w, Span packed) {
    AUTO(Arena) arena = arena_new(0);
    Events__V1__Envelope *e = envelope_unpack(packed, arena);
    REQUIRE(e != NULL && w->seen_count < SEEN_MAX);
    CHECK(e->watermark >= e->sequence);
    CHECK_SPAN(span_of(e->tenant_id), "t");
    CHECK(e->subject_version == 3);
    if (!strcmp(e->event_type, "EventSkipped")) {
        w->skipped++;
        Events__V1__EventSkipped *skipped =
            events__v1__event_skipped__unpack(arena_protobuf(arena), e->data.len, e->data.data);
        REQUIRE(skipped != NULL);
        CHECK(span_starts(span_of(skipped->event_id), SPAN("event-")));
        CHECK(strlen(e->event_id) == 36);
    }
    w->seen[w->seen_count++] = e->sequence;
}

static bool is_bad(World *w, Span packed) {
    AUTO(Arena) arena = arena_new(0);
    Events__V1__Envelope *e = envelope_unpack(packed, arena);
    return e->sequence == w->bad && strcmp(e->event_type, "EventSkipped") != 0;
}

static GridAnswer take_request(void *user, const Span *packed, size_t count) {
    World *w = user;
    GridAnswer answer = {.outcome = GRID_PUBLISHED, .taken = count, .status = 200};
    w->requests++;
    w->asked = count;
    bool bad = w->most && count > w->most;
    for (size_t i = 0; i < count; i++) bad = bad || is_bad(w, packed[i]);
    if (w->down) {
        w->down--;
        answer = (GridAnswer){.outcome = GRID_RETRY, .taken = count, .status = 503};
    } else if (bad) {
        answer = (GridAnswer){.outcome = count > 1 ? GRID_SPLIT : GRID_BAD, .taken = count, .status = 400};
    } else {
        for (size_t i = 0; i < count; i++) see(w, packed[i]);
    }
    return answer;
}

static void publish(void *user, GridRequest *requests, size_t count) {
    World *w = user;
    w->together = count;
    for (size_t i = 0; i < count; i++) {
        bool fails = w->failing == i + 1;
        if (fails) w->failing = 0, w->requests++;
        requests[i].answer =
            fails ? w->bad_answer : take_request(user, requests[i].packed, requests[i].count);
        if (fails) requests[i].answer.taken = requests[i].count;
    }
}

static void ring(void *user, const char *text) {
    World *w = user;
    snprintf(w->ring, sizeof w->ring, "%s", text);
    w->rings++;
}

static void start(World *w) {
    Err err = {0};
    const RelayOptions options = {.numbers = w->numbers,
                                  .outbox = w->outbox,
                                  .owner = "a",
                                  .publish = publish,
                                  .ring = ring,
                                  .user = w};
    w->relay = relay_free(w->relay);
    REQUIRE(CHECK_OK(relay_open(&options, w->now, &w->relay, &err), &err));
    w->now += 4 * S; /* nobody contradicts */
}

/* Two files, or two connections to one database. */
static World *world_new(void) {
    World *w = must(calloc(1, sizeof *w));
    Err err = {0};
    w->now = 1000 * S;
    w->subjects = 37;
    const char *url = test_database_with(write_migrate);
    w->outbox = test_db_open(url, (DbOptions){0});
    w->numbers = test_db_open(test_engine() == DB_SQLITE ? test_database() : url, (DbOptions){0});
    REQUIRE(CHECK_OK(write_migrate(w->outbox, &err) && relay_migrate(w->numbers, &err), &err));
    start(w);
    return w;
}

static World *world_free(World *w) {
    relay_free(w->relay);
    db_free(w->outbox);
    db_free(w->numbers);
    free(w);
    return NULL;
}
AUTO_FREE(World, world_free)

static void commit(World *w, int count) {
    Err err = {0};
    REQUIRE(db_begin(w->outbox, &err));
    for (int i = 0; i < count; i++) {
        char id[32], subject[32];
        Events__V1__Envelope e = EVENTS__V1__ENVELOPE__INIT;
        snprintf(id, sizeof id, "event-%d", i);
        e.event_id = id;
        e.event_type = (char *)"ProspectCreated";
        e.tenant_id = (char *)"t";
        snprintf(subject, sizeof subject, "prospect/%d", i % w->subjects);
        e.subject = subject;
        e.subject_version = 3;
        REQUIRE(CHECK_OK(outbox_append(w->outbox, &e, 1, &err), &err));
    }
    REQUIRE(CHECK_OK(db_commit(w->outbox, &err), &err));
}

/* Until it wants to wait. */
static void turn(World *w) {
    Err err = {0};
    bool more = true;
    for (int i = 0; more && i < 1000; i++) REQUIRE(CHECK_OK(relay_turn(w->relay, w->now, &more, &err), &err));
    CHECK(!more);
}

static void check_seen(World *w, int64_t from, int64_t to) {
    if (w->seen_count != (size_t)(to - from + 1))
        printf("%zu seen, not %lld to %lld\n", w->seen_count, (long long)from, (long long)to);
    CHECK(w->seen_count == (size_t)(to - from + 1));
    for (size_t i = 0; i < w->seen_count; i++) CHECK(w->seen[i] == from + (int64_t)i);
    w->seen_count = 0;
}

static void hear_held(World *w, int64_t held) {
    char text[128], epoch[64];
    Span rest;
    span_split(span_of(w->ring), ' ', &rest);
    REQUIRE(span_copy(span_split(rest, ' ', &rest), epoch, sizeof epoch));
    snprintf(text, sizeof text, "held %s %lld", epoch, (long long)held);
    relay_hear(w->relay, text, w->now);
}

static void publishes_in_order_and_announces(void) {
    AUTO(World) w = world_new();
    commit(w, 3);
    turn(w);
    check_seen(w, 1, 3);
    CHECK(w->requests == 1);
    CHECK(span_ends(span_of(w->ring), SPAN(" 3")));
    commit(w, 2500);
    turn(w);
    check_seen(w, 4, 2503);
    CHECK(span_ends(span_of(w->ring), SPAN(" 2503")));
    unsigned rings = w->rings;
    hear_held(w, 2503);
    w->now += 100 * S;
    turn(w);
    CHECK(w->rings == rings); /* acknowledged: silence */
    CHECK(relay_due_us(w->relay) == INT64_MAX);
    turn(w);
    CHECK(w->seen_count == 0);
}

static void a_topic_that_is_down_loses_nothing(void) {
    AUTO(World) w = world_new();
    w->down = 12;
    commit(w, 5);
    int64_t begun = w->now;
    turn(w);
    commit(w, 5);
    for (int i = 0; i < 400 && w->requests < 13; i++) {
        int64_t due = relay_due_us(w->relay);
        CHECK(due > w->now && due - w->now <= 31 * S);
        w->now = due > w->now ? due : w->now + 1;
        turn(w);
    }
    CHECK(w->now - begun > 2 * S); /* it has really waited */
    turn(w);
    check_seen(w, 1, 10);
}

/* A topic that fails again and again is tried with one event, and gets all the rest when that has passed. */
static void a_topic_that_is_given_up_is_tried_gently(void) {
    AUTO(World) w = world_new();
    w->down = 9;
    commit(w, 500);
    turn(w);
    for (unsigned i = 1; i < 9; i++) {
        CHECK(w->requests == i && w->asked == (i <= 5 ? 500 : 1));
        turn(w); /* no request before its time, however often it is called */
        CHECK(w->requests == i);
        w->now = relay_due_us(w->relay);
        while (w->requests == i) w->now += S, turn(w);
    }
    CHECK(w->seen_count == 0);
    while (w->requests == 9) w->now += S, turn(w);
    check_seen(w, 1, 500);
    CHECK(w->requests == 11); /* one event, and all the others */
}

/* events-grid says that it has started: no back-off is waited for, not even one that it had asked for; and while it
 * does not say so nothing is sent. */
static void a_topic_that_has_started_gets_all_at_once(void) {
    AUTO(World) w = world_new();
    w->failing = 1;
    w->bad_answer = (GridAnswer){.outcome = GRID_RETRY, .status = 503, .retry_after_ms = 3600000};
    commit(w, 5);
    turn(w);
    relay_hear(w->relay, "work", w->now);
    turn(w);
    CHECK(w->requests == 1 && w->seen_count == 0);
    relay_hear(w->relay, "up grid", w->now);
    CHECK(relay_due_us(w->relay) <= w->now);
    turn(w);
    check_seen(w, 1, 5);
}

static void unpublished_events_go_out_after_a_crash(void) {
    AUTO(World) w = world_new();
    commit(w, 4);
    turn(w);
    check_seen(w, 1, 4);
    w->down = 1;
    commit(w, 3);
    turn(w); /* numbered, not published; 4 is stored with the numbering */
    start(w);
    turn(w);
    check_seen(w, 5, 7);
    start(
        w); /* files are marked when it is quiet: again, the receivers know them; a server after each batch */
    turn(w);
    if (test_engine() == DB_SQLITE) check_seen(w, 5, 7);
    CHECK(w->seen_count == 0);
    Err err = {0};
    CHECK_OK(relay_close(w->relay, &err), &err);
    start(w);
    turn(w);
    CHECK(w->seen_count == 0);
}

static void what_is_published_is_stored_when_it_gets_quiet(void) {
    AUTO(World) w = world_new();
    commit(w, 2);
    turn(w);
    check_seen(w, 1, 2);
    hear_held(w, 2);
    w->now = relay_due_us(w->relay);
    turn(w);
    CHECK(relay_due_us(w->relay) == INT64_MAX);
    start(w);
    turn(w);
    CHECK(w->seen_count == 0);
}

static void a_refused_event_gives_its_number_away(void) {
    static const int64_t BAD[] = {1, 2, 50, 99, 100};
    for (size_t i = 0; i < COUNT(BAD); i++) {
        AUTO(World) w = world_new();
        w->bad = BAD[i];
        commit(w, 100);
        turn(w);
        check_seen(w, 1, 100);
        CHECK(w->skipped == 1);
        CHECK(w->requests < 20);
        char text[64];
        snprintf(text, sizeof text, "repair %lld %lld", (long long)BAD[i], (long long)BAD[i]);
        relay_hear(w->relay, text, w->now); /* and keeps it */
        turn(w);
        check_seen(w, BAD[i], BAD[i]);
        CHECK(w->skipped == 2);
    }
}

static void big_batches_are_split(void) {
    AUTO(World) w = world_new();
    w->most = 7;
    commit(w, 100);
    turn(w);
    check_seen(w, 1, 100);
    CHECK(w->skipped == 0);
}

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* In any order, some perhaps twice. Forgets them. */
static void check_all_seen(World *w, int64_t last) {
    int64_t next = 1;
    qsort(w->seen, w->seen_count, sizeof *w->seen, ascending);
    for (size_t i = 0; i < w->seen_count; i++)
        if (w->seen[i] == next) next++;
    CHECK(next == last + 1);
    w->seen_count = 0;
}

/* Four requests at the same time, of which one is answered otherwise. */
static const struct {
    size_t failing;
    GridAnswer answer;
    int64_t waits_us; /* at least, before anything else is sent */
    unsigned requests;
} ALONE[] = {
    {2, {.outcome = GRID_RETRY, .status = 503, .retry_after_ms = 7000}, 7 * S, 4},
    {1, {.outcome = GRID_RETRY, .status = 0}, S / 100, 4},
    {4, {.outcome = GRID_REFUSED, .status = 401}, 60 * S, 4},
    {3, {.outcome = GRID_SPLIT, .status = 413}, 0, 6},
};

static void a_request_fails_alone(void) {
    for (size_t i = 0; i < COUNT(ALONE); i++) {
        AUTO(World) w = world_new();
        w->subjects = 1000;
        w->failing = ALONE[i].failing;
        w->bad_answer = ALONE[i].answer;
        commit(w, 1000);
        turn(w);
        bool waits = ALONE[i].waits_us > 0;
        CHECK(w->requests == ALONE[i].requests && w->seen_count == (waits ? 750 : 1000));
        int64_t begun = w->now;
        while (w->seen_count == 750 && w->now < begun + 100 * S) w->now += S / 100, turn(w);
        CHECK(w->now - begun >= ALONE[i].waits_us);
        CHECK(w->seen_count <= 1750);
        check_all_seen(w, 1000);
    }
}

/* One that is refused is found in its own request; the others go on. */
static void a_refused_event_is_found_among_requests(void) {
    static const int64_t BAD[] = {1, 600, 1000};
    for (size_t i = 0; i < COUNT(BAD); i++) {
        AUTO(World) w = world_new();
        w->subjects = 1000;
        w->bad = BAD[i];
        commit(w, 1000);
        turn(w);
        CHECK(w->seen_count == 1000 && w->skipped == 1 && w->requests < 30);
        check_all_seen(w, 1000);
    }
}

/* Requests that fail together are one failure; a topic that is given up gets one event in one request. */
static void requests_that_fail_together_are_one_failure(void) {
    AUTO(World) w = world_new();
    w->subjects = 1000;
    w->down = 21;
    commit(w, 1000);
    turn(w);
    for (unsigned rounds = 1; w->down; rounds++) {
        CHECK(w->requests == 4 * rounds && w->together == 4 && rounds <= 5);
        unsigned before = w->requests;
        while (w->requests == before) w->now += S, turn(w);
        if (rounds == 5) CHECK(w->together == 1 && w->asked == 1);
    }
    unsigned before = w->requests;
    while (w->requests == before) w->now += S, turn(w);
    CHECK(w->requests == before + 5); /* the one, then all that is left */
    check_all_seen(w, 1000);
}

/* rings, and the numbers that go out again */
static const struct {
    const char *rings[3];
    int64_t from, to;
} REPAIRS[] = {
    {{"repair 3 5"}, 3, 5},
    {{"repair 3 5", "repair 5 8", "repair 2 3"}, 2, 8},
    {{"repair 3 5", "repair 6 8"}, 3, 8},
    {{"repair 9 99"}, 9, 10},
    {{"repair 11 99"}, 1, 0},
    {{"repair 5 4", "repair 0 4", "repair x 4"}, 1, 0},
    {{"repair -1 4", "repair 4", "repair"}, 1, 0},
    {{"", "nonsense", "held"}, 1, 0},
};

static void repairs_are_merged_and_clipped(void) {
    AUTO(World) w = world_new();
    commit(w, 10);
    turn(w);
    check_seen(w, 1, 10);
    for (size_t i = 0; i < COUNT(REPAIRS); i++) {
        for (size_t k = 0; k < COUNT(REPAIRS[i].rings) && REPAIRS[i].rings[k]; k++)
            relay_hear(w->relay, REPAIRS[i].rings[k], w->now);
        turn(w);
        check_seen(w, REPAIRS[i].from, REPAIRS[i].to);
    }
    for (int i = 0; i < 3; i++) relay_hear(w->relay, "repair 1 2", w->now);
    w->down = 1; /* a repair that fails is not forgotten */
    turn(w);
    CHECK(w->seen_count == 0);
    w->now = relay_due_us(w->relay);
    turn(w);
    w->now += S;
    turn(w);
    check_seen(w, 1, 2);
}

static void a_contradiction_stops_publishing(void) {
    AUTO(World) w = world_new();
    commit(w, 2);
    turn(w);
    check_seen(w, 1, 2);
    static const char *const ANSWERS[] = {"held another-epoch 1", "held - 9"};
    for (size_t i = 0; i < COUNT(ANSWERS); i++) {
        relay_hear(w->relay, ANSWERS[i], w->now);
        CHECK(!relay_healthy(w->relay));
        commit(w, 1);
        relay_hear(w->relay, "repair 1 2", w->now);
        turn(w);
        CHECK(w->seen_count == 0);
        CHECK(relay_due_us(w->relay) > w->now); /* nor does it spin */
    }
    hear_held(w, 2);
    CHECK(relay_healthy(w->relay));
    turn(w);
    CHECK(w->seen_count == 4); /* two new ones and the repair */
}

static void a_start_waits_for_the_projection(void) {
    AUTO(World) w = world_new();
    turn(w);
    w->now += 100 * S;
    start(w);
    w->now -= 4 * S;
    commit(w, 1);
    turn(w);
    CHECK(w->seen_count == 0);
    CHECK(relay_due_us(w->relay) <= w->now + 3 * S);
    hear_held(w, 0);
    turn(w);
    check_seen(w, 1, 1);
}

/* relay.db was lost while the projection is down: only the projection can say that these rows had numbers. */
static void a_lost_numbering_waits_for_the_projection(void) {
    if (test_engine() != DB_SQLITE)
        return; /* where numbers and rows are in one database neither is lost alone */
    AUTO(World) w = world_new();
    commit(w, 3);
    start(w);
    w->now += 1000 * S;
    turn(w);
    CHECK(w->seen_count == 0);
    CHECK(relay_due_us(w->relay) > w->now); /* nor does it spin */
    relay_hear(w->relay, "held another-epoch 3", w->now);
    turn(w);
    CHECK(w->seen_count == 0 && !relay_healthy(w->relay));
    start(w);
    turn(w);
    hear_held(w, 0); /* a first start after all */
    turn(w);
    check_seen(w, 1, 3);
}

static void an_outbox_that_is_older_than_the_numbers_is_refused(void) {
    if (test_engine() != DB_SQLITE) return;
    AUTO(World) w = world_new();
    Err err = {0};
    commit(w, 3);
    turn(w);
    check_seen(w, 1, 3);
    CHECK_OK(relay_close(w->relay, &err), &err);
    REQUIRE(CHECK_OK(db_execute(w->outbox, "DELETE FROM outbox", &err), &err)); /* trimmed: fine */
    start(w);
    REQUIRE(CHECK_OK(db_execute(w->outbox, "UPDATE sqlite_sequence SET seq = 2", &err), &err));
    const RelayOptions options = {
        .numbers = w->numbers, .outbox = w->outbox, .publish = publish, .ring = ring, .user = w};
    Relay *relay = NULL;
    CHECK(!relay_open(&options, w->now, &relay, &err) && err_is(&err, &ERR_CONFIG));
}

SUITE_ON_ENGINES("relay", TEST(publishes_in_order_and_announces), TEST(a_topic_that_is_down_loses_nothing),
                 TEST(a_topic_that_has_started_gets_all_at_once),
                 TEST(a_topic_that_is_given_up_is_tried_gently),
                 TEST(unpublished_events_go_out_after_a_crash),
                 TEST(what_is_published_is_stored_when_it_gets_quiet),
                 TEST(a_refused_event_gives_its_number_away), TEST(big_batches_are_split),
                 TEST(a_request_fails_alone), TEST(a_refused_event_is_found_among_requests),
                 TEST(requests_that_fail_together_are_one_failure), TEST(repairs_are_merged_and_clipped),
                 TEST(a_contradiction_stops_publishing), TEST(a_start_waits_for_the_projection),
                 TEST(a_lost_numbering_waits_for_the_projection),
                 TEST(an_outbox_that_is_older_than_the_numbers_is_refused));
