/* The inside of an HttpServer, for the other files of this room. */
#pragma once
#include "net/defence.h"
#include "net/h2/h2_memory.h"
#include "net/http_server.h"
#include "net/websocket/ws_frame.h"

typedef struct Connection Connection;

enum {
    SCRATCH_IN = 64 << 10,  /* one read */
    SCRATCH_OUT = 16 << 10, /* one TLS record */
    DATE_TEXT = 30,         /* "Mon, 23 Nov 2026 10:20:30 GMT" and NUL */
};

struct HttpServer {
    Loop *loop;
    HttpServerOptions options; /* with the defaults filled in */
    Watch listener;
    int reserve; /* a descriptor to give up when there is none left, or -1 */
    unsigned port;
    bool draining;
    size_t connection_count;
    atomic_size_t alone, *together; /* what connections_max bounds: here, unless other servers share it */
    Connection *connections;
    Connection *again; /* have bytes that epoll does not know of */
    Timer again_timer;
    HttpExchange *spare; /* to be used again */
    size_t spare_count;
    HttpExchange *live; /* in somebody's hands */
    size_t bodies;      /* bytes of request bodies held */
    WsPool ws_pool;
    H2Memory h2_memory;
    int64_t defended_us; /* when the log was last told of a defence */
    unsigned defended;   /* times since */
    int64_t date_us;     /* loop time at which `date` was written */
    char date[DATE_TEXT];
    char *in, *out; /* scratch of SCRATCH_IN and SCRATCH_OUT bytes, shared by all connections */
};

static inline void server_count(HttpServer *server, int more) {
    server->connection_count += (size_t)more;
    atomic_fetch_add(server->together, (size_t)more);
    if (server->options.connections)
        atomic_fetch_add_explicit(server->options.connections, more, memory_order_relaxed);
}
/* The value of a Date field, at most a quarter of a second old. */
Span server_date(HttpServer *server);
/* How long a peer may take for so many bytes, in microseconds. */
static inline int64_t server_time_for(const HttpServer *server, size_t bytes) {
    return (int64_t)(bytes * 1000000 / server->options.rate_min);
}
/* Counts it, and tells the log once a second at most. */
void server_defended(HttpServer *server, Defence defence, const char *peer);
