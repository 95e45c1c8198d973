/* websocket.c - a WebSocket (RFC 6455), the server's side, on whatever carries it (ws_socket.h).
 *
 *     OPEN -> CLOSING (our close frame is queued; the peer's is awaited) -> CLOSED (the wire ends)
 *
 * Sending is queuing: a frame is a Blob, encoded once for all its receivers, and the turn's frames leave in
 * one system call. Control frames are queued like any others, so they stand between whole frames. Every ping
 * is answered; a peer that sends many and reads no pong is not read from until it does, so it cannot make the
 * queue grow.
 *
 * Heartbeat: a ping counts as unanswered only once the peer's kernel has acknowledged it: it stands behind
 * everything else, and a slow reader is not a dead one. What is dead, that is acknowledges nothing for the
 * server's stall time while bytes wait, is closed too. Whom we do not read from owes no answer. */
#include "net/websocket/websocket.h"

#include "net/websocket/ws_handshake.h"
#include "net/websocket/ws_socket.h"

enum {
    CLOSE_MS = 5000, /* for the peer's close frame */
    REASON_MAX = WS_CONTROL_MAX - 2,
    PINGS_UNANSWERED = 2,
    PONGS_MAX = 64 << 10, /* what waiting pongs may cost, PONG_COST and their bytes each */
    PONG_COST = 64,
    DEFLATE_LEAST = 64, /* bytes; shorter messages do not become shorter enough */
};

typedef enum WsState { WS_OPEN, WS_CLOSING, WS_CLOSED } WsState;

