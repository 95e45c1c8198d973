#include "app/projection/projector.h"

#include "app/projection/dead_event.h"
#include "events/v1/prospect.pb-c.h"
#include "kit/engine.h"
#include "observe/metric.h"
#include "store/dead_letters.h"
#include "store/read/migrations_read.h"
#include "store/read/replay_log.h"
#include "wire/message.h"
#include <stdio.h>

enum { MOST = 300 };
#define S 1000000LL

typedef struct World {
    Db *db;
    Projector *projector;
    int64_t now;
    Arena *arena;
    Events__V1__Envelope *events[MOST];
    ProjectorItem items[MOST], *at[MOST];
    size_t count;
} World;

static void start(World *w) {
    Err err = {0};
    w->projector = projector_free(w->projector);
    REQUIRE(CHECK_OK(projector_open(w->db, w->now, &w->projector, &err), &err));
}

static World *world_new(void) {
    World *w = must(calloc(1, sizeof *w));
    Err err = {0};
    w->now = 1000 * S;
    w->arena = arena_new(0);
    w->db = test_db_open(test_database_with(read_migrate), (DbOptions){0});
    REQUIRE(CHECK_OK(read_migrate(w->db, &err), &err));
    start(w);
    return w;
}

static World *world_free(World *w) {
    projector_free(w->projector);
    arena_free(w->arena);
    db_free(w->db);
    free(w);
    return NULL;
}
AUTO_FREE(World, world_free)

static int64_t number_of(World *w, const char *sql) {
    return test_db_number(w->db, sql);
}

/* Version v of the prospect p, under this number; the same number gives the same event. */
static Events__V1__Envelope *event_new(World *w, int64_t sequence, int64_t p, int64_t v) {
    Events__V1__ProspectUpdated data = EVENTS__V1__PROSPECT_UPDATED__INIT;
    data.prospect_id = p;
    data.version = v;
    data.first_name = data.last_name = arena_printf(w->arena, "v%lld", (long long)v);
    data.email = (char *)"a@b.c";
    Events__V1__Envelope *e = arena_alloc(w->arena, sizeof *e);
    *e = (Events__V1__Envelope)EVENTS__V1__ENVELOPE__INIT;
    e->event_id = arena_printf(w->arena, "event-%lld", (long long)sequence);
    e->event_type = (char *)"ProspectUpdated";
    e->tenant_id = (char *)"t";
    e->issued_by = (char *)"u";
    e->causation_id = arena_printf(w->arena, "command-%lld", (long long)sequence);
    e->subject = arena_printf(w->arena, "prospect/%lld", (long long)p);
    e->subject_version = v;
    e->sequence = sequence;
    e->data.data = arena_alloc(w->arena, 200);
    e->data.len = events__v1__prospect_updated__pack(&data, e->data.data);
    return e;
}

/* One delivery with one event. */
static void add(World *w, Events__V1__Envelope *e) {
    REQUIRE(w->count < MOST);
    w->events[w->count] = e;
    w->items[w->count] = (ProjectorItem){.events = &w->events[w->count], .count = 1};
    w->at[w->count] = &w->items[w->count];
    w->count++;
}

static void apply(World *w, bool good) {
    Err err = {0};
    CHECK(projector_apply(w->projector, w->at, w->count, w->now, &err) == good);
    for (size_t i = 0; i < w->count; i++) CHECK(w->items[i].status == (good ? 200 : 503));
    w->count = 0;
}

/* What arrives (each entry is a transaction; numbers in it arrive together), the prefix and what waits
 * afterwards. */
static const struct {
    const char *name;
    struct {
        int64_t numbers[6], held, waiting;
    } steps[5];
} ARRIVALS[] = {
    {"in order", {{{1}, 1, 0}, {{2}, 2, 0}, {{3, 4, 5}, 5, 0}}},
    {"mixed within a transaction", {{{3, 1, 2}, 3, 0}, {{6, 5, 4}, 6, 0}}},
    {"a hole", {{{2}, 0, 1}, {{4, 3}, 0, 3}, {{1}, 4, 0}, {{5}, 5, 0}}},
    {"two holes", {{{2, 4, 6}, 0, 3}, {{1}, 2, 2}, {{5}, 2, 3}, {{3, 7}, 7, 0}}},
    {"doubled", {{{1, 1, 1}, 1, 0}, {{1, 2, 2}, 2, 0}, {{4, 4}, 2, 1}, {{4}, 2, 1}, {{3, 3, 4}, 4, 0}}},
};

