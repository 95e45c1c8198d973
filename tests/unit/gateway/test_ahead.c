/* Behind a hole that stays (the projection is down, the gateway has been started anew), thousands of events have gone
 * ahead: who comes then gets them as it reads them, whatever the bound of its queue. */
#include "base/clock.h"
#include "gateway/rpc/rpc.h"
#include "gateway/stream/live.h"
#include "gateway/stream/watch.h"
#include "kit/test.h"
#include <stdio.h>

enum {
    HEAD = 10,
    EVENTS = 3000,
    BODY = 1000 /* three times what a queue takes */,
    PATIENCE_US = 20000000,
    LOOK_MS = 1
};
enum { FRAMES = 4096 };

typedef enum Stage { NOBODY, COMES, CATCHES_UP, LIVE } Stage;

typedef struct Client {
    Gateway gateway;
    Worker worker;
    Timer timer;
    int64_t deadline_us;
    const SessionWire *wire;
    Session *session;
    Stage stage;
    Blob *frames[FRAMES];
    size_t frame_count, bytes;
    size_t got, lags;
    int64_t position;
    bool caught_up, closed;
} Client;

/* --- the wire --- */

static Blob *plain(Span message, const char *epoch) {
    (void)epoch;
    return blob_copy(message);
}

static bool queue(void *to, Blob *frame) {
    Client *c = to;
    if (c->bytes + frame->len > SESSION_QUEUE || c->frame_count == FRAMES) return false;
    c->frames[c->frame_count++] = blob_ref(frame);
    c->bytes += frame->len;
    return true;
}

static size_t queued(void *to) {
    return ((Client *)to)->bytes;
}

static void drop(void *to) {
    Client *c = to;
    while (c->frame_count) blob_unref(c->frames[--c->frame_count]);
    c->bytes = 0;
}

static void tell_drained(void *to) {
    (void)to; /* it is told whenever it has read */
}

static void close_wire(void *to, int code, const char *reason) {
    Client *c = to;
    (void)code, (void)reason;
    c->closed = true;
}

static const SessionWire SOCKET = {.form = plain,
                                   .send = queue,
                                   .queued = queued,
                                   .drop = drop,
                                   .tell_drained = tell_drained,
                                   .close = close_wire},
                         STREAM = {.form = plain,
                                   .send = queue,
                                   .queued = queued,
                                   .close = close_wire,
                                   .high = 256 << 10,
                                   .single = true};

/* --- the client --- */

static void take(Client *c, const Blob *frame) {
    Events__V1__ServerFrame *f =
        events__v1__server_frame__unpack(NULL, frame->len, (const uint8_t *)frame->bytes);
    REQUIRE(f != NULL);
    if (f->frame_case == EVENTS__V1__SERVER_FRAME__FRAME_EVENTS) {
        c->got += f->events->n_events;
        c->position = f->events->position;
    }
    if (f->frame_case == EVENTS__V1__SERVER_FRAME__FRAME_RESYNC_REQUIRED) c->lags++;
    if (f->frame_case == EVENTS__V1__SERVER_FRAME__FRAME_SUBSCRIBED) c->caught_up = f->subscribed->caught_up;
    events__v1__server_frame__free_unpacked(f, NULL);
}

static void read_all(Client *c) {
    for (size_t i = 0; i < c->frame_count; i++) {
        take(c, c->frames[i]);
        blob_unref(c->frames[i]);
    }
    c->frame_count = c->bytes = 0;
    session_drained(c->session);
}

static void come(Client *c) {
    Claims claims = {.scope_bits = SCOPE_READ | SCOPE_PII, .expires_at = INT64_MAX / 2};
    Events__V1__Subscribe in = EVENTS__V1__SUBSCRIBE__INIT;
    strcpy(claims.tenant_id, "t");
    in.id = 1;
    c->session = session_new(&c->worker, &claims);
    session_open(c->session, c->wire, c);
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
    case NOBODY: return c->worker.sessions->ahead_seen == EVENTS;
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
        if (c->stage == CATCHES_UP) offer(c->gateway.hub, HEAD + 1); /* the hole */
        if (c->stage++ == LIVE) loop_stop(c->worker.loop);
    }
    if (c->closed || clock_mono_us() > c->deadline_us) loop_stop(c->worker.loop);
    loop_timer_set(c->worker.loop, timer, LOOK_MS);
}

static void nobody_needs_repair(void *user) {
    (void)user;
}

static void begin(Client *c, const SessionWire *wire) {
    Err err = {0};
    *c = (Client){.wire = wire, .timer.expired = look, .deadline_us = clock_mono_us() + PATIENCE_US};
    REQUIRE(CHECK_OK(loop_open(&c->worker.loop, &err), &err));
    c->gateway.hub = hub_new(&HUB_LIMITS, nobody_needs_repair, NULL);
    c->gateway.presence = presence_new(true);
    c->worker.gateway = &c->gateway;
    c->worker.counts = loop_counts(0);
    c->worker.rpc = rpc_new();
    c->worker.sessions = sessions_new(&c->worker);
    hub_start(c->gateway.hub, &(ReplayHead){.epoch = "e", .head = HEAD});
    for (int64_t i = 0; i < EVENTS; i++) offer(c->gateway.hub, HEAD + 2 + i);
    loop_timer_set(c->worker.loop, &c->timer, 0);
}

static void end(Client *c) {
    loop_timer_stop(c->worker.loop, &c->timer);
    drop(c);
    if (c->session) session_gone(c->session);
    live_stop(c->worker.sessions);
    watches_stop(c->worker.sessions->watches);
    loop_free(c->worker.loop);
    sessions_free(c->worker.sessions);
    rpc_free(c->worker.rpc);
    hub_free(c->gateway.hub);
    presence_free(c->gateway.presence);
}

static void who_comes_late_is_given_what_went_ahead(void) {
    static const struct {
        const char *name;
        const SessionWire *wire;
    } CASES[] = {{"socket", &SOCKET}, {"stream", &STREAM}};
    for (size_t i = 0; i < COUNT(CASES); i++) {
        static Client c;
        begin(&c, CASES[i].wire);
        loop_run(c.worker.loop);
        bool good = c.stage > LIVE && !c.closed && c.got == EVENTS + 1 && !c.lags;
        if (!good) printf("\n    %s: %zu events, %zu lags, stage %d", CASES[i].name, c.got, c.lags, c.stage);
        CHECK(good);
        end(&c);
    }
}

SUITE("ahead", TEST(who_comes_late_is_given_what_went_ahead));
