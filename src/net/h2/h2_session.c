/* h2_session.c - what nghttp2 reports: frames become exchanges.
 *
 * nghttp2 keeps the protocol's rules (states, windows, header syntax). What it leaves to us is bounded here:
 * the size of all header fields together, bodies, requests begun but not answered (a reset stream frees its
 * slot in the protocol at once, but not the work that it has started), and frames that cost us more than
 * their sender. */
#include "net/h2/h2.h"

enum {
    OTHERS_PER_SECOND = 10000,
    READ_AWAY_MAX = 4 << 20,
    HONEST_FRAME = 1024,   /* bytes of DATA that may be worth a WINDOW_UPDATE */
    BOMB = 4,              /* times the limit of header fields: no mistake any more */
    HONEST_LIFE_MS = 1000, /* of a stream that the peer resets */
};

static const char TOO_LARGE[] = "The header fields are too large.";

static HttpExchange *stream_of(nghttp2_session *session, int32_t id) {
    return id ? nghttp2_session_get_stream_user_data(session, id) : NULL;
}

static void spend(H2 *h, H2Cost cost) {
    if (!h2_guard_spend(&h->guard, cost, connection_now(h->c))) h2_calm_down(h, h2_guard_defence(cost));
}

/* --- the head --- */

static bool is_request(const nghttp2_frame *frame) {
    return frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    H2 *h = user;
    if (!is_request(frame) || h->over) return 0;
    int32_t id = frame->hd.stream_id;
    HttpExchange *x = h->handling < h->c->server->options.requests_max ? h2_stream_begin(h, id) : NULL;
    if (x)
        nghttp2_session_set_stream_user_data(session, id, x);
    else
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
    return 0;
}

static void pseudo_field(HttpExchange *x, Span name, Span value) {
    if (span_is(name, ":method")) {
        x->method = value;
    } else if (span_is(name, ":path")) {
        exchange_target(x, value);
        if (!h1_is_target(value)) x->stream.refuse = 400;
    } else if (span_is(name, ":scheme")) {
        bool web = span_equal_nocase(value, SPAN("https")) || span_equal_nocase(value, SPAN("http"));
        if (!web) x->stream.refuse = 400;
    } else if (span_is(name, ":authority"))
        x->authority = value;
    else if (span_is(name, ":protocol"))
        x->protocol = value;
}

/* For as long as the exchange: names and values of HPACK's static table are there for ever. */
static bool keep_text(HttpExchange *x, nghttp2_rcbuf *text, Span *ret) {
    nghttp2_vec bytes = nghttp2_rcbuf_get_buf(text);
    *ret = span_bytes(bytes.base, bytes.len);
    if (!nghttp2_rcbuf_is_static(text)) ret->at = exchange_keep(x, *ret);
    return ret->at;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *user) {
    (void)flags;
    HttpExchange *x = stream_of(session, frame->hd.stream_id);
    if (!x) return 0;
    x->header_bytes += nghttp2_rcbuf_get_buf(name).len + nghttp2_rcbuf_get_buf(value).len + 32;
    if (x->header_bytes > BOMB * x->server->options.header_limit) h2_calm_down(user, DEFENCE_HEADER_LISTS);
    if (x->part != EXCHANGE_READING || x->stream.refuse) return 0;
    if (x->header_bytes > x->server->options.header_limit || x->header_count >= H1_FIELDS_MAX) {
        x->stream.refuse = 431;
        return 0;
    }
    if (x->stream.head_done) return 0; /* trailers: nobody uses them */
    Span n, v;
    bool kept = keep_text(x, name, &n) && keep_text(x, value, &v);
    if (kept && n.at[0] == ':')
        pseudo_field(x, n, v);
    else if (!kept || !exchange_header(x, n, v))
        x->stream.refuse = 431;
    return 0;
}

static void dispatch(H2 *h, HttpExchange *x) {
    x->stream.remote_done = true;
    bool wanted = x->part == EXCHANGE_READING || x->part == EXCHANGE_STREAMING;
    if (!wanted || h->over) return;
    if (x->stream.refuse && x->part == EXCHANGE_READING) { /* by the trailers */
        h2_refuse(h, x, x->stream.refuse, TOO_LARGE);
        return;
    }
    h2_stream_deadline(h, x, 0);
    if (x->part == EXCHANGE_STREAMING)
        flow_data(x, SPAN(""), true);
    else
        exchange_dispatch(x);
}

static void expect_continue(H2 *h, HttpExchange *x) {
    nghttp2_nv status = {(uint8_t *)":status", (uint8_t *)"100", 7, 3, NGHTTP2_NV_FLAG_NONE};
    nghttp2_submit_headers(h->session, NGHTTP2_FLAG_NONE, x->stream.id, NULL, &status, 1, NULL);
}

/* An extended CONNECT is handled with its head: the rest of the stream is the tunnel. What comes of it before
 * the answer is kept, up to the stream's window. */
static void tunnel(H2 *h, HttpExchange *x) {
    x->body_limit = H2_STREAM_WINDOW;
    h2_stream_deadline(h, x, 0);
    exchange_head_done(x);
    if (x->part == EXCHANGE_READING) exchange_dispatch(x);
}

