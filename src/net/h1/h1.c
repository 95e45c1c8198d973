/* h1.c - HTTP/1.1 on a connection (RFC 9112): what comes in.
 *
 *     HEAD -> BODY -> HANDLING -> HEAD ...      or -> LAST (an answer with "connection: close")
 *               `---> AWAY -----^               (the answer was over before the body)
 *
 * Pipelined requests are worked off one after the other, so answers are in order whenever they are given, and
 * an unsafe request never overtakes the one before it (section 9.3.2). While a request is being handled, or
 * its handler does not keep up with the body, what follows waits in `in`, up to a bound, then in the kernel.
 * A request that is refused ends the connection: after a doubt about framing nobody can know where the next
 * one begins. */
#include "net/h1/h1.h"

enum { WAITING_MAX = 64 << 10, IN_LIMIT = 1 << 20, BODY_FIRST = 64 << 10, READ_AWAY_MAX = 4 << 20 };

void *h1_new(Connection *c) {
    H1 *h = calloc(1, sizeof *h);
    if (!h) return NULL;
    h->c = c;
    h->in.limit = IN_LIMIT;
    return h;
}

static void h1_free(H1 *h) {
    buf_free(&h->in);
    free(h);
}

static void gone(Connection *c) {
    H1 *h = c->state;
    if (h->x) exchange_release(h->x);
    h1_free(h);
}

static const HttpServerOptions *options(const H1 *h) {
    return &h->c->server->options;
}

static bool streams(const H1 *h) {
    return h->x && h->x->part == EXCHANGE_STREAMING;
}

/* --- requests --- */

static bool body_is_held_back(const H1 *h) {
    return streams(h) && h->part == PART_BODY && h->x->flow.held >= HTTP_STREAM_WINDOW;
}

/* A peer that may not send, because the handler does not keep up, is not late. */
static void body_deadline(H1 *h, size_t arrived) {
    if (h->part == PART_BODY && streams(h))
        connection_deadline(h->c, flow_patience_ms(h->x, arrived, !body_is_held_back(h)));
}

void h1_body_resumed(H1 *h) {
    body_deadline(h, 0);
    connection_wake(h->c);
}

static void body_done(H1 *h) {
    connection_deadline(h->c, 0);
    if (h->part == PART_AWAY) {
        h1_next_request(h);
        return;
    }
    h->part = PART_HANDLING;
    if (streams(h))
        flow_data(h->x, SPAN(""), true);
    else
        exchange_dispatch(h->x);
}

/* The handler has seen the head and not answered: it wants the body, whole or in pieces. */
static void body_begin(H1 *h, const H1Head *head) {
    if (streams(h)) {
        body_deadline(h, 0);
    } else {
        size_t limit = exchange_body_limit(h->x);
        if (head->has_length && head->length > limit) {
            h1_refuse(h, 413, "The body is larger than allowed.");
            return;
        }
        if (head->length)
            buf_reserve(&h->x->body_bytes, head->length < BODY_FIRST ? (size_t)head->length : BODY_FIRST);
        connection_deadline(h->c, options(h)->body_ms);
    }
    if (h->expecting && !h->x->flow.headed) connection_write(h->c, SPAN("HTTP/1.1 100 Continue\r\n\r\n"));
    h->expecting = false;
}

static void fill_exchange(HttpExchange *x, const H1Head *head) {
    x->method = head->method;
    x->authority = head->authority;
    exchange_target(x, head->target);
    x->http10 = head->http10;
    x->head_only = span_is(head->method, "HEAD");
    exchange_headers(x, head->fields, head->field_count);
    for (size_t i = 0; i < head->field_count; i++)
        x->header_bytes += head->fields[i].name.len + head->fields[i].value.len + 32;
}

/* H1_DONE, or a status. The head is copied into the exchange: the spans of the request point there. */
static int read_head(H1 *h, Span bytes, H1Head *head, const char **why) {
    *why = "The server is short of memory.";
    HttpExchange *x = h->x = exchange_new(h->c);
    char *copy = x ? exchange_keep(x, bytes) : NULL;
    head->fields = copy ? http_alloc(x, (h->scan.fields + 1) * sizeof *head->fields) : NULL;
    if (!head->fields) return 503;
    int status = h1_parse(copy, bytes.len, head, why);
    if (status != H1_DONE) return status;
    fill_exchange(x, head);
    h->keep_alive = head->keep_alive;
    if (x->header_bytes > options(h)->header_limit) {
        *why = "The header fields are too large.";
        return 431;
    }
    return H1_DONE;
}

