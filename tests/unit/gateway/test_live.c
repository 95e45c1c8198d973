/* One loop's sessions where the hub's log changes, begins anew behind a hole, or a client does not read. */
#include "base/buf.h"
#include "base/clock.h"
#include "kit/engine.h"
#include "store/read/migrations_read.h"
#include "unit/gateway/one_loop.h"
#include <stdio.h>

enum { HEAD = 1000, PATIENCE_US = 20000000, LOOK_MS = 1 };

typedef struct Client {
    OneLoop at;
    KeptWire wire;
    Session *session;
    Buf told; /* all that it has read, as text */
    unsigned char got[3 * HEAD];
    int64_t owed_above; /* -1: it is not looked at */
    size_t passed;      /* positions told that pass what is owed and has not come */
    Timer timer;
    int64_t deadline_us;
    bool (*done)(const struct Client *c);
} Client;

/* --- the wire --- */

static void hear_position(Client *c, int64_t position) {
    bool all = true;
    for (int64_t n = c->owed_above + 1; n <= position && c->owed_above >= 0; n++) all = all && c->got[n];
    c->passed += !all;
}

static void hear_batch(Client *c, const Events__V1__EventBatch *batch) {
    buf_printf(&c->told, "batch");
    for (size_t i = 0; i < batch->n_events; i++) {
        c->got[batch->events[i]->sequence % (int64_t)sizeof c->got]++;
        buf_printf(&c->told, " %lld", (long long)batch->events[i]->sequence);
    }
    buf_printf(&c->told, " at %lld; ", (long long)batch->position);
    hear_position(c, batch->position);
}

static void hear(void *user, const Events__V1__ServerFrame *f) {
    Client *c = user;
    if (f->frame_case == EVENTS__V1__SERVER_FRAME__FRAME_EVENTS) hear_batch(c, f->events);
    if (f->frame_case == EVENTS__V1__SERVER_FRAME__FRAME_RESYNC_REQUIRED) {
        hear_position(c, f->resync_required->position);
        buf_printf(&c->told, "resync %u %s at %lld; ", f->resync_required->id, f->resync_required->reason,
                   (long long)f->resync_required->position);
    }
    if (f->frame_case == EVENTS__V1__SERVER_FRAME__FRAME_SUBSCRIBED)
        buf_printf(&c->told, "subscribed %u at %lld %s; ", f->subscribed->id,
                   (long long)f->subscribed->position, f->subscribed->caught_up ? "live" : "behind");
}

/* --- the gateway --- */

static void hub_has(Client *c, const char *epoch, int64_t head) {
    ReplayHead position = {.head = head};
    snprintf(position.epoch, sizeof position.epoch, "%s", epoch);
    hub_start(c->at.gateway.hub, &position);
}

/* What the hub has is given out. */
static void wake(Client *c) {
    Sessions *all = c->at.worker.sessions;
    all->listener.wake(&all->listener);
}

static void begin(Client *c, int64_t head) {
    *c = (Client){.owed_above = -1, .wire.hear = hear, .wire.user = c, .wire.reads = true};
    one_loop_open(&c->at);
    hub_has(c, "old", head);
    wake(c);
    Claims claims = {.tenant_id = "t", .user_id = "u", .scope_bits = SCOPE_READ | SCOPE_PII};
    claims.expires_at = INT64_MAX / 2;
    c->session = session_new(&c->at.worker, &claims);
    session_open(c->session, &KEPT_SOCKET, &c->wire);
}

static void end(Client *c) {
    c->at.gateway.readers = pool_free(c->at.gateway.readers);
    kept_wire_drop(&c->wire);
    session_gone(c->session);
    one_loop_close(&c->at);
    buf_free(&c->told);
}

static void subscribe(Client *c, uint32_t id, const char *epoch, int64_t after) { /* after -1: live only */
    Events__V1__Subscribe in = EVENTS__V1__SUBSCRIBE__INIT;
    in.id = id;
    in.epoch = (char *)epoch;
    in.resume_case = after >= 0 ? EVENTS__V1__SUBSCRIBE__RESUME_AFTER : 0;
    in.after = after;
    CHECK(!session_subscribe(c->session, &in));
}

