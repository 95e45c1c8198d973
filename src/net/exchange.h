/* The inside of an HttpExchange: one request, its answer, and their memory. Exchanges are pooled by the
 * server; most requests need no memory beyond the exchange's own block.
 *
 * Two parties hold it: the one who handles the request until http_respond(), and the protocol until it needs
 * it no more (HTTP/2: until the stream has closed). It goes back to the pool when both have let go. */
#pragma once
#include "base/buf.h"
#include "net/connection.h"
#include "net/h1/h1_parser.h"
#include "net/http_stream.h"

enum { EXCHANGE_BLOCK = 3 << 10, EXCHANGE_ALLOC_MAX = 256 << 10 };

typedef struct Block {
    struct Block *next;
    char bytes[];
} Block;

typedef enum ExchangePart {
    EXCHANGE_READING,   /* the request is not complete */
    EXCHANGE_HANDLING,  /* on_request has been called */
    EXCHANGE_STREAMING, /* http_stream_open() has been called, closed() has not */
    EXCHANGE_ANSWERED,
} ExchangePart;

/* Of a call that streams. */
typedef struct Flow {
    HttpStreamEvents events;
    size_t held;       /* bytes given to data() and not consumed */
    uint64_t promised; /* still to come of the content-length that the answer's head has told; NO_PROMISE */
    Output out;        /* HTTP/2: what waits for the stream's window */
    int64_t stall_us;  /* HTTP/2: deadline of `out`, or 0 */
    int64_t patience_us,
        clock_us;  /* see flow_patience_ms(): what was left when the clock was read; 0: stands */
    Deferred late; /* opened when the peer had gone: closed() is called by this */
    bool headed;   /* http_stream_head() */
    bool bodiless; /* the answer has no body, whatever is written */
    bool ended;    /* http_stream_end() */
    bool refused;  /* a write went above the limit: writable() is owed */
    bool asleep;   /* HTTP/2: nghttp2 has been told that nothing is ready */
    bool told_drain;
} Flow;
#define NO_PROMISE UINT64_MAX

struct HttpExchange {
    HttpServer *server; /* NULL once it is freed */
    Loop *loop;
    Connection *connection;        /* NULL once the peer or the stream is gone */
    HttpExchange *next, *previous; /* among the server's live ones, or the spare ones (next) */
    uint8_t part;
    bool handler_holds, protocol_holds, memory_held, tls, h2, head_only, http10;
    bool tunnel; /* HTTP/2: an extended CONNECT, see `protocol` (RFC 8441) */
    Span method, path, query, authority, body;
    Span protocol; /* :protocol */
    Header *headers;
    uint32_t header_count, header_size;
    uint64_t names;      /* bits of the fields' names, see exchange.c */
    size_t header_bytes; /* names + values + 32 each */
    Buf body_bytes;      /* only by exchange_body() and exchange_body_free() */
    size_t body_limit;
    void *user;
    void (*cancelled)(void *user, HttpExchange *x); /* or NULL */
    void *cancel_user;
    const HttpField *trailers; /* of the answer, in the exchange's memory */
    size_t trailer_count;
    char peer[INET6_ADDRSTRLEN];

    struct { /* HTTP/2 only */
        int32_t id;
        bool remote_done, head_done, closed;
        int refuse;                 /* the status to refuse with once the head is whole, or 0 */
        int64_t since_us, limit_us; /* when it began; deadline, 0: none */
        Blob *blob;
        const char *out;
        size_t left;                   /* of the answer's body */
        size_t read_away;              /* of a request that has been refused */
        HttpExchange *next, *previous; /* among its connection's */
    } stream;

    Flow flow;
    Block *blocks;
    size_t allocated, used;
    _Alignas(16) char block[EXCHANGE_BLOCK];
};

HttpExchange *exchange_new(Connection *c); /* held by the protocol; NULL where memory ends */
bool exchange_header(HttpExchange *x, Span name, Span value);         /* spans are kept, not copied */
void exchange_headers(HttpExchange *x, Header *fields, size_t count); /* all at once; kept, not copied */
char *exchange_keep(HttpExchange *x, Span bytes);   /* a copy in the exchange's memory, or NULL */
void exchange_target(HttpExchange *x, Span target); /* path and query */
/* The request's fields are known: calls on_head. Look at x->part afterwards. (HTTP/1.1: and whether there
 * still is an exchange.) */
void exchange_head_done(HttpExchange *x);
size_t exchange_body_limit(HttpExchange *x); /* a body will come, and is to be collected: how much of it? */
/* Bytes of the body have come: 0, or the status to refuse the request with. */
int exchange_body(HttpExchange *x, Span bytes, const char **why);
void exchange_body_free(HttpExchange *x);
/* Has the handler refused it in its own words? Then it has been answered. */
bool exchange_refused(HttpExchange *x, int status, const char *why);
void exchange_dispatch(HttpExchange *x);      /* the request is whole: calls on_request */
void exchange_release(HttpExchange *x);       /* the protocol lets go; tells the handler if it has to */
void exchange_forget_server(HttpExchange *x); /* the server is being freed */
/* The stream has gone and the answer is no longer wanted: tells a handler that asked for it. May answer. */
void exchange_cancel(HttpExchange *x);
bool exchange_trailers(HttpExchange *x, const HttpField *trailers, size_t count); /* keeps a copy */

/* http_stream.c: of an exchange in EXCHANGE_STREAMING */
bool flow_wants_data(const HttpExchange *x); /* or is the body to be read away? */
void flow_data(HttpExchange *x, Span bytes, bool end);
void flow_writable(HttpExchange *x,
                   size_t waiting); /* calls writable() if that is owed and so few bytes wait */
void flow_closed(HttpExchange *x, HttpStreamEnd how); /* the protocol has still to let go */
void flow_drain(HttpExchange *x);
/* For how long the peer may now send too little of its body, `arrived` bytes of which have just come; 0: no
 * limit. Called whenever that changes, or whether it may send. */
int64_t flow_patience_ms(HttpExchange *x, size_t arrived, bool may_send);

/* What the two protocols do differently. The connection is alive. */
typedef struct ExchangeWays {
    void (*answer)(HttpExchange *x, const HttpAnswer *answer);
    void (*opened)(HttpExchange *x); /* of an exchange that was being handled */
    void (*head)(HttpExchange *x, const HttpAnswer *answer);
    bool (*write)(HttpExchange *x, Span bytes,
                  Blob *blob); /* blob: bytes lie in it; false where memory ends */
    size_t (*waiting)(const HttpExchange *x);
    void (*end)(HttpExchange *x);
    void (*reset)(HttpExchange *x, uint32_t code);
    void (*consumed)(HttpExchange *x, size_t len); /* flow.held is already that much less */
    void (*late)(HttpExchange *x);                 /* the stream had closed before http_stream_open() */
} ExchangeWays;
extern const ExchangeWays H1_WAYS, H2_WAYS;
static inline const ExchangeWays *exchange_ways(const HttpExchange *x) {
    return x->h2 ? &H2_WAYS : &H1_WAYS;
}
