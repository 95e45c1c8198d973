/* h2.c - HTTP/2 on a connection (RFC 9113), by nghttp2: bytes in, frames out, and the deadlines that the
 * library leaves to its user.
 *
 * The connection has one deadline; streams keep theirs. When it rings, all streams are looked at (there are
 * at most a hundred), and it is set to the next one. So a request sets a number and moves no timer. */
#include "net/h2/h2.h"

enum {
    CONNECTION_WINDOW = 1 << 20,
    BODIES_MAX = 4 << 20,  /* in memory at a time; above it the connection's window is not opened again */
    GOAWAY_PAUSE_MS = 300, /* for requests that are on their way when the notice arrives */
};

/* --- streams --- */

HttpExchange *h2_stream_begin(H2 *h, int32_t id) {
    HttpExchange *x = exchange_new(h->c);
    if (!x) return NULL;
    x->h2 = true;
    x->stream.id = id;
    x->stream.next = h->streams;
    if (h->streams) h->streams->stream.previous = x;
    h->streams = x;
    h->handling++;
    x->stream.since_us = connection_now(h->c);
    h2_stream_deadline(h, x, h->c->server->options.header_ms);
    return x;
}

void h2_stream_end(H2 *h, HttpExchange *x) {
    if (x->stream.previous)
        x->stream.previous->stream.next = x->stream.next;
    else
        h->streams = x->stream.next;
    if (x->stream.next) x->stream.next->stream.previous = x->stream.previous;
    h->last_stream_us = connection_now(h->c);
    h2_body_released(h, x);
    exchange_release(x);
}

void h2_body_released(H2 *h, HttpExchange *x) {
    if (x) {
        h->buffered -= x->body_bytes.len + x->flow.held;
        x->flow.held = 0;
        exchange_body_free(x);
    }
    if (!h->withheld || h->buffered > BODIES_MAX + h->c->server->options.body_limit) return;
    nghttp2_session_consume_connection(h->session, h->withheld);
    h->withheld = 0;
}

void h2_stream_deadline(H2 *h, HttpExchange *x, int64_t ms) {
    int64_t at = ms ? connection_now(h->c) + ms * 1000 : 0;
    x->stream.limit_us = at;
    if (at && (!h->c->deadline_us || h->c->deadline_us > at)) connection_deadline(h->c, ms);
}

void h2_stall_moves(H2 *h, int64_t *limit_us, size_t len) {
    int64_t most = connection_now(h->c) + h->c->server->options.stall_ms * 1000;
    int64_t at = *limit_us + server_time_for(h->c->server, len);
    *limit_us = at < most ? at : most;
}

/* A request that does not arrive is refused; an answer that nobody takes is dropped. */
static void stream_late(H2 *h, HttpExchange *x) {
    bool reads = x->part == EXCHANGE_STREAMING && !x->flow.stall_us;
    x->stream.limit_us = x->flow.stall_us = 0;
    if (!x->stream.head_done) { /* and nothing else can come before the rest of it */
        h2_calm_down(h, DEFENCE_SLOW_HEAD);
        return;
    }
    if (x->part == EXCHANGE_READING || reads)
        server_defended(h->c->server, DEFENCE_SLOW_BODY, h->c->peer);
    else if (x->stream.left || x->part == EXCHANGE_STREAMING)
        server_defended(h->c->server, DEFENCE_STALLED_WINDOW, h->c->peer);
    if (x->part == EXCHANGE_READING)
        h2_refuse(h, x, 408, "The request took too long to arrive.");
    else
        nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, x->stream.id,
                                  x->stream.left || x->part == EXCHANGE_STREAMING ? NGHTTP2_CANCEL
                                                                                  : NGHTTP2_NO_ERROR);
}