static void offer(Client *c, int64_t number, const char *type, const char *subject, int64_t version) {
    static uint8_t data[1500];
    Events__V1__Envelope e = EVENTS__V1__ENVELOPE__INIT;
    e.event_id = (char *)"e", e.event_type = (char *)type, e.tenant_id = (char *)"t";
    e.subject = (char *)subject, e.issued_by = (char *)"u";
    e.sequence = number, e.subject_version = version;
    e.data = (ProtobufCBinaryData){sizeof data, data};
    CHECK(hub_offer(c->at.gateway.hub, &e));
}

static void look(Timer *timer) {
    Client *c = CONTAINER(timer, Client, timer);
    kept_wire_read(&c->wire);
    session_drained(c->session);
    if (c->done(c) || clock_mono_us() > c->deadline_us)
        loop_stop(c->at.worker.loop);
    else
        loop_timer_set(c->at.worker.loop, timer, LOOK_MS);
}

/* Once. */
static void run_until(Client *c, bool (*done)(const Client *c)) {
    c->done = done;
    c->timer.expired = look;
    c->deadline_us = clock_mono_us() + PATIENCE_US;
    loop_timer_set(c->at.worker.loop, &c->timer, LOOK_MS);
    loop_run(c->at.worker.loop);
}

/* --- another log --- */

static void whom_nothing_concerns_is_told_the_new_logs_positions(void) {
    static Client c;
    begin(&c, HEAD);
    subscribe(&c, 1, "old", -1);
    hub_has(&c, "new", 5);
    wake(&c);
    subscribe(&c, 2, "new", -1);
    offer(&c, 6, "EventSkipped", "prospect/1", 1);
    wake(&c);
    c.at.worker.sessions->tidy.expired(&c.at.worker.sessions->tidy);
    CHECK_SPAN(buf_view(&c.told), "subscribed 1 at 1000 live; resync 0 epoch at 5; "
                                  "subscribed 2 at 5 live; batch at 6; ");
    end(&c);
}

static void *open_queries(void *user) {
    return queries_new(user);
}

static void close_queries(void *context) {
    queries_free(context);
}

static void log_of_one_event(const char *url, const char *epoch, int64_t sequence, int64_t prefix) {
    Err err = {0};
    char body[256], sql[160];
    AUTO(Db) db = test_db_open(url, (DbOptions){0});
    REQUIRE(CHECK_OK(read_migrate(db, &err), &err));
    AUTO(Rows) rows = rows_new(&REPLAY_ROWS);
    Events__V1__Envelope e = EVENTS__V1__ENVELOPE__INIT;
    e.event_type = (char *)"ProspectCreated", e.tenant_id = (char *)"t";
    e.subject = (char *)"prospect/1", e.sequence = sequence;
    size_t len = events__v1__envelope__pack(&e, (uint8_t *)body);
    replay_log_append(rows, &(ReplayRow){.sequence = sequence,
                                         .tenant_id = SPAN("t"),
                                         .subject = SPAN("prospect/1"),
                                         .event_type = SPAN("ProspectCreated"),
                                         .issued_by = SPAN(""),
                                         .body = span_bytes(body, len)});
    REQUIRE(CHECK_OK(rows_flush(rows, db, &err), &err));
    snprintf(sql, sizeof sql, "UPDATE projection_state SET prefix = %lld, epoch = '%s'", (long long)prefix,
             epoch);
    test_db_run(db, sql);
}

static bool second_has_its_answer(const Client *c) {
    return span_ends(buf_view(&c->told), SPAN("live; ")) ||
           span_ends(buf_view(&c->told), SPAN("resync 2 epoch at 1000; "));
}

