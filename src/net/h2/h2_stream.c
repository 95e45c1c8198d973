/* h2_stream.c - bodies in pieces on HTTP/2: two windows and two clocks for each stream.
 *
 * In: a byte given to the handler is taken off the stream's window until the handler has consumed it. The
 * connection's window is opened again at once, so that one stream whose handler waits does not stop the
 * others; only when all of a connection's streams together hold more than their bound (h2_body_released()) is
 * it kept shut. The clock of patience runs while at least half of the stream's window is free, for only then
 * has the peer certainly been told that it may send (nghttp2 sends a window update per half a window).
 *
 * Out: what is written waits in the exchange's own queue for the stream's window, and goes from there into
 * frames by reference. The stall clock runs while something waits and none of it is taken. */
#include "net/h2/h2.h"

static H2 *h2_of(const HttpExchange *x) {
    return x->connection->state;
}

int64_t h2_stream_due(const HttpExchange *x) {
    int64_t a = x->stream.limit_us, b = x->flow.stall_us;
    return !a ? b : !b ? a : a < b ? a : b;
}

/* --- in --- */

static void patience(H2 *h, HttpExchange *x, size_t arrived) {
    bool peer_may_send = x->flow.held < H2_STREAM_WINDOW / 2 && !h->withheld && !x->stream.remote_done;
    h2_stream_deadline(h, x, flow_patience_ms(x, arrived, peer_may_send));
}

void h2_stream_data(H2 *h, HttpExchange *x, Span bytes) {
    h->buffered += bytes.len;
    h->withheld += bytes.len;
    h2_body_released(h, NULL);
    flow_data(x, bytes, false);
    patience(h, x, bytes.len);
}

static void consumed(HttpExchange *x, size_t len) {
    H2 *h = h2_of(x);
    h->buffered -= len;
    nghttp2_session_consume_stream(h->session, x->stream.id, len);
    h2_body_released(h, NULL);
    patience(h, x, 0);
    connection_wake(h->c);
}

/* --- out --- */

static void stall_begins(H2 *h, HttpExchange *x) {
    int64_t ms = h->c->server->options.stall_ms;
    x->flow.stall_us = connection_now(h->c) + ms * 1000;
    if (!h->c->deadline_us || h->c->deadline_us > x->flow.stall_us) connection_deadline(h->c, ms);
}

/* Called by nghttp2_session_mem_send(): as much as the windows and a frame have room for. */
static ssize_t read_stream(nghttp2_session *session, int32_t id, uint8_t *to, size_t size, uint32_t *flags,
                           nghttp2_data_source *source, void *user) {
    (void)session, (void)id;
    HttpExchange *x = source->ptr;
    Output *out = &x->flow.out;
    size_t len = out->bytes < size ? out->bytes : size;
    if (!len && !x->flow.ended) {
        x->flow.asleep = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (len == out->bytes && x->flow.ended) *flags |= h2_last_flags(user, x);
    if (len > H2_COPY_MAX)
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY; /* h2_send_shared() follows */
    else
        output_take(out, (char *)to, len);
    return (ssize_t)len;
}

static void resume(H2 *h, HttpExchange *x) {
    if (x->flow.asleep) nghttp2_session_resume_data(h->session, x->stream.id);
    x->flow.asleep = false;
    connection_wake(h->c);
}

static void stream_head(HttpExchange *x, const HttpAnswer *answer) {
    H2 *h = h2_of(x);
    nghttp2_data_provider provider = {.source.ptr = x, .read_callback = read_stream};
    if (h2_submit_head(h, x, answer, &provider)) http_stream_reset(x, NGHTTP2_INTERNAL_ERROR);
    connection_wake(h->c);
}

static bool stream_write(HttpExchange *x, Span bytes, Blob *blob) {
    H2 *h = h2_of(x);
    Output *out = &x->flow.out;
    bool first = !out->bytes;
    if (blob ? !output_share(out, blob, bytes) : !output_copy(out, bytes.at, bytes.len)) return false;
    if (first) stall_begins(h, x);
    resume(h, x);
    return true;
}

static size_t stream_waiting(const HttpExchange *x) {
    return x->flow.out.bytes;
}

static void stream_end(HttpExchange *x) {
    resume(h2_of(x), x);
}

static void stream_reset(HttpExchange *x, uint32_t code) {
    H2 *h = h2_of(x);
    nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, x->stream.id, code);
    connection_wake(h->c);
}

/* --- the end --- */

static void let_go(H2 *h, HttpExchange *x, HttpStreamEnd how) {
    h->handling--;
    x->flow.stall_us = 0;
    h2_body_released(h, x);
    flow_closed(x, how);
}

void h2_stream_sent(H2 *h, HttpExchange *x, size_t len, bool end) {
    if (end && x->flow.ended) {
        let_go(h, x, HTTP_STREAM_DONE);
        return;
    }
    if (!x->flow.out.bytes)
        x->flow.stall_us = 0;
    else if (len)
        h2_stall_moves(h, &x->flow.stall_us, len);
    flow_writable(x, x->flow.out.bytes);
}

void h2_stream_gone(H2 *h, HttpExchange *x) {
    let_go(h, x, HTTP_STREAM_CANCELLED);
    h2_stream_end(h, x);
}

static void late(HttpExchange *x) {
    h2_stream_gone(h2_of(x), x);
}

static void opened(HttpExchange *x) {
    h2_stream_deadline(h2_of(x), x, 0);
}

const ExchangeWays H2_WAYS = {h2_answer,  opened,       stream_head, stream_write, stream_waiting,
                              stream_end, stream_reset, consumed,    late};
