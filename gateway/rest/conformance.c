/* conformance.c - endpoints for protocol test suites and benchmarks, with EVENTS_TEST_ENDPOINTS=on and on
 * loopback only. No token is needed; /test/bytes checks one that is sent, so that it costs what a call costs.
 * None of them holds more than a bounded part of a body, however long that is and however slowly it is read.
 */
#include "gateway/rest/answer.h"
#include "gateway/rest/handlers.h"
#include "net/http_stream.h"
#include "net/websocket/websocket.h"
#include <stdlib.h>

enum {
    BYTES_WHOLE = 64 << 10, /* answered like any other call up to here */
    MESSAGE_MAX = 16 << 20,
    WS_WAITING = 64 << 10, /* bytes; above, it pauses */
    WS_HEAD = 16,
};
static const uint64_t BYTES_MAX = (uint64_t)1 << 40;

/* --- /test/echo --- */

typedef struct Echo {
    Request *r;
    size_t owed; /* bytes taken and not given free, because too much waits for the reader */
    bool headed;
} Echo;

/* Not before the body: a client that waits for "100 Continue" would take it for a refusal. */
static void echo_head(Echo *e) {
    if (e->headed) return;
    Answer a = {.media_type = "application/octet-stream"};
    Span length = http_header(e->r->x, "content-length");
    if (length.at) answer_field(&a, "content-length", length);
    e->headed = true;
    answer_stream(e->r, &a);
}

static void echo_data(void *user, HttpExchange *x, Span bytes, bool end) {
    Echo *e = user;
    echo_head(e);
    if (!bytes.len || http_stream_write(x, bytes))
        http_stream_consumed(x, bytes.len);
    else
        e->owed += bytes.len;
    if (end) http_stream_end(x, NULL, 0);
}

static void echo_writable(void *user, HttpExchange *x) {
    Echo *e = user;
    http_stream_consumed(x, e->owed);
    e->owed = 0;
}

static void stream_closed(void *user, HttpExchange *x, HttpStreamEnd how) {
    (void)x, (void)how;
    free(user);
}

void test_echo(Request *r) {
    Echo *e = must(calloc(1, sizeof *e));
    e->r = r;
    HttpStreamEvents events = {
        .data = echo_data, .writable = echo_writable, .closed = stream_closed, .user = e};
    http_stream_open(r->x, &events);
}

/* --- /test/bytes --- */

typedef struct Bytes {
    uint64_t left;
    Blob *part;
} Bytes;

static void bytes_writable(void *user, HttpExchange *x) {
    Bytes *b = user;
    bool room = true;
    while (room && b->left >= b->part->len) {
        b->left -= b->part->len;
        room = http_stream_write_blob(x, b->part);
    }
    if (!room) return;
    http_stream_write(x, (Span){b->part->bytes, (size_t)b->left});
    http_stream_end(x, NULL, 0);
}

static void bytes_closed(void *user, HttpExchange *x, HttpStreamEnd how) {
    Bytes *b = user;
    blob_unref(b->part);
    stream_closed(b, x, how);
}

static void send_in_pieces(Request *r, uint64_t count, Span digits) {
    bool head = span_is(http_method(r->x), "HEAD");
    Bytes *b = must(calloc(1, sizeof *b));
    *b = (Bytes){.left = head ? 0 : count, .part = must(blob_new(BYTES_WHOLE))};
    memset(b->part->bytes, 'x', b->part->len);
    HttpStreamEvents events = {.writable = bytes_writable, .closed = bytes_closed, .user = b};
    Answer a = {.media_type = "application/octet-stream"};
    answer_field(&a, "content-length", digits);
    http_stream_open(r->x, &events);
    answer_stream(r, &a);
    bytes_writable(b, r->x);
}

void test_bytes(Request *r) {
    Span text;
    uint64_t count;
    if (!http_query_value(r->x, "n", &text) || !span_to_u64(text, BYTES_MAX, &count)) {
        answer_bad_field(r, "n", "out_of_range");
        return;
    }
    if (count > BYTES_WHOLE) {
        send_in_pieces(r, count, text);
        return;
    }
    Answer a = {.media_type = "application/octet-stream"};
    char *to = buf_reserve(&a.body, count);
    if (to && count) memset(to, 'x', count);
    if (to) a.body.len = count;
    answer_send(r, &a);
}

/* --- /ws/echo --- */

/* Who does not read the echo is not read from either. */
static void ws_echo_message(WebSocket *ws, void *user, bool text, Span bytes) {
    (void)user;
    websocket_send(ws, text ? 1 : 2, bytes);
    if (websocket_queued(ws) > WS_WAITING) websocket_pause(ws, true);
}

static void ws_echo_drained(WebSocket *ws, void *user) {
    (void)user;
    websocket_pause(ws, false);
}

static void ws_echo_closed(WebSocket *ws, void *user) {
    (void)ws, (void)user;
}

void test_ws_echo(Request *r) {
    Err err = {0};
    if (!websocket_wanted(r->x, &err)) {
        answer_no_websocket(r, &err);
        return;
    }
    WebSocketEvents events = {
        .message = ws_echo_message,
        .drained = ws_echo_drained,
        .closed = ws_echo_closed,
        .message_limit = MESSAGE_MAX,
        .queue_limit = WS_WAITING + MESSAGE_MAX + WS_HEAD,
        .deflate = true,
    };
    websocket_accept(r->x, NULL, &events);
}
