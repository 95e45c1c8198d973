/* http_stream.c - what a call that streams is, whichever protocol carries it.
 *
 * Events come from the protocols while they work off what has come in or write out what waits, never from
 * within a function that the handler calls: so a handler need not expect to be called back, or to be gone, in
 * the middle of its own work. What it asks for (the end, a reset) happens at the end of the turn. */
#include "net/http_stream.h"

#include "net/answer.h"
#include "net/exchange.h"
#include <sys/socket.h>

static bool has_connection(const HttpExchange *x) {
    return x->connection && connection_alive(x->connection) && !x->stream.closed;
}

/* --- called by the handler --- */

static void on_late(Deferred *deferred) {
    HttpExchange *x = CONTAINER(deferred, HttpExchange, flow.late);
    if (x->connection) {
        exchange_ways(x)->late(x);
    } else {
        x->protocol_holds = true; /* until the handler has been told */
        exchange_release(x);
    }
}

void http_stream_open(HttpExchange *x, const HttpStreamEvents *events) {
    bool handled = x->part == EXCHANGE_HANDLING;
    if (!handled && x->part != EXCHANGE_READING) abort(); /* a mistake of ours */
    x->part = EXCHANGE_STREAMING;
    x->handler_holds = true;
    x->cancelled = NULL;
    x->flow.events = *events;
    x->flow.promised = NO_PROMISE;
    x->flow.late.run = on_late;
    output_init(&x->flow.out);
    if (events->kernel_bytes && has_connection(x))
        setsockopt(x->connection->watch.fd, SOL_SOCKET, SO_SNDBUF, &events->kernel_bytes, sizeof(int));
    if (!x->connection || x->stream.closed)
        loop_defer(x->loop, &x->flow.late);
    else if (handled)
        exchange_ways(x)->opened(x);
}

static uint64_t promised_length(const HttpAnswer *answer) {
    uint64_t length = NO_PROMISE;
    for (size_t i = 0; i < answer->field_count; i++)
        if (strcmp(answer->fields[i].name, "content-length") == 0)
            span_to_u64(answer->fields[i].value, INT64_MAX, &length);
    return length;
}

void http_stream_head(HttpExchange *x, const HttpAnswer *answer) {
    if (x->flow.headed || x->flow.ended) abort(); /* a mistake of ours */
    x->flow.headed = true;
    x->flow.bodiless = x->head_only || !answer_has_body(answer->status);
    x->flow.promised = promised_length(answer);
    if (has_connection(x)) exchange_ways(x)->head(x, answer);
}

static bool write_any(HttpExchange *x, Span bytes, Blob *blob) {
    Flow *f = &x->flow;
    if (!f->headed || f->ended) abort(); /* a mistake of ours */
    if (!has_connection(x) || f->bodiless) return true;
    if (bytes.len > f->promised) bytes.len = (size_t)f->promised;
    if (f->promised != NO_PROMISE) f->promised -= bytes.len;
    if (!bytes.len) return true;
    if (!exchange_ways(x)->write(x, bytes, blob))
        http_stream_reset(x, 2); /* INTERNAL_ERROR */
    else if (http_stream_waiting(x) > HTTP_STREAM_LIMIT)
        f->refused = true;
    return !f->refused;
}

bool http_stream_write(HttpExchange *x, Span bytes) {
    return write_any(x, bytes, NULL);
}
bool http_stream_write_blob(HttpExchange *x, Blob *blob) {
    return write_any(x, blob_view(blob), blob);
}

size_t http_stream_waiting(const HttpExchange *x) {
    return has_connection(x) ? exchange_ways(x)->waiting(x) : 0;
}

/* An answer that is shorter than its content-length, or never began, cannot be ended in a way that the peer
 * would take for right. */
void http_stream_end(HttpExchange *x, const HttpField *trailers, size_t count) {
    Flow *f = &x->flow;
    if (f->ended || x->part != EXCHANGE_STREAMING) return;
    if (!f->headed) http_stream_head(x, &(HttpAnswer){.status = 500});
    f->ended = true;
    if (!has_connection(x)) return;
    bool short_of = f->promised && f->promised != NO_PROMISE && !f->bodiless;
    if (short_of || !exchange_trailers(x, trailers, count))
        http_stream_reset(x, 2); /* INTERNAL_ERROR */
    else
        exchange_ways(x)->end(x);
}

void http_stream_reset(HttpExchange *x, uint32_t code) {
    if (has_connection(x)) exchange_ways(x)->reset(x, code);
}

void http_stream_consumed(HttpExchange *x, size_t len) {
    if (len > x->flow.held) len = x->flow.held;
    if (!len || x->part != EXCHANGE_STREAMING) return;
    x->flow.held -= len;
    if (has_connection(x)) exchange_ways(x)->consumed(x, len);
}

bool http_draining(const HttpExchange *x) {
    return !x->server || x->server->draining;
}

/* --- called by the protocols --- */

bool flow_wants_data(const HttpExchange *x) {
    return x->flow.events.data && !x->flow.ended;
}

void flow_data(HttpExchange *x, Span bytes, bool end) {
    if (!flow_wants_data(x)) return;
    x->flow.held += bytes.len;
    x->flow.events.data(x->flow.events.user, x, bytes, end);
}

void flow_writable(HttpExchange *x, size_t waiting) {
    Flow *f = &x->flow;
    if (!f->refused || f->ended || waiting > HTTP_STREAM_LIMIT / 2) return;
    f->refused = false;
    if (f->events.writable) f->events.writable(f->events.user, x);
}

void flow_closed(HttpExchange *x, HttpStreamEnd how) {
    if (x->part != EXCHANGE_STREAMING) return;
    x->part = EXCHANGE_ANSWERED;
    x->flow.ended = true;
    loop_undefer(x->loop, &x->flow.late);
    x->flow.events.closed(x->flow.events.user, x, how);
    x->handler_holds = false;
}

void flow_drain(HttpExchange *x) {
    Flow *f = &x->flow;
    if (x->part != EXCHANGE_STREAMING || f->told_drain) return;
    f->told_drain = true;
    if (f->events.draining) f->events.draining(f->events.user, x);
}

/* Time runs out while the peer may send, and what it sends gives it back, at the least rate that is allowed,
 * up to what there was at first: neither silence nor crumbs last for ever. Who could not send begins anew. */
int64_t flow_patience_ms(HttpExchange *x, size_t arrived, bool may_send) {
    Flow *f = &x->flow;
    int64_t silence_ms = f->events.silence_ms ? f->events.silence_ms : x->server->options.body_ms;
    int64_t most = silence_ms * 1000, now = connection_now(x->connection), since = f->clock_us;
    f->clock_us = 0;
    if (silence_ms < 0 || !may_send) return 0;
    f->patience_us = since ? f->patience_us + server_time_for(x->server, arrived) - (now - since) : most;
    if (f->patience_us > most) f->patience_us = most;
    f->clock_us = now;
    return f->patience_us > 1000 ? f->patience_us / 1000 : 1;
}
