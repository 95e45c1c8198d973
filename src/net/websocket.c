/* websocket.c - a WebSocket on a connection (RFC 6455), the server's side.
 *
 *     OPEN -> CLOSING (our close frame is queued; the peer's is awaited) -> CLOSED (the connection ends)
 *
 * Sending is queuing: a frame is a Blob, encoded once for all its receivers, and the turn's frames leave in
 * one system call. Control frames are queued like any others, so they stand between whole frames. Only the
 * last of several pings is answered while a pong still waits (section 5.5.3), so a peer cannot make the queue
 * grow.
 *
 * Heartbeat: a ping counts as unanswered only once the peer's kernel has acknowledged it: it stands behind
 * everything else, and a slow reader is not a dead one. What is dead, that is acknowledges nothing for the
 * server's stall time while bytes wait, is closed too. */
#include "net/websocket.h"

#include "net/h1.h"
#include "net/ws_frame.h"
#include "net/ws_handshake.h"
#include <sys/socket.h>

enum {
    SEND_BUFFER = 128 << 10, /* what the kernel may hold of a slow reader's events */
    CLOSE_MS = 5000,         /* for the peer's close frame */
    REASON_MAX = WS_CONTROL_MAX - 2,
    PINGS_UNANSWERED = 2,
    CONTROL_RESERVE = 1 << 10, /* room for control frames above the queue's limit */
};

typedef enum WsState { WS_OPEN, WS_CLOSING, WS_CLOSED } WsState;

struct WebSocket {
    Connection *c;
    WebSocketEvents events;
    WsReader reader;
    Buf early;          /* came before the handler of the upgrade had returned */
    uint64_t ping;      /* position in the output behind the ping that is not answered yet; 0: none */
    uint64_t ping_wire; /* bytes on the wire by when it had certainly left; 0: not yet known */
    uint64_t pong;      /* position behind the last pong */
    uint8_t state, unanswered;
    bool accepting; /* the handler of the upgrade is still running */
    bool refused;   /* a send was: drained() is owed */
};

static uint64_t position(const WebSocket *ws) {
    return ws->c->out.sent + ws->c->out.bytes;
}
static bool can_send(const WebSocket *ws) {
    return ws->state == WS_OPEN && connection_alive(ws->c);
}

/* --- sending --- */

Blob *websocket_frame(int opcode, Span payload) {
    char head[WS_HEADER_MAX];
    size_t len = ws_header(head, opcode, payload.len);
    Blob *frame = blob_new(len + payload.len);
    if (!frame) return NULL;
    memcpy(frame->bytes, head, len);
    if (payload.len) memcpy(frame->bytes + len, payload.at, payload.len);
    return frame;
}

static bool has_room(WebSocket *ws, size_t len) {
    if (!can_send(ws)) return false;
    if (ws->c->out.bytes + len <= ws->events.queue_limit) return true;
    ws->refused = true;
    return false;
}

bool websocket_send_frame(WebSocket *ws, Blob *frame) {
    if (!has_room(ws, frame->len)) return false;
    connection_write_blob(ws->c, frame);
    return true;
}

static void queue_frame(WebSocket *ws, int opcode, Span payload) {
    char head[WS_HEADER_MAX];
    connection_write(ws->c, (Span){head, ws_header(head, opcode, payload.len)});
    connection_write(ws->c, payload);
}

bool websocket_send(WebSocket *ws, int opcode, Span payload) {
    if (!has_room(ws, payload.len + WS_HEADER_MAX)) return false;
    queue_frame(ws, opcode, payload);
    return true;
}

static void queue_close(WebSocket *ws, int code, const char *reason) {
    char payload[WS_CONTROL_MAX] = {(char)(code >> 8), (char)code};
    size_t len = code == 1005 ? 0 : 2;
    if (len && reason) {
        Span text = span_of(reason);
        if (text.len > REASON_MAX) text.len = REASON_MAX;
        memcpy(payload + 2, text.at, text.len);
        len += text.len;
    }
    queue_frame(ws, WS_CLOSE, (Span){payload, len});
}

void websocket_close(WebSocket *ws, int code, const char *reason) {
    if (!can_send(ws)) return;
    queue_close(ws, code, reason);
    ws->state = WS_CLOSING;
    connection_deadline(ws->c, CLOSE_MS);
}

/* The peer has broken the protocol: a close frame goes out, and nothing it says is read any more. */
static void fail(WebSocket *ws, int code) {
    if (ws->state == WS_OPEN) queue_close(ws, code, NULL);
    ws->state = WS_CLOSED;
    connection_finish(ws->c);
}

void websocket_abort(WebSocket *ws) {
    connection_kill(ws->c);
}

void websocket_drop_queue(WebSocket *ws) {
    if (!can_send(ws)) return;
    Output *out = &ws->c->out;
    size_t keep = ws->c->tls ? tls_pending_write(ws->c->tls) : 0;
    output_drop(out, keep ? keep : out->bytes ? 1 : 0); /* the first frame may have begun to leave */
    if (ws->ping > position(ws)) ws->ping = ws->ping_wire = 0;
    if (ws->pong > position(ws)) ws->pong = 0;
    ws->refused = true;
    connection_wake(ws->c);
}

size_t websocket_queued(const WebSocket *ws) {
    return ws->c->out.bytes;
}
Loop *websocket_loop(const WebSocket *ws) {
    return ws->c->server->loop;
}

/* --- what comes in --- */

