/* h1.c - HTTP/1.1 on a connection (RFC 9112).
 *
 *     HEAD -> BODY -> HANDLING -> HEAD ...      or -> LAST (an answer with "connection: close")
 *
 * Pipelined requests are worked off one after the other, so answers are in order whenever they are given, and
 * an unsafe request never overtakes the one before it (section 9.3.2). While a request is being handled, what
 * follows it waits in `in`, up to a bound, then in the kernel. A request that is refused ends the connection:
 * after a doubt about framing nobody can know where the next one begins. */
#include "net/h1.h"

#include "net/answer.h"

enum { WAITING_MAX = 64 << 10, IN_LIMIT = 1 << 20, BODY_FIRST = 64 << 10 };

typedef enum H1Part { PART_HEAD, PART_BODY, PART_HANDLING, PART_LAST } H1Part;

typedef struct H1 {
    Connection *c;
    HttpExchange *x; /* from its head on, until it is answered */
    H1Scan scan;
    H1Chunks chunks;
    uint64_t left; /* of a body with a length */
    uint8_t part;
    bool started;    /* bytes of a head have come */
    bool empty_line; /* has stood before it */
    bool chunked, keep_alive;
    bool running;  /* input is being worked off further up the stack */
    bool upgraded; /* the connection belongs to another protocol now; to be freed by who is running */
    Buf in;        /* bytes not worked off: begins with the request that scan looks at */
} H1;

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

/* --- answers --- */

static void write_text(Connection *c, const char *text) {
    connection_write(c, span_of(text));
}

static void write_number(Connection *c, uint64_t number) {
    char digits[NUMBER_TEXT];
    connection_write(c, (Span){digits, answer_number(digits, number)});
}

static void write_field(Connection *c, const HttpField *f) {
    write_text(c, f->name);
    connection_write(c, SPAN(": "));
    connection_write(c, f->value);
    connection_write(c, SPAN("\r\n"));
}

static void write_status(Connection *c, int status) {
    if (status == 200) {
        connection_write(c, SPAN("HTTP/1.1 200 OK\r\ndate: "));
    } else {
        connection_write(c, SPAN("HTTP/1.1 "));
        write_number(c, (uint64_t)status);
        connection_write(c, SPAN(" "));
        write_text(c, answer_reason(status));
        connection_write(c, SPAN("\r\ndate: "));
    }
    connection_write(c, server_date(c->server));
    connection_write(c, SPAN("\r\n"));
}

static void write_answer(Connection *c, const HttpAnswer *answer, bool head_only, Span connection) {
    Span body = answer_body(answer);
    write_status(c, answer->status);
    if (answer_has_body(answer->status)) {
        connection_write(c, SPAN("content-length: "));
        write_number(c, body.len);
        connection_write(c, SPAN("\r\n"));
    }
    for (size_t i = 0; i < answer->field_count; i++)
        if (answer_field_is_clean(&answer->fields[i])) write_field(c, &answer->fields[i]);
    connection_write(c, connection);
    connection_write(c, SPAN("\r\n"));
    if (head_only || !answer_has_body(answer->status)) return;
    if (answer->blob)
        connection_write_blob(c, answer->blob);
    else
        connection_write(c, body);
}

static void next_request(H1 *h) {
    h->part = PART_HEAD;
    h->scan = (H1Scan){0};
    h->started = h->empty_line = false;
    connection_deadline(h->c, options(h)->idle_ms);
    connection_wake(h->c); /* more requests may wait in `in` */
}

void h1_answer(HttpExchange *x, const HttpAnswer *answer) {
    Connection *c = x->connection;
    H1 *h = c->state;
    bool keep = h->keep_alive && !c->server->draining;
    Span connection = !keep       ? SPAN("connection: close\r\n")
                      : x->http10 ? SPAN("connection: keep-alive\r\n")
                                  : SPAN("");
    write_answer(c, answer, x->head_only, connection);
    h->x = NULL;
    exchange_release(x);
    if (keep) {
        next_request(h);
    } else {
        h->part = PART_LAST;
        connection_finish(c);
    }
}

static void refuse(H1 *h, int status, const char *why) {
    Refusal r;
    refusal_make(&r, status, why);
    if (status != H1_ALIEN) write_answer(h->c, &r.answer, false, SPAN("connection: close\r\n"));
    refusal_clear(&r);
    h->part = PART_LAST;
    if (h->x) exchange_release(h->x);
    h->x = NULL;
    connection_finish(h->c);
}

/* --- requests --- */

