/* Behind a hole that stays (the projection is down, the gateway has been started anew), thousands of events have gone
 * ahead: who comes then gets them as it reads them, whatever the bound of its queue. */
#include "base/clock.h"
#include "kit/test.h"
#include "unit/gateway/one_loop.h"
#include <stdio.h>

enum {
    HEAD = 10,
    EVENTS = 3000,
    BODY = 1000 /* three times what a queue takes */,
    PATIENCE_US = 20000000,
    LOOK_MS = 1
};

typedef enum Stage { NOBODY, COMES, CATCHES_UP, LIVE } Stage;

typedef struct Client {
    OneLoop at;
    KeptWire wire;
    Timer timer;
    int64_t deadline_us;
    const SessionWire *kind;
    Session *session;
    Stage stage;
    size_t got, lags;
    int64_t position;
    bool caught_up;
} Client;

/* --- the client --- */

static void hear(void *user, const Events__V1__ServerFrame *f) {
    Client *c = user;
    if (f->frame_case == EVENTS__V1__SERVER_FRAME__FRAME_EVENTS) {
        c->got += f->events->n_events;
        c->position = f->events->position;
    }
    if (f->frame_case == EVENTS__V1__SERVER_FRAME__FRAME_RESYNC_REQUIRED) c->lags++;
    if (f->frame_case == EVENTS__V1__SERVER_FRAME__FRAME_SUBSCRIBED) c->caught_up = f->subscribed->caught_up;
}

static void read_all(Client *c) {
    kept_wire_read(&c->wire);
    session_drained(c->session);
}

static void come(Client *c) {
    Claims claims = {.scope_bits = SCOPE_READ | SCOPE_PII, .expires_at = INT64_MAX / 2};
    Events__V1__Subscribe in = EVENTS__V1__SUBSCRIBE__INIT;
    strcpy(claims.tenant_id, "t");
    in.id = 1;
    c->session = session_new(&c->at.worker, &claims);
    session_open(c->session, c->kind, &c->wire);
    CHECK(!session_subscribe(c->session, &in));
}

static void offer(Hub *hub, int64_t number) {
    static uint8_t data[BODY];
    char subject[32];
    Events__V1__Envelope e = EVENTS__V1__ENVELOPE__INIT;
    snprintf(subject, sizeof subject, "prospect/%lld", (long long)number);
    e.event_id = (char *)"e", e.event_type = (char *)"ProspectCreated", e.tenant_id = (char *)"t";
    e.subject = subject, e.issued_by = (char *)"u";
    e.sequence = number, e.subject_version = 1;
    e.data = (ProtobufCBinaryData){sizeof data, data};
    CHECK(hub_offer(hub, &e));
}

static bool is_done(Client *c) {
    switch (c->stage) {
    case NOBODY: return c->at.worker.sessions->ahead_seen == EVENTS;
    case COMES: come(c); return true;
    case CATCHES_UP: return c->got == EVENTS && c->caught_up;
    case LIVE: return c->position == HEAD + 1 + EVENTS;
    }
    return false;
}

static void look(Timer *timer) {
    Client *c = CONTAINER(timer, Client, timer);
    if (c->session) read_all(c);
    if (is_done(c)) {
        if (c->stage == CATCHES_UP) offer(c->at.gateway.hub, HEAD + 1); /* the hole */
        if (c->stage++ == LIVE) loop_stop(c->at.worker.loop);
    }
    if (c->wire.closed || clock_mono_us() > c->deadline_us) loop_stop(c->at.worker.loop);
    loop_timer_set(c->at.worker.loop, timer, LOOK_MS);
}

static void begin(Client *c, const SessionWire *kind) {
    *c = (Client){.kind = kind, .timer.expired = look, .deadline_us = clock_mono_us() + PATIENCE_US};
    c->wire.hear = hear, c->wire.user = c;
    one_loop_open(&c->at);
    hub_start(c->at.gateway.hub, &(ReplayHead){.epoch = "e", .head = HEAD});
    for (int64_t i = 0; i < EVENTS; i++) offer(c->at.gateway.hub, HEAD + 2 + i);
    loop_timer_set(c->at.worker.loop, &c->timer, 0);
}

static void end(Client *c) {
    loop_timer_stop(c->at.worker.loop, &c->timer);
    kept_wire_drop(&c->wire);
    if (c->session) session_gone(c->session);
    one_loop_close(&c->at);
}

static void who_comes_late_is_given_what_went_ahead(void) {
    static const struct {
        const char *name;
        const SessionWire *wire;
    } CASES[] = {{"socket", &KEPT_SOCKET}, {"stream", &KEPT_STREAM}};
    for (size_t i = 0; i < COUNT(CASES); i++) {
        static Client c;
        begin(&c, CASES[i].wire);
        loop_run(c.at.worker.loop);
        bool good = c.stage > LIVE && !c.wire.closed && c.got == EVENTS + 1 && !c.lags;
        if (!good) printf("\n    %s: %zu events, %zu lags, stage %d", CASES[i].name, c.got, c.lags, c.stage);
        CHECK(good);
        end(&c);
    }
}

SUITE("ahead", TEST(who_comes_late_is_given_what_went_ahead));
