/* h1_answer.c - answers of HTTP/1.1: whole ones with their length, streams in chunks (RFC 9112 section 7.1).
 */
#include "net/h1/h1.h"

#include "net/answer.h"
#include <stdio.h>

enum { CHUNK_HEAD = 20 };

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

static void write_fields(Connection *c, const HttpField *fields, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (answer_field_is_clean(&fields[i])) write_field(c, &fields[i]);
}

static void write_length(Connection *c, uint64_t length) {
    connection_write(c, SPAN("content-length: "));
    write_number(c, length);
    connection_write(c, SPAN("\r\n"));
}

static void write_bytes(Connection *c, Span bytes, Blob *blob) {
    if (blob && bytes.len == blob->len)
        connection_write_blob(c, blob);
    else
        connection_write(c, bytes);
}

static void write_chunk(Connection *c, Span bytes, Blob *blob) {
    char head[CHUNK_HEAD];
    int len = snprintf(head, sizeof head, "%zx\r\n", bytes.len);
    connection_write(c, (Span){head, (size_t)len});
    write_bytes(c, bytes, blob);
    connection_write(c, SPAN("\r\n"));
}

static void write_last_chunk(Connection *c, const HttpField *trailers, size_t count) {
    connection_write(c, SPAN("0\r\n"));
    write_fields(c, trailers, count);
    connection_write(c, SPAN("\r\n"));
}

static void write_answer(Connection *c, const HttpAnswer *answer, bool head_only, bool trailers,
                         Span connection) {
    Span body = answer_body(answer);
    write_status(c, answer->status);
    if (trailers)
        connection_write(c, SPAN("transfer-encoding: chunked\r\n"));
    else if (answer_has_body(answer->status))
        write_length(c, body.len);
    write_fields(c, answer->fields, answer->field_count);
    connection_write(c, connection);
    connection_write(c, SPAN("\r\n"));
    if (head_only || !answer_has_body(answer->status)) return;
    if (!trailers) {
        write_bytes(c, body, answer->blob);
        return;
    }
    if (body.len) write_chunk(c, body, answer->blob);
    write_last_chunk(c, answer->trailers, answer->trailer_count);
}

/* "TE: trailers" (RFC 9110 section 10.1.4). */
static bool takes_trailers(const HttpExchange *x) {
    for (Span list = http_header(x, "te"); list.at;)
        if (span_equal_nocase(span_trim(span_split(list, ',', &list)), SPAN("trailers"))) return !x->http10;
    return false;
}

void h1_next_request(H1 *h) {
    h->part = PART_HEAD;
    h->scan = (H1Scan){0};
    h->started = h->empty_line = false;
    connection_deadline(h->c, h->c->server->options.idle_ms);
    connection_wake(h->c); /* more requests may wait in `in` */
}

static void last(H1 *h) {
    h->part = PART_LAST;
    connection_finish(h->c);
}

static Span connection_field(const HttpExchange *x, bool keep) {
    if (!keep) return SPAN("connection: close\r\n");
    return x->http10 ? SPAN("connection: keep-alive\r\n") : SPAN("");
}

/* Before the body has come (from on_head) it ends the connection: what follows need not be a body, if the
 * client waits for "100 Continue", and may be a long one. */
static void answer_whole(HttpExchange *x, const HttpAnswer *answer) {
    Connection *c = x->connection;
    H1 *h = c->state;
    bool keep = h->keep_alive && !c->server->draining && h->part != PART_BODY;
    bool trailers = answer->trailer_count && answer_has_body(answer->status) && takes_trailers(x);
    write_answer(c, answer, x->head_only, trailers, connection_field(x, keep));
    h->x = NULL;
    exchange_release(x);
    if (keep)
        h1_next_request(h);
    else
        last(h);
}

/* The head of the answer is out: what follows cannot be taken for a new one. Without its end, chunks or a
 * length say that it is not whole; where the end of the connection is the end of the answer, only a reset
 * does. */