static void head_is_fine(H2 *h, HttpExchange *x, uint64_t length, bool end) {
    h2_stream_deadline(h, x, 0);
    exchange_head_done(x);
    bool streams = x->part == EXCHANGE_STREAMING;
    if (x->part == EXCHANGE_ANSWERED)
        return;
    else if (end)
        dispatch(h, x);
    else if (!streams && length > exchange_body_limit(x))
        h2_refuse(h, x, 413, "The body is larger than allowed.");
    else {
        h2_stream_deadline(h, x, streams ? flow_patience_ms(x, 0, true) : h->c->server->options.body_ms);
        if (http_header(x, "expect").at && !x->flow.headed) expect_continue(h, x);
    }
}

/* One name for the server, and one only (section 8.3.1). */
static bool takes_authority(HttpExchange *x) {
    Span host = http_header(x, "host");
    if (!x->authority.len) x->authority = host;
    return h1_is_authority(x->authority) && (!host.at || span_equal_nocase(host, x->authority));
}

/* What nghttp2 lets pass: 0, or the status to refuse it with. */
static int head_fault(HttpExchange *x, const char **why) {
    Span expect = http_header(x, "expect");
    *why = x->stream.refuse == 431 ? TOO_LARGE : "The request target or its scheme is malformed.";
    if (x->stream.refuse) return x->stream.refuse;
    *why = "The authority is malformed, or the Host field names another one.";
    if (!takes_authority(x)) return 400;
    *why = "This method, or this protocol of it, is not implemented.";
    x->tunnel = span_is(x->method, "CONNECT");
    if (x->tunnel && !span_is(x->protocol, "websocket")) return 501;
    *why = "The stream has ended already.";
    if (x->tunnel && x->stream.remote_done) return 400;
    *why = "The request target is too long.";
    if (x->path.len + x->query.len > H1_TARGET_MAX) return 414;
    *why = "This expectation cannot be met.";
    return !expect.at || span_equal_nocase(expect, SPAN("100-continue")) ? 0 : 417;
}

static void head_done(H2 *h, HttpExchange *x, bool end) {
    x->stream.head_done = true;
    x->head_only = span_is(x->method, "HEAD");
    uint64_t length = 0;
    Span given = http_header(x, "content-length");
    if (given.at && !span_to_u64(given, INT64_MAX, &length)) length = INT64_MAX;
    x->stream.remote_done = end;
    const char *why;
    int fault = head_fault(x, &why);
    if (fault)
        h2_refuse(h, x, fault, why);
    else if (x->tunnel)
        tunnel(h, x);
    else
        head_is_fine(h, x, length, end);
}

/* --- the body --- */

static void read_away(nghttp2_session *session, HttpExchange *x, size_t len) {
    bool before = x->stream.read_away > READ_AWAY_MAX;
    x->stream.read_away += len;
    if (!before && x->stream.read_away > READ_AWAY_MAX)
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, x->stream.id, NGHTTP2_NO_ERROR);
}

static void collect(H2 *h, HttpExchange *x, Span bytes, bool early) {
    const char *why;
    int status = exchange_body(x, bytes, &why);
    if (!status) {
        h->buffered += bytes.len;
        h->withheld += bytes.len;
        if (x->stream.limit_us) x->stream.limit_us += server_time_for(x->server, bytes.len);
        if (!early) nghttp2_session_consume_stream(h->session, x->stream.id, bytes.len);
        h2_body_released(h, NULL);
        return;
    }
    nghttp2_session_consume(h->session, x->stream.id, bytes.len);
    if (early)
        nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, x->stream.id, NGHTTP2_ENHANCE_YOUR_CALM);
    else
        h2_refuse(h, x, status, why);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t len,
                   void *user) {
    (void)flags;
    H2 *h = user;
    HttpExchange *x = stream_of(session, id);
    if (x && x->part == EXCHANGE_STREAMING && flow_wants_data(x)) {
        h2_stream_data(h, x, span_bytes(bytes, len));
        return 0;
    }
    bool early = x && x->tunnel && x->part == EXCHANGE_HANDLING;
    if (!x || (x->part != EXCHANGE_READING && !early)) {
        nghttp2_session_consume(session, id, len);
        if (x) read_away(session, x, len);
        return 0;
    }
    collect(h, x, span_bytes(bytes, len), early);
    return 0;
}

/* --- frames --- */

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    H2 *h = user;
    HttpExchange *x = stream_of(session, frame->hd.stream_id);
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        if (!x) break;
        if (is_request(frame))
            head_done(h, x, end);
        else if (end)
            dispatch(h, x);
        break;
    case NGHTTP2_DATA:
        if (!end && frame->hd.length && frame->hd.length <= frame->data.padlen) spend(h, H2_COST_EMPTY);
        if (end && x) dispatch(h, x);
        break;
    case NGHTTP2_SETTINGS:
        if (!(frame->hd.flags & NGHTTP2_FLAG_ACK)) h->greeted = true;
        break;
    default: break;
    }
    return 0;
}

