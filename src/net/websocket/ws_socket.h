/* A WebSocket's inside, for websocket.c (the protocol) and for what carries one: ws_h1.c (a connection) and
 * ws_h2.c (a stream of HTTP/2). What carries it embeds the WebSocket, and frees it after ws_gone(). */
#pragma once
#include "net/exchange.h"
#include "net/websocket/websocket.h"
#include "net/websocket/ws_deflate.h"

typedef struct WsWire {
    /* Answers the upgrade with these fields, and takes the exchange over. */
    void (*start)(WebSocket *ws, HttpExchange *x, const HttpField *fields, size_t count);
    bool (*alive)(const WebSocket *ws); /* may still queue */
    void (*write)(WebSocket *ws, Blob *frame);
    void (*wake)(WebSocket *ws);       /* ws_turn() is to be called soon, not from within */
    void (*want_empty)(WebSocket *ws); /* so is ws_emptied(), once nothing waits */
    void (*pause)(WebSocket *ws, bool paused);
    void (*deadline)(WebSocket *ws, int64_t ms); /* ws_expired(); 0: none */
    bool (*ping_arrived)(WebSocket *ws);         /* has the peer's kernel taken all up to ws->ping? */
    bool (*stalled)(WebSocket *ws);              /* has the peer taken nothing for the stall time? */
    size_t (*begun)(const WebSocket *ws);        /* bytes at the front of the queue that must stay */
    void (*finish)(WebSocket *ws); /* what is queued goes out, then the end; nothing is read any more */
    void (*kill)(WebSocket *ws);
} WsWire;

struct WebSocket {
    const WsWire *wire;
    Output *out; /* the wire's queue: each segment behind the first is one whole frame */
    Loop *loop;
    WebSocketEvents events;
    WsReader reader;
    WsDeflate deflate;
    uint64_t ping;       /* position in the output behind the ping that is not answered yet; 0: none */
    uint64_t ping_queue; /* the same in the connection's queue, on HTTP/2; 0: not yet known */
    uint64_t ping_wire;  /* bytes on the wire by when it had certainly left; 0: not yet known */
    uint64_t pong;       /* position behind the last pong */
    uint32_t pongs;      /* what the pongs cost that have been queued since one last waited for nothing */
    uint8_t state, unanswered;
    bool held;     /* by websocket_pause() */
    bool choked;   /* not read from until nothing waits: too many pongs do */
    bool resuming; /* reading goes on with the next turn */
    bool owed;     /* drained() is to be called once nothing waits */
};

extern const WsWire WS_H1, WS_H2;
WebSocket *ws_h1_new(HttpExchange *x); /* NULL where memory ends */
WebSocket *ws_h2_new(HttpExchange *x);

/* What the wire tells. */
void ws_input(WebSocket *ws, Span bytes);
void ws_turn(WebSocket *ws);
void ws_emptied(WebSocket *ws); /* no effect while something waits */
static inline bool ws_wants_empty(const WebSocket *ws) {
    return ws->owed || ws->choked;
}
void ws_expired(WebSocket *ws);
void ws_gone(WebSocket *ws); /* the last one */