/* The nearest deadline of all streams, 0: none. Those that have passed are acted upon. */
static int64_t check_streams(H2 *h, int64_t now) {
    int64_t nearest = 0;
    for (HttpExchange *x = h->streams, *next; x; x = next) {
        next = x->stream.next;
        int64_t at = x->stream.closed ? 0 : h2_stream_due(x);
        if (at && at <= now) {
            stream_late(h, x);
            at = h2_stream_due(x);
        }
        if (at && (!nearest || at < nearest)) nearest = at;
    }
    return nearest;
}

/* --- the connection --- */

void h2_terminate(H2 *h, uint32_t code) {
    h->over = true;
    nghttp2_session_terminate_session(h->session, code);
    connection_wake(h->c);
}

void h2_accuse(H2 *h, Defence cause, uint32_t code) {
    if (h->over) return;
    server_defended(h->c->server, cause, h->c->peer);
    h2_terminate(h, code);
}

static void input(Connection *c, Span bytes) {
    H2 *h = c->state;
    if (h->over) return;
    h2_take(h, bytes);
    connection_wake(c);
}

static void eof(Connection *c) {
    connection_finish(c);
}

static void written(Connection *c) {
    connection_pause(c, connection_congested(c));
}

static void final_goaway(H2 *h) {
    h->goaway_us = 0;
    nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h->session),
                          NGHTTP2_NO_ERROR, NULL, 0);
    connection_wake(h->c);
}

static void expired(Connection *c) {
    H2 *h = c->state;
    int64_t now = connection_now(c), idle_us = c->server->options.idle_ms * 1000;
    if (!h->greeted) { /* the preface has not come */
        connection_kill(c);
        return;
    }
    if (h->goaway_us && h->goaway_us <= now) final_goaway(h);
    int64_t next = check_streams(h, now);
    if (!h->streams && now - h->last_stream_us >= idle_us) h2_terminate(h, NGHTTP2_NO_ERROR);
    if (!next) next = h->streams ? now + idle_us : h->last_stream_us + idle_us;
    if (h->goaway_us && h->goaway_us < next) next = h->goaway_us;
    connection_deadline(c, next > now ? (next - now + 999) / 1000 : 1);
    connection_wake(c);
}

/* A handler may end other streams than its own, so the list is begun again after each. */
static void tell_streams(H2 *h) {
    for (HttpExchange *x = h->streams; x;) {
        bool told = x->part != EXCHANGE_STREAMING || x->flow.told_drain;
        if (!told) flow_drain(x);
        x = told ? x->stream.next : h->streams;
    }
}

/* First a notice that refuses nothing, then, when what was on its way has arrived, the real one
 * (section 6.8). */
static void drain(Connection *c) {
    H2 *h = c->state;
    tell_streams(h);
    nghttp2_submit_shutdown_notice(h->session);
    h->goaway_us = connection_now(c) + GOAWAY_PAUSE_MS * 1000;
    if (!c->deadline_us || c->deadline_us > h->goaway_us) connection_deadline(c, GOAWAY_PAUSE_MS);
    connection_wake(c);
}

static void gone(Connection *c) {
    H2 *h = c->state;
    while (h->streams) {
        HttpExchange *x = h->streams;
        h->streams = x->stream.next;
        exchange_release(x);
    }
    nghttp2_session_del(h->session);
    free(h);
}

static bool greet(H2 *h) {
    const HttpServerOptions *o = &h->c->server->options;
    const nghttp2_settings_entry SETTINGS[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, (uint32_t)o->requests_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)o->header_limit},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
    };
    return nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, SETTINGS, COUNT(SETTINGS)) == 0 &&
           nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW) == 0;
}

void *h2_new(Connection *c) {
    H2 *h = calloc(1, sizeof *h);
    if (!h) return NULL;
    h->c = c;
    h->last_stream_us = connection_now(c);
    h2_guard_init(&h->guard, connection_now(c));
    h2_frames_init(&h->frames);
    h->session = h2_session_new(h);
    if (!h->session || !greet(h)) {
        nghttp2_session_del(h->session);
        free(h);
        return NULL;
    }
    connection_wake(c);
    return h;
}

const Protocol H2_PROTOCOL = {input, eof, h2_produce, written, expired, drain, gone};