static void dispatch(H1 *h) {
    h->part = PART_HANDLING;
    connection_deadline(h->c, 0);
    exchange_dispatch(h->x);
}

static void body_begin(H1 *h, const H1Head *head, bool nothing_follows) {
    h->part = PART_BODY;
    h->chunked = head->chunked;
    h->left = head->length;
    h->chunks = (H1Chunks){0};
    if (head->length)
        buf_reserve(&h->x->body_bytes, head->length < BODY_FIRST ? (size_t)head->length : BODY_FIRST);
    connection_deadline(h->c, options(h)->body_ms);
    if (head->expect_continue && nothing_follows)
        connection_write(h->c, SPAN("HTTP/1.1 100 Continue\r\n\r\n"));
}

static void fill_exchange(HttpExchange *x, const H1Head *head) {
    x->method = head->method;
    x->authority = head->authority;
    exchange_target(x, head->target);
    x->http10 = head->http10;
    x->head_only = span_is(head->method, "HEAD");
    x->headers = head->fields;
    x->header_count = x->header_size = (uint32_t)head->field_count;
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
    exchange_head_done(x);
    *why = "The body is larger than allowed.";
    return head->has_length && head->length > x->body_limit ? 413 : H1_DONE;
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
        refuse(h, status, why);
        return false;
    }
    *rest = (Span){rest->at + len, rest->len - len};
    if (head.chunked || head.length)
        body_begin(h, &head, !rest->len);
    else
        dispatch(h);
    return true;
}

static bool step_length(H1 *h, Span *rest) {
    size_t len = h->left < rest->len ? (size_t)h->left : rest->len;
    const char *why;
    int status = exchange_body(h->x, (Span){rest->at, len}, &why);
    *rest = (Span){rest->at + len, rest->len - len};
    h->left -= len;
    if (status) refuse(h, status, why);
    if (h->left || h->part == PART_LAST) return false;
    dispatch(h);
    return true;
}

static bool step_chunks(H1 *h, Span *rest) {
    for (int status = H1_MORE; status == H1_MORE;) {
        if (!rest->len) return false;
        Span data;
        status = h1_chunks(&h->chunks, rest, options(h)->header_limit, &data);
        const char *why;
        int refused = exchange_body(h->x, data, &why);
        if (refused)
            refuse(h, refused, why);
        else if (status > H1_DONE)
            refuse(h, status, "The chunked body is malformed.");
        if (h->part == PART_LAST) return false;
    }
    dispatch(h);
    return true;
}

static bool step(H1 *h, Span *rest) {
    switch ((H1Part)h->part) {
    case PART_HEAD: return rest->len && !connection_congested(h->c) && step_head(h, rest);
    case PART_BODY: return h->chunked ? step_chunks(h, rest) : step_length(h, rest);
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

static void input(Connection *c, Span bytes) {
    H1 *h = c->state;
    if (h->in.len) {
        buf_span(&h->in, bytes);
        if (h->in.failed)
            connection_kill(c);
        else
            run_waiting(h);
        return;
    }
    Span rest = bytes;
    if (!run(h, &rest))
        handed_over(h, c, rest);
    else if (connection_alive(c))
        buf_span(&h->in, rest);
}

static void produce(Connection *c) {
    H1 *h = c->state;
    if (h->in.len) run_waiting(h);
    if (c->protocol != &H1_PROTOCOL || !connection_alive(c)) return;
    bool between = h->part == PART_HEAD || h->part == PART_BODY;
    if (c->ended && between && !connection_congested(c))
        connection_finish(c); /* nothing more can come of it */
}

static void written(Connection *c) {
    const H1 *h = c->state;
    connection_pause(c, connection_congested(c) || (h->part == PART_HANDLING && h->in.len >= WAITING_MAX));
}

/* The peer may shut its side and still wait for its answer. */
static void eof(Connection *c) {
    connection_wake(c);
}

static void expired(Connection *c) {
    H1 *h = c->state;
    if (h->part == PART_HANDLING) return;
    if (h->started)
        refuse(h, 408, "The request took too long to arrive.");
    else
        connection_finish(c);
}

static void drain(Connection *c) {
    const H1 *h = c->state;
    if (h->part == PART_HEAD && !h->started) connection_finish(c);
}

bool h1_upgrade(HttpExchange *x, const Protocol *protocol, void *state) {
    Connection *c = x->connection;
    if (!c || !connection_alive(c) || x->h2) return false;
    H1 *h = c->state;
    Buf in = h->in;
    bool running = h->running;
    h->x = NULL;
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
