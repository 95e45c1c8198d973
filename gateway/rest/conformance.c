/* conformance.c - endpoints for protocol test suites and benchmarks, with EVENTS_TEST_ENDPOINTS=on and on
 * loopback only. No token is needed; /test/bytes checks one that is sent, so that it costs what a call costs.
 */
#include "gateway/rest/answer.h"
#include "gateway/rest/handlers.h"
#include "net/websocket.h"

enum { BYTES_MAX = 16 << 20, MESSAGE_MAX = 16 << 20 };

void test_echo(Request *r) {
    Answer a = {.media_type = "application/octet-stream"};
    buf_span(&a.body, http_body(r->x));
    answer_send(r, &a);
}

void test_bytes(Request *r) {
    Span text;
    uint64_t count;
    if (!http_query_value(r->x, "n", &text) || !span_to_u64(text, BYTES_MAX, &count)) {
        answer_bad_field(r, "n", "out_of_range");
        return;
    }
    Answer a = {.media_type = "application/octet-stream"};
    char *to = buf_reserve(&a.body, count);
    if (to && count) memset(to, 'x', count);
    if (to) a.body.len = count;
    answer_send(r, &a);
}

static void echo_message(WebSocket *ws, void *user, bool text, Span bytes) {
    (void)user;
    if (!websocket_send(ws, text ? 1 : 2, bytes)) websocket_close(ws, 1013, "read more often");
}

static void echo_closed(WebSocket *ws, void *user) {
    (void)ws, (void)user;
}

void test_ws_echo(Request *r) {
    Err err = {0};
    if (!websocket_wanted(r->x, &err)) {
        websocket_refuse(r->x, &err);
        return;
    }
    WebSocketEvents events = {.message = echo_message, .closed = echo_closed, .message_limit = MESSAGE_MAX};
    events.queue_limit = (size_t)2 * MESSAGE_MAX + (1 << 20);
    websocket_accept(r->x, NULL, &events);
}