/* What was asked of the old log says nothing of the new one. */
static void a_page_of_the_old_log_ends_nothing(void) {
    static Client c;
    Err err = {0};
    QueriesOptions options = {test_database(), "sql:", test_folder()};
    PoolOptions readers = {"reader", 1, 100, 0, open_queries, close_queries, &options};
    log_of_one_event(options.read_url, "new", 11, HEAD);
    begin(&c, HEAD);
    REQUIRE(CHECK_OK(pool_open(&readers, &c.at.gateway.readers, &err), &err));
    subscribe(&c, 1, "old", 10); /* a reader is asked; its answer waits for the loop */
    hub_has(&c, "new", HEAD);
    wake(&c);
    subscribe(&c, 2, "new", 10);
    run_until(&c, second_has_its_answer);
    CHECK_SPAN(buf_view(&c.told), "subscribed 1 at 10 behind; resync 0 epoch at 1000; "
                                  "subscribed 2 at 10 behind; batch 11 at 1000; subscribed 2 at 1000 live; ");
    end(&c);
}

/* --- a ring that begins anew behind a hole --- */

/* What went ahead before comes again, from Event Grid or the log. */
static void what_went_ahead_does_not_go_twice(void) {
    static Client c;
    begin(&c, 10);
    subscribe(&c, 1, "old",
              25); /* a little ahead of this gateway: live, and in need of nothing that is lost */
    for (size_t times = 0; times < 2; times++) {
        offer(&c, 30, "ProspectCreated", "prospect/1", 1);
        offer(&c, 31, "ProspectUpdated", "prospect/1", 2);
        wake(&c);
        if (!times) CHECK(hub_step_over(c.at.gateway.hub, 11, 20));
        wake(&c);
    }
    offer(&c, 32, "ProspectUpdated", "prospect/1", 3);
    for (int64_t n = 21; n < 30; n++) offer(&c, n, "EventSkipped", "prospect/2", 0);
    wake(&c);
    CHECK_SPAN(buf_view(&c.told), "subscribed 1 at 25 live; batch 30 31 at 10; subscribed 1 at 25 behind; "
                                  "subscribed 1 at 25 live; batch 32 at 32; ");
    end(&c);
}

/* --- a client that does not read --- */

enum { OUTCOMES = 1500 /* twice what a queue takes */, HALFWAY = 300 };

static bool has_all_outcomes(const Client *c) {
    for (int64_t n = HEAD / 2 + 1; n <= HEAD / 2 + OUTCOMES; n++)
        if (!c->got[n]) return false;
    return c->session->worker->sessions->position == session_position(c->session);
}

/* They come to who sent the command whatever he has subscribed to. */
static void outcomes_are_not_lost_with_the_queue(void) {
    static const struct {
        const char *name;
        /* b: subscribes before, h: when some wait, l: when it is late; u: unsubscribes then */
        const char *does;
        size_t subscriptions; /* at the end */
    } CASES[] = {
        {"it has subscribed", "b", 1},        {"to nothing", "", 0},  {"to nothing any more", "bu", 0},
        {"when some waited already", "h", 1}, {"now it has", "l", 1}, {"it has changed its mind", "blu", 1},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        static Client c;
        begin(&c, HEAD / 2);
        c.owed_above = HEAD / 2;
        if (strchr(CASES[i].does, 'b')) subscribe(&c, 1, "old", -1);
        c.wire.reads = false;
        for (int64_t n = 1; n <= OUTCOMES; n++) {
            if (n == HALFWAY && strchr(CASES[i].does, 'h')) subscribe(&c, 3, "old", -1);
            offer(&c, HEAD / 2 + n, "CommandRejected", "command/1", 0);
            wake(&c);
        }
        CHECK(c.session->lagging);
        if (strchr(CASES[i].does, 'l')) subscribe(&c, 2, "old", -1);
        if (strchr(CASES[i].does, 'u')) session_message(c.session, false, SPAN("\x12\x02\x08\x01"));
        c.wire.reads = true;
        run_until(&c, has_all_outcomes);
        bool good = has_all_outcomes(&c) && !c.passed && !c.wire.closed &&
                    c.session->subscription_count == CASES[i].subscriptions;
        if (!good) printf("\n    %s: %zu positions too high", CASES[i].name, c.passed);
        CHECK(good);
        end(&c);
    }
}

SUITE("live", TEST(outcomes_are_not_lost_with_the_queue), TEST(what_went_ahead_does_not_go_twice),
      TEST(whom_nothing_concerns_is_told_the_new_logs_positions), TEST(a_page_of_the_old_log_ends_nothing));