static void break_off(H1 *h) {
    bool visible = h->chunked_out || h->x->flow.promised != NO_PROMISE;
    h->part = PART_LAST;
    if (visible)
        connection_finish(h->c);
    else
        connection_kill(h->c);
}

void h1_refuse(H1 *h, int status, const char *why) {
    if (h->x && h->x->part == EXCHANGE_STREAMING && h->x->flow.headed) {
        break_off(h);
        return;
    }
    h->keep_alive = false;
    if (status != H1_ALIEN) {
        if (!h->x) h->x = exchange_new(h->c);
        if (h->x && exchange_refused(h->x, status, why)) return;
        Refusal r;
        refusal_make(&r, status, why);
        write_answer(h->c, &r.answer, false, false, SPAN("connection: close\r\n"));
        refusal_clear(&r);
    }
    HttpExchange *x = h->x;
    h->x = NULL;
    last(h);
    if (x) exchange_release(x);
}

/* --- streams --- */

static void opened(HttpExchange *x) {
    (void)x;
}

static void stream_head(HttpExchange *x, const HttpAnswer *answer) {
    Connection *c = x->connection;
    H1 *h = c->state;
    bool body = answer_has_body(answer->status), framed = !body || x->flow.promised != NO_PROMISE;
    h->chunked_out = !framed && !x->http10;
    h->trailers_out = h->chunked_out && takes_trailers(x);
    h->keep_alive &= !c->server->draining && !h->expecting && (framed || h->chunked_out);
    write_status(c, answer->status);
    write_fields(c, answer->fields, answer->field_count);
    if (h->chunked_out) connection_write(c, SPAN("transfer-encoding: chunked\r\n"));
    connection_write(c, connection_field(x, h->keep_alive));
    connection_write(c, SPAN("\r\n"));
}

static bool stream_write(HttpExchange *x, Span bytes, Blob *blob) {
    Connection *c = x->connection;
    const H1 *h = c->state;
    if (h->chunked_out)
        write_chunk(c, bytes, blob);
    else
        write_bytes(c, bytes, blob);
    return true; /* or the connection is being ended */
}

static size_t stream_waiting(const HttpExchange *x) {
    return x->connection->out.bytes;
}

static void stream_end(HttpExchange *x) {
    Connection *c = x->connection;
    const H1 *h = c->state;
    if (h->chunked_out && !x->flow.bodiless)
        write_last_chunk(c, x->trailers, h->trailers_out ? x->trailer_count : 0);
    connection_wake(c); /* h1_stream_turn() goes on */
}

static void stream_reset(HttpExchange *x, uint32_t code) {
    (void)code;
    connection_kill(x->connection);
}

static void stream_consumed(HttpExchange *x, size_t len) {
    bool held_back = x->flow.held + len >= HTTP_STREAM_WINDOW;
    if (held_back && x->flow.held < HTTP_STREAM_WINDOW) h1_body_resumed(x->connection->state);
}

static void stream_over(H1 *h) {
    HttpExchange *x = h->x;
    h->x = NULL;
    flow_closed(x, HTTP_STREAM_DONE);
    exchange_release(x);
    if (!connection_alive(h->c)) return;
    if (!h->keep_alive || h->c->server->draining) {
        last(h);
    } else if (h->part == PART_BODY) {
        h->part = PART_AWAY;
        connection_deadline(h->c, h->c->server->options.body_ms);
    } else {
        h1_next_request(h);
    }
}

void h1_stream_turn(H1 *h) {
    flow_writable(h->x, h->c->out.bytes);
    if (connection_alive(h->c) && h->x->flow.ended) stream_over(h);
}

static void late(HttpExchange *x) {
    (void)x; /* there are no streams here that end by themselves */
}

const ExchangeWays H1_WAYS = {answer_whole, opened,       stream_head,     stream_write, stream_waiting,
                              stream_end,   stream_reset, stream_consumed, late};