static void on_ping(WebSocket *ws, Span payload) {
    bool waiting = ws->pong > ws->c->out.sent;
    if (waiting || !can_send(ws) || ws->c->out.bytes > ws->events.queue_limit + CONTROL_RESERVE) return;
    queue_frame(ws, WS_PONG, payload);
    ws->pong = position(ws);
}

static void on_close(WebSocket *ws, Span payload) {
    int code;
    bool valid = ws_close_parse(payload, &code);
    if (ws->state == WS_OPEN) queue_close(ws, valid ? code : 1002, NULL);
    ws->state = WS_CLOSED;
    connection_finish(ws->c); /* the server is the first to close the connection (section 7.1.1) */
}

/* False: the connection has ended, the reader must not go on. */
static bool on_message(void *user, int opcode, Span payload) {
    WebSocket *ws = user;
    switch (opcode) {
    case WS_PING: on_ping(ws, payload); break;
    case WS_PONG: ws->ping = ws->ping_wire = 0, ws->unanswered = 0; break;
    case WS_CLOSE: on_close(ws, payload); break;
    default:
        if (ws->state == WS_OPEN) ws->events.message(ws, ws->events.user, opcode == WS_TEXT, payload);
    }
    return connection_alive(ws->c);
}

static void feed(WebSocket *ws, Span bytes) {
    int code = ws_reader_feed(&ws->reader, bytes, on_message, ws);
    if (code) fail(ws, code);
}

static void input(Connection *c, Span bytes) {
    WebSocket *ws = c->state;
    if (!ws->accepting) {
        feed(ws, bytes);
        return;
    }
    buf_span(&ws->early, bytes);
    if (ws->early.failed)
        connection_kill(c);
    else
        connection_wake(c);
}

static void eof(Connection *c) {
    connection_kill(c);
}

/* The end of the turn in which the upgrade was accepted, and of every one after it. */
static void produce(Connection *c) {
    WebSocket *ws = c->state;
    if (!ws->accepting) return;
    ws->accepting = false;
    if (ws->early.len) feed(ws, buf_view(&ws->early));
    buf_free(&ws->early);
}

static void written(Connection *c) {
    WebSocket *ws = c->state;
    if (!ws->refused || c->out.bytes) return;
    ws->refused = false;
    if (ws->events.drained && ws->state == WS_OPEN) ws->events.drained(ws, ws->events.user);
}

/* --- time --- */

static bool ping_has_arrived(WebSocket *ws) {
    if (ws->c->out.sent < ws->ping) return false;
    if (!ws->ping_wire) ws->ping_wire = ws->c->wire_sent;
    return connection_acked(ws->c) >= ws->ping_wire;
}

static void heartbeat(WebSocket *ws) {
    if (connection_stalled(ws->c)) {
        server_defended(ws->c->server, DEFENCE_STALLED_READER, ws->c->peer);
        connection_kill(ws->c); /* a close frame (1013) could not get through either */
        return;
    }
    if (ws->ping && ping_has_arrived(ws)) {
        ws->ping = ws->ping_wire = 0;
        if (++ws->unanswered >= PINGS_UNANSWERED) {
            fail(ws, 1011);
            return;
        }
    }
    if (!ws->ping) {
        queue_frame(ws, WS_PING, SPAN(""));
        ws->ping = position(ws);
    }
    connection_deadline(ws->c, ws->events.heartbeat_ms);
}

static void expired(Connection *c) {
    WebSocket *ws = c->state;
    if (ws->state == WS_OPEN)
        heartbeat(ws);
    else
        connection_kill(c); /* the peer does not answer our close frame */
}

/* WebSockets are closed by their owner, who has something to say first. */
static void drain(Connection *c) {
    (void)c;
}

static void gone(Connection *c) {
    WebSocket *ws = c->state;
    ws->events.closed(ws, ws->events.user);
    ws_reader_clear(&ws->reader);
    buf_free(&ws->early);
    free(ws);
}

static const Protocol WEBSOCKET_PROTOCOL = {input, eof, produce, written, expired, drain, gone};

/* --- opening --- */

static void answer_101(Connection *c, Span key, const char *protocol) {
    char accept[WS_ACCEPT_TEXT];
    ws_accept_key(key, accept);
    connection_write(c,
                     SPAN("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
                          "sec-websocket-accept: "));
    connection_write(c, span_of(accept));
    if (protocol) {
        connection_write(c, SPAN("\r\nsec-websocket-protocol: "));
        connection_write(c, span_of(protocol));
    }
    connection_write(c, SPAN("\r\n\r\n"));
}

static WebSocket *refuse_accept(HttpExchange *x) {
    static const HttpAnswer UNAVAILABLE = {.status = 503};
    http_respond(x, &UNAVAILABLE); /* dropped where the peer has gone */
    return NULL;
}

WebSocket *websocket_accept(HttpExchange *x, const char *protocol, const WebSocketEvents *events) {
    Connection *c = x->connection;
    WebSocket *ws = c && connection_alive(c) && !x->h2 ? calloc(1, sizeof *ws) : NULL;
    if (!ws) return refuse_accept(x);
    int send_buffer = SEND_BUFFER;
    setsockopt(c->watch.fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
    ws->c = c;
    ws->events = *events;
    ws->accepting = true;
    ws->early.limit = 1 << 20;
    ws_reader_init(&ws->reader, &c->server->ws_pool, events->message_limit);
    answer_101(c, http_header(x, "sec-websocket-key"), protocol);
    h1_upgrade(x, &WEBSOCKET_PROTOCOL, ws);
    connection_deadline(c, events->heartbeat_ms);
    connection_pause(c, false);
    return ws;
}
