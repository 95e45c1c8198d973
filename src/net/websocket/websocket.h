/* WebSocket (RFC 6455), the server's side, over an HTTP/1.1 connection or a stream of HTTP/2 (RFC 8441).
 * All on the connection's loop thread. Server frames are unmasked, so a frame is encoded once as a Blob and
 * shared by every connection that gets it; control frames go out only between whole frames. */
#pragma once
#include "net/http_server.h"

typedef struct WebSocketEvents {
    /* A whole message. Text is checked to be UTF-8. The bytes live until the return. */
    void (*message)(WebSocket *ws, void *user, bool text, Span bytes);
    /* The connection is gone, for whatever reason: last call, exactly once; ws is freed after it. */
    void (*closed)(WebSocket *ws, void *user);
    /* The queue is empty, after websocket_send() had returned false, websocket_pause() was called or
     * websocket_tell_drained(). May be NULL. */
    void (*drained)(WebSocket *ws, void *user);
    void *user;
    size_t message_limit; /* bytes; above: close 1009 */
    size_t queue_limit;   /* bytes waiting to be sent; websocket_send() refuses above */
    int64_t heartbeat_ms; /* server pings; two unanswered close the connection; 0: none */
    bool deflate; /* permessage-deflate (RFC 7692) where the client offers it; see ws_deflate.h for what it
                     holds */
} WebSocketEvents;

/* Is this a valid upgrade request (HTTP/1.1), or extended CONNECT (HTTP/2)? Otherwise says why. */
bool websocket_wanted(const HttpExchange *x, Err *err);
/* How to answer one that is not: 400, or 426 with the version that we speak where that is what was wrong. */
typedef struct WebSocketRefusal {
    int status;
    HttpField fields[2];
    size_t field_count;
} WebSocketRefusal;
WebSocketRefusal websocket_refusal(const HttpExchange *x);
/* Calls each with every subprotocol that the client offers, until it returns false. */
void websocket_protocols(const HttpExchange *x, bool (*each)(void *user, Span protocol), void *user);
/* Answers 101, or 200 on HTTP/2, and takes the exchange over (http_respond() must not follow). protocol: the
 * one chosen, or NULL. NULL where the peer has gone meanwhile: the exchange is over then too, closed() is not
 * called. No event comes before the handler that calls this has returned to the loop. */
WebSocket *websocket_accept(HttpExchange *x, const char *protocol, const WebSocketEvents *events);

/* The bytes of one whole unmasked frame (header and payload) for websocket_send_frame(). opcode 1 text, 2
 * binary. */
Blob *websocket_frame(int opcode, Span payload);
/* Queues a frame (takes a reference of its own); the turn's frames leave in one system call. False above the
 * queue's limit: nothing was queued. */
bool websocket_send_frame(WebSocket *ws, Blob *frame);
/* Encodes (compressed, where that was negotiated and makes it shorter) and queues, for a single receiver. */
bool websocket_send(WebSocket *ws, int opcode, Span payload);
/* The same as websocket_frame(), compressed if that makes it shorter: to be shared by all for whom
 * websocket_deflates(). */
Blob *websocket_frame_deflated(int opcode, Span payload);
bool websocket_deflates(const WebSocket *ws);
/* Stops reading, at once: no message and no control frame is looked at, and the peer is held back by its
 * window or its socket; drained() tells when the queue is empty. Or goes on, with the next turn. */
void websocket_pause(WebSocket *ws, bool paused);
/* Starts the close handshake; what is queued goes out first. Reason: at most 123 bytes. */
void websocket_close(WebSocket *ws, int code, const char *reason);
/* Forgets the frames that have not begun to leave, for a reader that is too slow: what is sent stays whole
 * frames. drained() is called when the rest has gone, whether or not a send had been refused. */
void websocket_drop_queue(WebSocket *ws);
/* drained() follows once nothing waits. */
void websocket_tell_drained(WebSocket *ws);
/* At once, without a close frame. */
void websocket_abort(WebSocket *ws);
size_t websocket_queued(const WebSocket *ws);
Loop *websocket_loop(const WebSocket *ws);
