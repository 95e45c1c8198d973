/* ws_h1.c - a WebSocket that has taken over a connection of HTTP/1.1 (RFC 6455 section 4.2.2). */
#include "net/h1/h1.h"
#include "net/websocket/ws_handshake.h"
#include "net/websocket/ws_socket.h"
#include <sys/socket.h>

typedef struct H1Socket {
    WebSocket ws;
    Connection *c;
} H1Socket;

static Connection *connection_of(const WebSocket *ws) {
    return CONTAINER(ws, H1Socket, ws)->c;
}

/* --- what the connection tells --- */

static void input(Connection *c, Span bytes) {
    ws_input(c->state, bytes);
}

static void eof(Connection *c) {
    connection_kill(c);
}

static void produce(Connection *c) {
    ws_turn(c->state);
}

static void written(Connection *c) {
    ws_emptied(c->state);
}

static void expired(Connection *c) {
    ws_expired(c->state);
}

/* WebSockets are closed by their owner, who has something to say first. */
static void drain(Connection *c) {
    (void)c;
}

static void gone(Connection *c) {
    WebSocket *ws = c->state;
    ws_gone(ws);
    free(CONTAINER(ws, H1Socket, ws));
}

static const Protocol WEBSOCKET_PROTOCOL = {input, eof, produce, written, expired, drain, gone};

/* --- what the WebSocket asks for --- */

static void write_field(Connection *c, const char *name, Span value) {
    connection_write(c, span_of(name));
    connection_write(c, SPAN(": "));
    connection_write(c, value);
    connection_write(c, SPAN("\r\n"));
}

static void start(WebSocket *ws, HttpExchange *x, const HttpField *fields, size_t count) {
    Connection *c = connection_of(ws);
    char accept[WS_ACCEPT_TEXT];
    int send_buffer = HTTP_STREAM_KERNEL;
    setsockopt(c->watch.fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
    ws_accept_key(http_header(x, "sec-websocket-key"), accept);
    connection_write(
        c, SPAN("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"));
    write_field(c, "sec-websocket-accept", span_of(accept));
    for (size_t i = 0; i < count; i++) write_field(c, fields[i].name, fields[i].value);
    connection_write(c, SPAN("\r\n"));
    h1_upgrade(x, &WEBSOCKET_PROTOCOL, ws);
}

static bool alive(const WebSocket *ws) {
    return connection_alive(connection_of(ws));
}

static void write_frame(WebSocket *ws, Blob *frame) {
    connection_write_blob(connection_of(ws), frame);
}

static void wake(WebSocket *ws) {
    connection_wake(connection_of(ws));
}

static void pause_reading(WebSocket *ws, bool paused) {
    connection_pause(connection_of(ws), paused);
}

static void deadline(WebSocket *ws, int64_t ms) {
    connection_deadline(connection_of(ws), ms);
}

static bool ping_arrived(WebSocket *ws) {
    Connection *c = connection_of(ws);
    if (c->out.sent < ws->ping) return false;
    if (!ws->ping_wire) ws->ping_wire = c->wire_sent;
    return connection_acked(c) >= ws->ping_wire;
}

static bool stalled(WebSocket *ws) {
    Connection *c = connection_of(ws);
    bool yes = connection_stalled(c);
    if (yes) server_defended(c->server, DEFENCE_STALLED_READER, c->peer);
    return yes;
}

static size_t begun(const WebSocket *ws) {
    const Connection *c = connection_of(ws);
    size_t repeated = c->tls ? tls_pending_write(c->tls) : 0;
    return repeated ? repeated : c->out.bytes ? 1 : 0; /* the first frame may have begun to leave */
}

static void finish(WebSocket *ws) {
    connection_finish(connection_of(ws));
}

static void kill_connection(WebSocket *ws) {
    connection_kill(connection_of(ws));
}

const WsWire WS_H1 = {start,         alive,          write_frame,  wake,    wake /* want_empty */,
                      pause_reading, deadline,       ping_arrived, stalled, begun,
                      finish,        kill_connection};

WebSocket *ws_h1_new(HttpExchange *x) {
    H1Socket *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->c = x->connection;
    s->ws.wire = &WS_H1;
    s->ws.out = &s->c->out;
    return &s->ws;
}