/* From here on the handler may answer at any time: the parts have to be right before it is called. */
static void head_done(H1 *h, const H1Head *head, bool nothing_follows) {
    bool body = head->chunked || head->length;
    h->part = body ? PART_BODY : PART_HANDLING;
    h->chunked = head->chunked;
    h->left = head->length;
    h->chunks = (H1Chunks){0};
    h->read_away = 0;
    h->expecting = body && head->expect_continue && nothing_follows;
    connection_deadline(h->c, 0);
    exchange_head_done(h->x);
    if (!h->x || !connection_alive(h->c)) return;
    if (!body)
        body_done(h);
    else
        body_begin(h, head);
}

static const char *scan_fault(int status) {
    if (status == 414) return "The request line is too long.";
    return status == 431 ? "The header fields are too many or too large." : "The request is malformed.";
}

/* One empty line may stand before a request (section 2.2). False: not yet known. */
static bool skip_empty_line(H1 *h, Span *rest) {
    if (h->empty_line || rest->at[0] != '\r') return true;
    if (rest->len < 2) return false;
    h->empty_line = rest->at[1] == '\n';
    if (h->empty_line) *rest = (Span){rest->at + 2, rest->len - 2};
    return rest->len;
}

/* Each step takes what it can of *rest; false: nothing more can be done now. */
static bool step_head(H1 *h, Span *rest) {
    if (!h->scan.seen && !skip_empty_line(h, rest)) return false;
    if (!h->started) {
        h->started = true;
        connection_deadline(h->c, options(h)->header_ms);
    }
    size_t len;
    int status = h1_scan(&h->scan, *rest, options(h)->header_limit, &len);
    if (status == H1_MORE) return false;
    const char *why = scan_fault(status);
    H1Head head = {0};
    if (status == H1_DONE) status = read_head(h, (Span){rest->at, len}, &head, &why);
    if (status != H1_DONE) {
        h1_refuse(h, status, why);
        return false;
    }
    *rest = (Span){rest->at + len, rest->len - len};
    head_done(h, &head, !rest->len);
    return true;
}

/* Bytes of a body: collected, handed on, or read away, up to a bound. 0, or the status to refuse with. */
static int take_body(H1 *h, Span bytes, const char **why) {
    if (h->part == PART_BODY && !streams(h)) {
        connection_deadline_moves(h->c, bytes.len);
        return exchange_body(h->x, bytes, why);
    }
    if (!bytes.len) return 0;
    if (h->part == PART_BODY && flow_wants_data(h->x)) {
        flow_data(h->x, bytes, false);
        body_deadline(h, bytes.len);
        return 0;
    }
    h->read_away += bytes.len;
    if (h->part == PART_AWAY && h->read_away > READ_AWAY_MAX) connection_finish(h->c);
    return 0;
}

/* What the handler has room for. */
static Span within_window(const H1 *h, Span bytes) {
    if (!streams(h) || h->part != PART_BODY) return bytes;
    size_t room = HTTP_STREAM_WINDOW - h->x->flow.held;
    return bytes.len > room ? (Span){bytes.at, room} : bytes;
}

static bool step_length(H1 *h, Span *rest) {
    Span part = within_window(h, *rest);
    if (part.len > h->left) part.len = (size_t)h->left;
    *rest = (Span){rest->at + part.len, rest->len - part.len};
    h->left -= part.len;
    const char *why;
    int status = take_body(h, part, &why);
    if (status) h1_refuse(h, status, why);
    if (!connection_alive(h->c) || h->left) return false;
    body_done(h);
    return true;
}

static bool step_chunks(H1 *h, Span *rest) {
    for (int status = H1_MORE; status == H1_MORE;) {
        if (!rest->len || body_is_held_back(h)) return false;
        Span data, part = within_window(h, *rest);
        size_t before = part.len;
        status = h1_chunks(&h->chunks, &part, options(h)->header_limit, &data);
        *rest = (Span){rest->at + (before - part.len), rest->len - (before - part.len)};
        const char *why;
        int refused = take_body(h, data, &why);
        if (!connection_alive(h->c)) return false;
        if (refused)
            h1_refuse(h, refused, why);
        else if (status > H1_DONE)
            h1_refuse(h, status, "The chunked body is malformed.");
        if (h->part == PART_LAST) return false;
    }
    body_done(h);
    return true;
}