static void any_order_of_arrival(void) {
    for (size_t i = 0; i < COUNT(ARRIVALS); i++)
        for (int crashes = 0; crashes < 2; crashes++) {
            char name[32];
            snprintf(name, sizeof name, "order%zu-%d", i, crashes);
            AUTO(World) w = world_new();
            for (size_t k = 0; k < 5 && ARRIVALS[i].steps[k].numbers[0]; k++) {
                for (const int64_t *n = ARRIVALS[i].steps[k].numbers; *n; n++)
                    add(w, event_new(w, *n, 1, *n));
                apply(w, true);
                if (crashes) start(w);
                int64_t held = ARRIVALS[i].steps[k].held;
                if (projector_held(w->projector) != held) printf("%s, step %zu\n", ARRIVALS[i].name, k);
                CHECK(projector_held(w->projector) == held);
                CHECK(number_of(w, "SELECT count(*) FROM waiting") == ARRIVALS[i].steps[k].waiting);
                CHECK(number_of(w, "SELECT count(*) FROM replay_log") == held);
                CHECK(number_of(w, "SELECT count(*) FROM command_outcome") == held);
                CHECK(number_of(w, "SELECT prefix FROM projection_state") == held);
                CHECK(number_of(w, "SELECT coalesce(max(version), 0) FROM prospect_summary") == held);
            }
        }
}

static void a_failed_transaction_has_done_nothing(void) {
    AUTO(World) w = world_new();
    add(w, event_new(w, 1, 1, 1));
    add(w, event_new(w, 3, 1, 3));
    apply(w, true);
    static const SqlText
        BREAK = {.sqlite = "CREATE TRIGGER broken BEFORE INSERT ON replay_log WHEN new.sequence = 3"
                           " BEGIN SELECT raise(ABORT, 'broken'); END",
                 .postgresql = "ALTER TABLE replay_log ADD CONSTRAINT broken CHECK (sequence <> 3)"},
        MEND = {.sqlite = "DROP TRIGGER broken",
                .postgresql = "ALTER TABLE replay_log DROP CONSTRAINT broken"};
    test_db_run(w->db, db_text(w->db, &BREAK));
    add(w, event_new(w, 2, 1, 2));
    apply(w, false);
    CHECK(projector_held(w->projector) == 1);
    CHECK(number_of(w, "SELECT count(*) FROM inbox") == 1);
    test_db_run(w->db, db_text(w->db, &MEND));
    add(w, event_new(w, 2, 1, 2));
    apply(w, true);
    CHECK(projector_held(w->projector) == 3);
    CHECK(number_of(w, "SELECT count(*) FROM waiting") == 0);
}

static void bad_events_stop_nobody(void) {
    AUTO(World) w = world_new();
    GridBadEvent bad[] = {{0, SPAN("{}"), "no id"}, {4, SPAN("17"), "not an event"}};
    Metric *newer = metric_counter("events_projection_unknown_type_total", "");
    int64_t before = metric_value(newer);
    for (int64_t i = 1; i <= 4; i++) add(w, event_new(w, i, i, 1));
    w->events[1]->data.len = 3;                        /* data that is no ProspectUpdated */
    w->events[2]->event_type = (char *)"SomethingNew"; /* a type of a newer version: no rule, and no fault */
    w->items[3].bad = bad, w->items[3].bad_count = 2;
    add(w, event_new(w, 0, 9, 1));
    apply(w, true);
    CHECK(projector_held(w->projector) == 4);
    CHECK(number_of(w, "SELECT count(*) FROM prospect_summary") == 2);
    CHECK(number_of(w, "SELECT count(*) FROM replay_log") == 4);
    CHECK(number_of(w, "SELECT count(*) FROM event_dead_letter") == 4);
    CHECK(number_of(w, "SELECT count(*) FROM event_dead_letter WHERE sequence = 2 AND length(body) > 0") ==
          1);
    /* each with its own bytes: with the delivery's, a batch of bad ones would be stored once for each */
    CHECK(number_of(w, "SELECT count(*) FROM event_dead_letter WHERE sequence = 0 AND event_id = ''"
                       " AND length(body) = 2") == 2);
    CHECK(number_of(w, "SELECT count(*) FROM command_outcome") == 3);
    CHECK(metric_value(newer) == before + 1);
}

