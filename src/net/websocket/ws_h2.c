/* ws_h2.c - a WebSocket on a stream of HTTP/2 (RFC 8441): what an extended CONNECT has opened. Its frames are
 * the stream's DATA; END_STREAM stands for TCP's FIN, and RST_STREAM with CANCEL for its RST (section 5).
 *
 * It is a call that streams (http_stream.h) like any other, with the stream's windows in both directions:
 * what has not been read because of websocket_pause() is not consumed. */
#include "net/h2/h2.h"
#include "net/websocket/ws_socket.h"

typedef struct H2Socket {
    WebSocket ws;
    HttpExchange *x;
    Timer timer;
    Deferred turn;
} H2Socket;

static H2Socket *socket_of(const WebSocket *ws) {
    return CONTAINER((WebSocket *)ws, H2Socket, ws);
}

/* --- what the stream tells --- */

static void consume(H2Socket *s) {
    if (!s->ws.reader.paused) http_stream_consumed(s->x, s->x->flow.held);
}

static void finish(WebSocket *ws) {
    H2Socket *s = socket_of(ws);
    loop_timer_stop(ws->loop, &s->timer);
    http_stream_end(s->x, NULL, 0);
}

static void on_data(void *user, HttpExchange *x, Span bytes, bool end) {
    (void)x;
    H2Socket *s = user;
    if (bytes.len) ws_input(&s->ws, bytes);
    consume(s);
    if (end) finish(&s->ws); /* the peer has gone without a close frame */
}

/* HttpStreamEvents.writable, which is called once for each time that it is asked for. */
static void on_writable(void *user, HttpExchange *x) {
    H2Socket *s = user;
    ws_emptied(&s->ws);
    x->flow.refused = ws_wants_empty(&s->ws);
}

static void on_turn(Deferred *deferred) {
    H2Socket *s = CONTAINER(deferred, H2Socket, turn);
    ws_turn(&s->ws);
    consume(s);
    ws_emptied(&s->ws);
}

static void on_timer(Timer *timer) {
    ws_expired(&CONTAINER(timer, H2Socket, timer)->ws);
}

static void on_closed(void *user, HttpExchange *x, HttpStreamEnd how) {
    (void)x, (void)how;
    H2Socket *s = user;
    loop_timer_stop(s->ws.loop, &s->timer);
    loop_undefer(s->ws.loop, &s->turn);
    ws_gone(&s->ws);
    free(s);
}

/* --- what the WebSocket asks for --- */

/* Frames that came before the answer have waited as the request's body. */
static void take_early(H2Socket *s) {
    HttpExchange *x = s->x;
    H2 *h = x->connection->state;
    buf_span(&s->ws.reader.waiting, buf_view(&x->body_bytes));
    nghttp2_session_consume_stream(h->session, x->stream.id, x->body_bytes.len);
    h2_body_released(h, x);
}

static void start(WebSocket *ws, HttpExchange *x, const HttpField *fields, size_t count) {
    H2Socket *s = socket_of(ws);
    HttpStreamEvents events = {.data = on_data,
                               .writable = on_writable,
                               .closed = on_closed,
                               .user = s,
                               .silence_ms = -1,
                               .kernel_bytes = HTTP_STREAM_KERNEL};
    http_stream_open(x, &events);
    http_stream_head(x, &(HttpAnswer){.status = 200, .fields = fields, .field_count = count});
    take_early(s);
}

static bool alive(const WebSocket *ws) {
    const HttpExchange *x = socket_of(ws)->x;
    return x->connection && connection_alive(x->connection) && !x->stream.closed && !x->flow.ended;
}

static void write_frame(WebSocket *ws, Blob *frame) {
    http_stream_write_blob(socket_of(ws)->x, frame);
}

static void wake(WebSocket *ws) {
    loop_defer(ws->loop, &socket_of(ws)->turn);
}

static void want_empty(WebSocket *ws) {
    socket_of(ws)->x->flow.refused = true;
    wake(ws);
}

static void pause_reading(WebSocket *ws, bool paused) {
    (void)ws, (void)paused; /* the windows see to it */
}

static void deadline(WebSocket *ws, int64_t ms) {
    H2Socket *s = socket_of(ws);
    if (ms)
        loop_timer_set(ws->loop, &s->timer, ms);
    else
        loop_timer_stop(ws->loop, &s->timer);
}

/* First it leaves the stream's queue, then the connection's, then the kernel's. */
static bool ping_arrived(WebSocket *ws) {
    Connection *c = socket_of(ws)->x->connection;
    if (ws->out->sent < ws->ping) return false;
    if (!ws->ping_queue) ws->ping_queue = c->out.sent + c->out.bytes;
    if (c->out.sent < ws->ping_queue) return false;
    if (!ws->ping_wire) ws->ping_wire = c->wire_sent;
    return connection_acked(c) >= ws->ping_wire;
}

static bool stalled(WebSocket *ws) {
    (void)ws;
    return false; /* the stream's own clock cuts it */
}

static size_t begun(const WebSocket *ws) {
    return ws->out->bytes ? 1 : 0; /* the first frame may have begun to leave */
}

static void kill_stream(WebSocket *ws) {
    http_stream_reset(socket_of(ws)->x, NGHTTP2_CANCEL);
}

const WsWire WS_H2 = {start,    alive,        write_frame, wake,  want_empty, pause_reading,
                      deadline, ping_arrived, stalled,     begun, finish,     kill_stream};

WebSocket *ws_h2_new(HttpExchange *x) {
    H2Socket *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->x = x;
    s->ws.wire = &WS_H2;
    s->ws.out = &x->flow.out;
    s->timer.expired = on_timer;
    s->turn.run = on_turn;
    return &s->ws;
}