static bool step(H1 *h, Span *rest) {
    switch ((H1Part)h->part) {
    case PART_HEAD: return rest->len && !connection_congested(h->c) && step_head(h, rest);
    case PART_BODY:
    case PART_AWAY:
        if (!rest->len || body_is_held_back(h)) return false;
        return h->chunked ? step_chunks(h, rest) : step_length(h, rest);
    default: return false;
    }
}

/* Works off what it can. False: h is gone; *rest is then what the next protocol gets. */
static bool run(H1 *h, Span *rest) {
    h->running = true;
    while (!h->upgraded && connection_alive(h->c) && step(h, rest)) {
    }
    h->running = false;
    return !h->upgraded;
}

static void handed_over(H1 *h, Connection *c, Span rest) {
    if (connection_alive(c) && rest.len) c->protocol->input(c, rest);
    h1_free(h);
}

static void run_waiting(H1 *h) {
    Connection *c = h->c;
    Span rest = buf_view(&h->in);
    if (!run(h, &rest)) {
        handed_over(h, c, rest);
        return;
    }
    if (rest.len)
        buf_consume(&h->in, h->in.len - rest.len);
    else
        buf_free(&h->in);
}

/* Enough waits: the rest has to wait in the kernel. */
static bool is_full(const H1 *h) {
    return connection_congested(h->c) || body_is_held_back(h) ||
           (h->part == PART_HANDLING && h->in.len >= WAITING_MAX);
}

static void input(Connection *c, Span bytes) {
    H1 *h = c->state;
    Span rest = bytes;
    if (h->in.len) {
        buf_span(&h->in, bytes);
        if (h->in.failed)
            connection_kill(c);
        else
            run_waiting(h);
    } else if (!run(h, &rest)) {
        handed_over(h, c, rest);
    } else if (connection_alive(c)) {
        buf_span(&h->in, rest);
    }
    if (c->protocol == &H1_PROTOCOL && connection_alive(c) && is_full(c->state)) connection_pause(c, true);
}

/* The peer sends no more, and what is begun cannot become whole. */
static void cut_short(H1 *h) {
    if (h->part == PART_HANDLING || connection_congested(h->c) || body_is_held_back(h)) return;
    if (streams(h))
        connection_kill(h->c);
    else
        connection_finish(h->c);
}

/* An answer that has ended makes room for the request behind it, which may be answered at once, and so on. */
static void produce(Connection *c) {
    for (bool ended = true; ended;) {
        H1 *h = c->state;
        if (streams(h)) h1_stream_turn(h);
        if (connection_alive(c) && h->in.len) run_waiting(h);
        if (c->protocol != &H1_PROTOCOL || !connection_alive(c)) return;
        ended = streams(h) && h->x->flow.ended;
        if (!ended && c->ended) cut_short(h);
    }
}

static void written(Connection *c) {
    connection_pause(c, is_full(c->state));
}

/* The peer may shut its side and still wait for its answer. */
static void eof(Connection *c) {
    connection_wake(c);
}

static void expired(Connection *c) {
    H1 *h = c->state;
    if (h->part == PART_HANDLING) return;
    if (!h->started || h->part == PART_AWAY) {
        connection_finish(c);
        return;
    }
    server_defended(c->server, h->part == PART_HEAD ? DEFENCE_SLOW_HEAD : DEFENCE_SLOW_BODY, c->peer);
    h1_refuse(h, 408, "The request took too long to arrive.");
}

static void drain(Connection *c) {
    const H1 *h = c->state;
    if (streams(h)) flow_drain(h->x);
    if (h->part == PART_HEAD && !h->started) connection_finish(c);
}

bool h1_upgrade(HttpExchange *x, const Protocol *protocol, void *state) {
    Connection *c = x->connection;
    if (!c || !connection_alive(c) || x->h2) return false;
    H1 *h = c->state;
    Buf in = h->in;
    bool running = h->running;
    h->x = NULL;
    x->part = EXCHANGE_ANSWERED;
    x->handler_holds = false;
    exchange_release(x);
    connection_deadline(c, 0);
    connection_become(c, protocol, state);
    h->upgraded = true;
    if (running) return true; /* the rest is in the hands of run()'s caller */
    h->in = (Buf){0};
    h1_free(h);
    if (in.len) protocol->input(c, buf_view(&in));
    buf_free(&in);
    return true;
}

const Protocol H1_PROTOCOL = {input, eof, produce, written, expired, drain, gone};