/* What nobody could apply is tried again by an operator, when the program knows more. */
static void a_dead_letter_is_tried_again(void) {
    AUTO(World) w = world_new();
    AUTO_BUF good = {0};
    Err err = {0}, again = {0}, none = {0};
    add(w, event_new(w, 1, 1, 1));
    add(w, event_new(w, 2, 2, 1));
    message_pack(&w->events[1]->base, &good);
    w->events[1]->data.len = 3;
    add(w, event_new(w, 0, 9, 1)); /* no number: what it was is not known */
    apply(w, true);
    int64_t unnumbered = number_of(w, "SELECT dead_letter_id FROM event_dead_letter WHERE sequence = 0");
    int64_t id = number_of(w, "SELECT dead_letter_id FROM event_dead_letter WHERE sequence = 2");
    CHECK(!dead_event_requeue(w->db, id, &err) && err_is(&err, &ERR_INVALID));
    CHECK(!dead_event_requeue(w->db, unnumbered, &again) && err_is(&again, &ERR_INVALID));
    CHECK(!dead_event_requeue(w->db, id + unnumbered, &none) && err_is(&none, &ERR_NOT_FOUND));
    CHECK(number_of(w, "SELECT count(*) FROM event_dead_letter") == 2);
    CHECK(!db_in_transaction(w->db));

    Stmt *s = db_statement(w->db, "UPDATE event_dead_letter SET body = ? WHERE dead_letter_id = ?");
    stmt_bind_blob(s, 1, buf_view(&good));
    stmt_bind_int(s, 2, id);
    err_clear(&err);
    REQUIRE(CHECK_OK(stmt_run(s, NULL, &err), &err));
    CHECK_OK(dead_event_requeue(w->db, id, &err), &err);
    CHECK(number_of(w, "SELECT version FROM prospect_summary WHERE prospect_id = 2") == 1);
    CHECK(number_of(w, "SELECT status FROM command_outcome WHERE command_id = 'command-2'") == 2);
    CHECK(number_of(w, "SELECT count(*) FROM event_dead_letter") == 1);
    add(w, event_new(w, 3, 2, 2)); /* the projection goes on */
    apply(w, true);
    CHECK(number_of(w, "SELECT version FROM prospect_summary WHERE prospect_id = 2") == 2);
    CHECK_OK(dead_letter_remove(w->db, &PROJECTION_LETTERS, unnumbered, &err), &err);
    CHECK(!dead_letter_remove(w->db, &PROJECTION_LETTERS, unnumbered, &err) && err_is(&err, &ERR_NOT_FOUND));
}

static void a_requeued_event_changes_nothing_twice(void) {
    AUTO(World) w = world_new();
    add(w, event_new(w, 1, 1, 1));
    add(w, event_new(w, 2, 1, 2));
    apply(w, true);
    Events__V1__Envelope *again = event_new(w, 1, 1, 1);
    again->sequence = 3;
    add(w, again);
    apply(w, true);
    CHECK(projector_held(w->projector) == 3);
    CHECK(number_of(w, "SELECT version FROM prospect_summary") == 2);
    CHECK(number_of(w, "SELECT count(*) FROM inbox") == 2);
    CHECK(number_of(w, "SELECT count(*) FROM replay_log") == 3);
}

static void a_skipped_event_moves_the_prefix(void) {
    AUTO(World) w = world_new();
    Events__V1__Envelope *e = event_new(w, 1, 1, 1);
    e->event_type = (char *)"EventSkipped";
    add(w, e);
    add(w, event_new(w, 2, 1, 2));
    apply(w, true);
    CHECK(projector_held(w->projector) == 2);
    CHECK(number_of(w, "SELECT version FROM prospect_summary") == 2);
    CHECK(number_of(w, "SELECT count(*) FROM command_outcome") == 1);
    CHECK(number_of(w, "SELECT count(*) FROM event_dead_letter") == 0);
}

static Events__V1__Envelope *merged_new(World *w, int64_t sequence, int64_t p, int64_t into, int64_t v) {
    Events__V1__ProspectMerged data = EVENTS__V1__PROSPECT_MERGED__INIT;
    data.prospect_id = p, data.merged_into = into, data.version = v;
    Events__V1__Envelope *e = event_new(w, sequence, p, v);
    e->event_type = (char *)"ProspectMerged";
    e->data.len = events__v1__prospect_merged__pack(&data, e->data.data);
    return e;
}

