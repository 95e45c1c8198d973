#include "gateway/stream/socket.h"

#include "gateway/stream/resume.h"

enum { BINARY = 2, MESSAGE_MAX = 64 << 10 /* bytes of a client's message */ };

Blob *socket_frame(Span message, const char *epoch) {
    (void)epoch;
    return websocket_frame(BINARY, message);
}

static Blob *socket_frame_deflated(Span message, const char *epoch) {
    (void)epoch;
    return websocket_frame_deflated(BINARY, message);
}

static bool send_frame(void *to, Blob *frame) {
    return websocket_send_frame(to, frame);
}

static size_t queued(void *to) {
    return websocket_queued(to);
}

static void drop(void *to) {
    websocket_drop_queue(to);
}

static void tell_drained(void *to) {
    websocket_tell_drained(to);
}

static void close_socket(void *to, int code, const char *reason) {
    /* who may read no longer is not kept waiting behind what he did not read */
    if (code == SESSION_SLOW || code == SESSION_EXPIRED) websocket_drop_queue(to);
    websocket_close(to, code, reason);
}

static const SessionWire PLAIN = {.form = socket_frame,
                                  .send = send_frame,
                                  .queued = queued,
                                  .drop = drop,
                                  .tell_drained = tell_drained,
                                  .close = close_socket};
static const SessionWire DEFLATED = {.form = socket_frame_deflated,
                                     .send = send_frame,
                                     .queued = queued,
                                     .drop = drop,
                                     .tell_drained = tell_drained,
                                     .close = close_socket};

const SessionWire *socket_wire(const WebSocket *ws) {
    return websocket_deflates(ws) ? &DEFLATED : &PLAIN;
}

static void message(WebSocket *ws, void *user, bool text, Span bytes) {
    (void)ws;
    session_message(user, text, bytes);
}

static void closed(WebSocket *ws, void *user) {
    (void)ws;
    session_gone(user);
}

static void drained(WebSocket *ws, void *user) {
    (void)ws;
    session_drained(user);
}

WebSocketEvents socket_events(Session *session) {
    return (WebSocketEvents){
        .message = message,
        .closed = closed,
        .drained = drained,
        .user = session,
        .message_limit = MESSAGE_MAX,
        .queue_limit = SESSION_QUEUE,
        .heartbeat_ms = SESSION_HEARTBEAT_S * 1000,
        .deflate = session->worker->gateway->ws_deflate,
    };
}