static uint64_t position(const WebSocket *ws) {
    return ws->out->sent + ws->out->bytes;
}
static bool can_send(const WebSocket *ws) {
    return ws->state == WS_OPEN && ws->wire->alive(ws);
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

static Blob *deflated_frame(int opcode, Span payload, unsigned window) {
    AUTO_BUF packed = {0};
    if (payload.len < DEFLATE_LEAST || !ws_deflate(payload, window, &packed))
        return websocket_frame(opcode, payload);
    return websocket_frame(opcode | WS_COMPRESSED, buf_view(&packed));
}

Blob *websocket_frame_deflated(int opcode, Span payload) {
    return deflated_frame(opcode, payload, WS_WINDOW_MOST);
}

bool websocket_deflates(const WebSocket *ws) {
    return ws->deflate.on && ws->deflate.window == WS_WINDOW_MOST;
}

static void owe_drained(WebSocket *ws) {
    if (!ws->owed) ws->wire->want_empty(ws);
    ws->owed = true;
}

static bool has_room(WebSocket *ws, size_t len) {
    if (!can_send(ws)) return false;
    if (ws->out->bytes + len <= ws->events.queue_limit) return true;
    owe_drained(ws);
    return false;
}

bool websocket_send_frame(WebSocket *ws, Blob *frame) {
    if (!has_room(ws, frame->len)) return false;
    ws->wire->write(ws, frame);
    return true;
}

/* Takes over the reference; NULL: memory has ended. */
static void queue(WebSocket *ws, Blob *frame) {
    if (frame)
        ws->wire->write(ws, frame);
    else
        ws->wire->kill(ws);
    blob_unref(frame);
}

bool websocket_send(WebSocket *ws, int opcode, Span payload) {
    if (!has_room(ws, payload.len + WS_HEADER_MAX)) return false;
    queue(ws, ws->deflate.on ? deflated_frame(opcode, payload, ws->deflate.window)
                             : websocket_frame(opcode, payload));
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
    queue(ws, websocket_frame(WS_CLOSE, (Span){payload, len}));
}

/* What the peer says is read again: its close frame is among it. */
void websocket_close(WebSocket *ws, int code, const char *reason) {
    if (!can_send(ws)) return;
    queue_close(ws, code, reason);
    ws->state = WS_CLOSING;
    ws->wire->deadline(ws, CLOSE_MS);
    websocket_pause(ws, false);
}

static void finish(WebSocket *ws) {
    ws->state = WS_CLOSED;
    ws->wire->finish(ws);
}

/* The peer has broken the protocol: a close frame goes out, and nothing it says is read any more. */
static void fail(WebSocket *ws, int code) {
    if (ws->state == WS_OPEN) queue_close(ws, code, NULL);
    finish(ws);
}

void websocket_abort(WebSocket *ws) {
    ws->wire->kill(ws);
}

static void forget_ping(WebSocket *ws) {
    ws->ping = ws->ping_queue = ws->ping_wire = 0;
}

void websocket_drop_queue(WebSocket *ws) {
    if (!can_send(ws)) return;
    output_drop(ws->out, ws->wire->begun(ws));
    if (ws->ping > position(ws)) forget_ping(ws);
    if (ws->pong > position(ws)) ws->pong = 0;
    owe_drained(ws);
}

void websocket_tell_drained(WebSocket *ws) {
    if (can_send(ws)) owe_drained(ws);
}

size_t websocket_queued(const WebSocket *ws) {
    return ws->out->bytes;
}
Loop *websocket_loop(const WebSocket *ws) {
    return ws->loop;
}

/* --- what comes in --- */

static void stop_reading(WebSocket *ws) {
    ws->reader.paused = true;
    ws->resuming = false;
    ws->wire->pause(ws, true);
    ws->wire->want_empty(ws);
}

static void read_on(WebSocket *ws) {
    if (!ws->reader.paused || ws->held || ws->choked) return;
    ws->resuming = true;
    ws->wire->wake(ws);
}

static void on_ping(WebSocket *ws, Span payload) {
    if (!can_send(ws)) return;
    if (ws->pong <= ws->out->sent) ws->pongs = 0;
    queue(ws, websocket_frame(WS_PONG, payload));
    ws->pong = position(ws);
    ws->pongs += PONG_COST + (uint32_t)payload.len;
    if (ws->pongs < PONGS_MAX) return;
    ws->choked = true;
    stop_reading(ws);
}

static void on_close(WebSocket *ws, Span payload) {
    int fault, code = ws_close_parse(payload, &fault);
    if (ws->state == WS_OPEN) queue_close(ws, fault ? fault : code, NULL);
    finish(ws); /* the server is the first to close the connection (section 7.1.1) */
}

/* False: the connection has ended, the reader must not go on. */
static bool on_message(void *user, int opcode, Span payload) {
    WebSocket *ws = user;
    switch (opcode) {
    case WS_PING: on_ping(ws, payload); break;
    case WS_PONG: forget_ping(ws), ws->unanswered = 0; break;
    case WS_CLOSE: on_close(ws, payload); break;
    default:
        if (ws->state == WS_OPEN) ws->events.message(ws, ws->events.user, opcode == WS_TEXT, payload);
    }
    return ws->wire->alive(ws);
}

void ws_input(WebSocket *ws, Span bytes) {
    int code = ws_reader_feed(&ws->reader, bytes, on_message, ws);
    if (code) fail(ws, code);
}

void websocket_pause(WebSocket *ws, bool paused) {
    ws->held = paused && ws->state == WS_OPEN;
    if (!ws->held) {
        read_on(ws);
        return;
    }
    ws->owed = true;
    stop_reading(ws);
}

void ws_turn(WebSocket *ws) {
    while (ws->resuming && ws->wire->alive(ws)) {
        ws->resuming = ws->reader.paused = false;
        ws->wire->pause(ws, false);
        ws_input(ws, SPAN_NONE);
    }
}

void ws_emptied(WebSocket *ws) {
    if (!ws_wants_empty(ws) || ws->out->bytes) return;
    bool owed = ws->owed;
    ws->owed = ws->choked = false;
    read_on(ws);
    if (owed && ws->events.drained && ws->state == WS_OPEN) ws->events.drained(ws, ws->events.user);
}

/* --- time --- */

static void heartbeat(WebSocket *ws) {
    if (ws->wire->stalled(ws)) {
        ws->wire->kill(ws); /* a close frame (1013) could not get through either */
        return;
    }
    if (ws->reader.paused) {
        forget_ping(ws);
    } else if (ws->ping && ws->wire->ping_arrived(ws)) {
        forget_ping(ws);
        if (++ws->unanswered >= PINGS_UNANSWERED) {
            fail(ws, 1011);
            return;
        }
    }
    if (!ws->ping) {
        queue(ws, websocket_frame(WS_PING, SPAN("")));
        ws->ping = position(ws);
    }
    ws->wire->deadline(ws, ws->events.heartbeat_ms);
}

void ws_expired(WebSocket *ws) {
    if (ws->state == WS_OPEN)
        heartbeat(ws);
    else
        ws->wire->kill(ws); /* the peer does not answer our close frame */
}

void ws_gone(WebSocket *ws) {
    ws->events.closed(ws, ws->events.user);
    ws_reader_clear(&ws->reader);
}

/* --- opening --- */

static WebSocket *refuse_accept(HttpExchange *x) {
    static const HttpAnswer UNAVAILABLE = {.status = 503};
    http_respond(x, &UNAVAILABLE); /* dropped where the peer has gone */
    return NULL;
}

static bool can_accept(const HttpExchange *x) {
    if (!x->connection || !connection_alive(x->connection)) return false;
    return !x->h2 || (x->tunnel && !x->stream.closed && !x->stream.remote_done);
}

/* Its events begin with the next turn: until then it is as if it were paused. */
WebSocket *websocket_accept(HttpExchange *x, const char *protocol, const WebSocketEvents *events) {
    WebSocket *ws = !can_accept(x) ? NULL : x->h2 ? ws_h2_new(x) : ws_h1_new(x);
    if (!ws) return refuse_accept(x);
    char extension[WS_DEFLATE_TEXT];
    HttpField fields[2];
    size_t count = 0;
    ws->loop = x->loop;
    ws->events = *events;
    if (events->deflate) ws->deflate = ws_deflate_choose(http_header_list(x, "sec-websocket-extensions"));
    if (ws->deflate.on) ws_deflate_answer(&ws->deflate, extension);
    if (ws->deflate.on) fields[count++] = (HttpField){"sec-websocket-extensions", span_of(extension)};
    if (protocol) fields[count++] = (HttpField){"sec-websocket-protocol", span_of(protocol)};
    ws_reader_init(&ws->reader, &x->server->ws_pool, events->message_limit);
    ws->reader.deflates = ws->deflate.on;
    ws->reader.paused = ws->resuming = true;
    ws->wire->start(ws, x, fields, count);
    ws->wire->deadline(ws, events->heartbeat_ms);
    ws->wire->wake(ws);
    return ws;
}