/* Two events of one command in two transactions: in between, its outcome is not known. */
static void a_merge_has_succeeded_with_its_last_event(void) {
    AUTO(World) w = world_new();
    add(w, event_new(w, 1, 5, 1));
    add(w, event_new(w, 2, 6, 1));
    Events__V1__Envelope *merged = merged_new(w, 3, 6, 5, 2), *updated = event_new(w, 4, 5, 2);
    updated->causation_id = merged->causation_id;
    add(w, merged);
    apply(w, true);
    CHECK(number_of(w, "SELECT merged_into FROM prospect_summary WHERE prospect_id = 6 AND version = 2") ==
          5);
    CHECK(number_of(w, "SELECT count(*) FROM command_outcome WHERE command_id = 'command-3'") == 0);
    add(w, updated);
    apply(w, true);
    CHECK(number_of(w, "SELECT version FROM prospect_summary WHERE prospect_id = 5") == 2);
    CHECK(number_of(w, "SELECT sequence FROM command_outcome WHERE command_id = 'command-3'") == 4);
    CHECK(number_of(w, "SELECT count(*) FROM event_dead_letter") == 0);
}

static void holes_and_the_tail_are_asked_for(void) {
    AUTO(World) w = world_new();
    Err err = {0};
    int64_t from, to;
    add(w, event_new(w, 3, 1, 3));
    apply(w, true);
    CHECK(!projector_due_repair(w->projector, w->now, &from, &to));
    CHECK(projector_due_us(w->projector) == w->now + S);
    CHECK_OK(projector_announced(w->projector, SPAN("e1"), 6, w->now, &err), &err);
    w->now += S;
    CHECK(projector_due_repair(w->projector, w->now, &from, &to) && from == 1 && to == 2);
    CHECK(projector_due_repair(w->projector, w->now, &from, &to) && from == 4 && to == 6);
    CHECK(!projector_due_repair(w->projector, w->now, &from, &to));
    start(w); /* what waits is known after a crash, so that the hole is asked for again */
    w->now += S;
    CHECK(projector_due_repair(w->projector, w->now, &from, &to) && from == 1 && to == 2);
}

static void the_epoch_is_learnt_once(void) {
    AUTO(World) w = world_new();
    Err err = {0};
    add(w, event_new(w, 1, 1, 1)); /* before anybody has rung */
    apply(w, true);
    CHECK(!projector_epoch(w->projector)[0]);
    CHECK_OK(projector_announced(w->projector, SPAN("e1"), 1, w->now, &err), &err);
    CHECK(!strcmp(projector_epoch(w->projector), "e1"));
    start(w);
    CHECK(!strcmp(projector_epoch(w->projector), "e1"));

    CHECK_OK(projector_announced(w->projector, SPAN("e2"), 9, w->now, &err), &err);
    CHECK(!projector_healthy(w->projector));
    CHECK(projector_due_us(w->projector) == INT64_MAX);
    add(w, event_new(w, 2, 1, 2));
    apply(w, false);
    CHECK_OK(projector_announced(w->projector, SPAN("e1"), 2, w->now, &err), &err);
    CHECK(projector_healthy(w->projector));
    add(w, event_new(w, 2, 1, 2));
    apply(w, true);
    CHECK(projector_held(w->projector) == 2);
}

/* To the relay "nothing is held" would mean that it may publish. */
static void unreadable_state_is_not_told_as_nothing(void) {
    AUTO(World) w = world_new();
    Err err = {0};
    CHECK_OK(projector_announced(w->projector, SPAN("e1"), 1, w->now, &err), &err);
    add(w, event_new(w, 1, 1, 1));
    apply(w, true);
    REQUIRE(CHECK_OK(db_execute(w->db, "ALTER TABLE projection_state RENAME TO away", &err), &err));
    add(w, event_new(w, 2, 1, 2));
    apply(w, false);
    CHECK(!projector_announced(w->projector, SPAN("e1"), 2, w->now, &err));
    CHECK(projector_held(w->projector) == 1);
    CHECK(!strcmp(projector_epoch(w->projector), "e1"));
}

SUITE_ON_ENGINES("projector", TEST(any_order_of_arrival), TEST(a_failed_transaction_has_done_nothing),
                 TEST(bad_events_stop_nobody), TEST(a_dead_letter_is_tried_again),
                 TEST(a_requeued_event_changes_nothing_twice), TEST(a_skipped_event_moves_the_prefix),
                 TEST(a_merge_has_succeeded_with_its_last_event), TEST(holes_and_the_tail_are_asked_for),
                 TEST(the_epoch_is_learnt_once), TEST(unreadable_state_is_not_told_as_nothing));