/* Whatever else the peer has sent of this stream may come later than our reset. */
static void reset_sent(H2 *h, int32_t id) {
    if ((uint32_t)id > h->reset_below) h->reset_below = (uint32_t)id;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error, void *user) {
    (void)session;
    H2 *h = user;
    if (frame->hd.stream_id) reset_sent(h, frame->hd.stream_id);
    if (error != NGHTTP2_ERR_REFUSED_STREAM)
        spend(h, H2_COST_INVALID); /* that one is counted when it is sent */
    return 0;
}

/* A field that nghttp2 would pass over in silence makes the request malformed (section 8.2.1). */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                             size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                             void *user) {
    (void)session, (void)frame, (void)name, (void)name_len, (void)value, (void)value_len, (void)flags,
        (void)user;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* Did the peer's frames make us do it? What handlers reset is none of its doing. */
static bool is_made(uint32_t code) {
    return code == NGHTTP2_PROTOCOL_ERROR || code == NGHTTP2_FLOW_CONTROL_ERROR ||
           code == NGHTTP2_STREAM_CLOSED || code == NGHTTP2_FRAME_SIZE_ERROR;
}

static void on_reset_sent(H2 *h, const nghttp2_frame *frame) {
    uint32_t code = frame->rst_stream.error_code;
    reset_sent(h, frame->hd.stream_id);
    if (code == NGHTTP2_REFUSED_STREAM) spend(h, H2_COST_REFUSED);
    if (is_made(code)) spend(h, H2_COST_MADE_RESET);
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    H2 *h = user;
    if (frame->hd.type == NGHTTP2_RST_STREAM) on_reset_sent(h, frame);
    if (frame->hd.type == NGHTTP2_DATA) h2_guard_earn(&h->guard, H2_COST_PING);
    if (frame->hd.type == NGHTTP2_DATA && frame->hd.length >= HONEST_FRAME)
        h2_guard_earn(&h->guard, H2_COST_WINDOW);
    if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) return 0;
    HttpExchange *x = stream_of(session, frame->hd.stream_id);
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (x && x->part == EXCHANGE_STREAMING) {
        bool data = frame->hd.type == NGHTTP2_DATA;
        h2_stream_sent(h, x, data ? frame->hd.length : 0, end);
    }
    if (!end) return 0;
    /* A refusal is whole although the request is not. RFC 9113 section 8.1 would let us reset the stream at
     * once, but some clients (libcurl 7.88) then lose the answer: so a part of the request is read away
     * first. */
    if (x && !x->stream.remote_done) h2_stream_deadline(h, x, h->c->server->options.body_ms);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *user) {
    H2 *h = user;
    HttpExchange *x = stream_of(session, id);
    if (!x) return 0;
    nghttp2_session_set_stream_user_data(session, id, NULL);
    x->stream.closed = true;
    bool lived = connection_now(h->c) - x->stream.since_us >= HONEST_LIFE_MS * 1000;
    bool answered = x->part == EXCHANGE_ANSWERED && (error == NGHTTP2_NO_ERROR || !x->stream.left);
    if (lived || answered) h2_guard_earn(&h->guard, H2_COST_RESET);
    if (x->part == EXCHANGE_HANDLING) { /* counts until its handler has come to an end */
        exchange_cancel(x);
        return 0;
    }
    if (x->part == EXCHANGE_STREAMING) {
        h2_stream_gone(h, x);
        return 0;
    }
    if (x->part == EXCHANGE_READING) h->handling--;
    h2_stream_end(h, x);
    return 0;
}

/* --- the session --- */

static nghttp2_session_callbacks *callbacks_new(void) {
    nghttp2_session_callbacks *cb = NULL;
    if (nghttp2_session_callbacks_new(&cb)) return NULL;
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid_frame);
    nghttp2_session_callbacks_set_on_invalid_header_callback(cb, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(cb, h2_send_shared);
    return cb;
}

static nghttp2_option *option_new(void) {
    nghttp2_option *option = NULL;
    if (nghttp2_option_new(&option)) return NULL;
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_no_auto_window_update(option, 1);
    /* The library counts a CONTINUATION for each piece that its head comes in (1.52), so that a slow peer
     * would be taken for a flood. h2_inspect.c counts frames. */
    nghttp2_option_set_max_continuations(option, (H2_CONTINUATIONS_MAX + 1) * H2_FRAME_HEAD);
    /* Out of the way of h2_guard.c, which is stricter with the hostile and says why it closes. */
    nghttp2_option_set_stream_reset_rate_limit(option, OTHERS_PER_SECOND, OTHERS_PER_SECOND);
    return option;
}

nghttp2_session *h2_session_new(H2 *h) {
    nghttp2_session_callbacks *cb = callbacks_new();
    nghttp2_option *option = option_new();
    nghttp2_session *session = NULL;
    nghttp2_mem memory = h2_memory_for(&h->c->server->h2_memory);
    if (cb && option && nghttp2_session_server_new3(&session, cb, h, option, &memory)) session = NULL;
    nghttp2_session_callbacks_del(cb);
    nghttp2_option_del(option);
    return session;
}
