/* The inside of an HttpExchange: one request, its answer, and their memory. Exchanges are pooled by the
 * server; most requests need no memory beyond the exchange's own block.
 *
 * Two parties hold it: the one who handles the request until http_respond(), and the protocol until it needs
 * it no more (HTTP/2: until the stream has closed). It goes back to the pool when both have let go. */
#pragma once
#include "base/buf.h"
#include "net/connection.h"
#include "net/h1_parser.h"

enum { EXCHANGE_BLOCK = 3 << 10, EXCHANGE_ALLOC_MAX = 256 << 10 };

typedef struct Block {
    struct Block *next;
    char bytes[];
} Block;

typedef enum ExchangePart {
    EXCHANGE_READING,  /* the request is not complete */
    EXCHANGE_HANDLING, /* on_request has been called */
    EXCHANGE_ANSWERED,
} ExchangePart;

struct HttpExchange {
    HttpServer *server; /* NULL once it is freed */
    Loop *loop;
    Connection *connection;        /* NULL once the peer or the stream is gone */
    HttpExchange *next, *previous; /* among the server's live ones, or the spare ones (next) */
    uint8_t part;
    bool handler_holds, protocol_holds, tls, h2, head_only, http10;
    Span method, path, query, authority, body;
    Header *headers;
    uint32_t header_count, header_size;
    size_t header_bytes; /* names + values + 32 each */
    Buf body_bytes; /* only by exchange_body() and exchange_body_free() */
    size_t body_limit;
    void *user;
    char peer[INET6_ADDRSTRLEN];

    struct { /* HTTP/2 only */
        int32_t id;
        bool remote_done, head_done, closed;
        int refuse;                 /* the status to refuse with once the head is whole, or 0 */
        int64_t since_us, limit_us; /* deadline: 0 none */
        Blob *blob;
        const char *out;
        size_t left;                   /* of the answer's body */
        size_t read_away;              /* of a request that has been refused */
        HttpExchange *next, *previous; /* among its connection's */
    } stream;

    Block *blocks;
    size_t allocated, used;
    _Alignas(16) char block[EXCHANGE_BLOCK];
};

HttpExchange *exchange_new(Connection *c); /* held by the protocol; NULL where memory ends */
bool exchange_header(HttpExchange *x, Span name, Span value); /* spans are kept, not copied */
char *exchange_keep(HttpExchange *x, Span bytes);             /* a copy in the exchange's memory, or NULL */
void exchange_target(HttpExchange *x, Span target);           /* path and query */
void exchange_head_done(HttpExchange *x);                     /* the request's fields are known */
/* Bytes of the body have come: 0, or the status to refuse the request with. */
int exchange_body(HttpExchange *x, Span bytes, const char **why);
void exchange_body_free(HttpExchange *x);
void exchange_dispatch(HttpExchange *x);                      /* the request is whole: calls on_request */
void exchange_release(HttpExchange *x);                       /* the protocol lets go */
void exchange_forget_server(HttpExchange *x);                 /* the server is being freed */

/* By protocol. */
void h1_answer(HttpExchange *x, const HttpAnswer *answer);
void h2_answer(HttpExchange *x, const HttpAnswer *answer);
