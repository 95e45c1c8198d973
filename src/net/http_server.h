/* HTTP/1.1 and HTTP/2 on one listening socket: TLS (ALPN h2, http/1.1) or plain (HTTP/1.1 and prior-knowledge
 * h2c, told apart by the first bytes). One server belongs to one loop; everything here is called on that
 * loop's thread.
 *
 * A request arrives whole (its body bounded by `body_limit` or what body_limit_for() says), and is answered
 * exactly once by http_respond(), at once or later; or both come and go in pieces, see http_stream.h. An
 * HttpExchange stays valid until http_respond() has been called, even if the peer or the server has gone in
 * between (then the answer is dropped). Malformed and oversized requests are answered by the server itself,
 * with a problem document (RFC 9457), and never reach on_request. HTTP/1.1 requests of one connection come
 * one after the other. */
#pragma once
#include "base/blob.h"
#include "base/err.h"
#include "io/loop.h"
#include <stdatomic.h>

typedef struct HttpServer HttpServer;
typedef struct HttpExchange HttpExchange;
typedef struct HttpTls HttpTls;
typedef struct WebSocket WebSocket;

typedef struct HttpServerOptions {
    void (*on_request)(void *user, HttpExchange *x); /* whole request is here */
    /* The head is here, nothing of the body is. May be NULL. The handler may call http_stream_open() and gets
     * the body in pieces, or http_respond() (the body is then read away, or the connection ends); or it does
     * neither: the body is collected up to its limit and on_request follows. */
    void (*on_head)(void *user, HttpExchange *x);
    /* After on_head, of a request that has a body: how much of it may come? May be NULL. */
    size_t (*body_limit_for)(void *user, HttpExchange *x);
    /* The server itself refuses a request: malformed (its fields, path and method may then be missing), too
     * large, too slow, too many. The handler may answer in its own words with http_respond() and return true;
     * else a problem document is the answer. May be NULL. */
    bool (*on_refuse)(void *user, HttpExchange *x, int status, const char *why);
    void *user;
    HttpTls *tls;           /* NULL: plain */
    size_t body_limit;      /* bytes; 0: 1 MiB; above: 413, nothing is kept */
    size_t bodies_limit;    /* bytes of all bodies that are held at a time; 0: 64 MiB; above: 503 */
    size_t header_limit;    /* bytes of all fields, name + value + 32 each; 0: 16 KiB; above: 431 */
    size_t connections_max; /* 0: 10000 */
    /* Connections of all servers that share connections_max, which then bounds them together; NULL: no
     * others. Lives longer than the server. */
    atomic_size_t *together;
    _Atomic int64_t *connections; /* counted up and down; may be NULL, may be shared */
    size_t requests_max;          /* at a time per connection; 0: 100 */
    int64_t header_ms;            /* from the first byte to the last header; 0: 10 s */
    int64_t body_ms;              /* 0: 30 s, and longer by what its bytes may take */
    int64_t idle_ms;              /* keep-alive; 0: 75 s */
    int64_t stall_ms;             /* output waits and the peer takes too little; 0: 180 s */
    size_t rate_min;              /* bytes a second: of a body and of an answer, over those times; 0: 1024 */
} HttpServerOptions;

/* Who listens on the port: one server, or several loops of one process (SO_REUSEPORT). The first of them
 * takes it like a single one: a port that another process has is refused, never shared with it. */
typedef enum HttpShare { HTTP_ALONE, HTTP_SHARED_FIRST, HTTP_SHARED_NEXT } HttpShare;

/* address: "host:port" (numeric host; port 0 takes a free one). */
bool http_server_open(Loop *loop, const char *address, HttpShare share, const HttpServerOptions *options,
                      HttpServer **ret, Err *err);
unsigned http_server_port(const HttpServer *server);
/* Stops accepting; finishes what is in flight: HTTP/2 gets GOAWAY, HTTP/1.1 answers "Connection: close". */
void http_server_drain(HttpServer *server);
size_t http_server_connections(const HttpServer *server);
HttpServer *http_server_free(HttpServer *server); /* closes what is still open */
AUTO_FREE(HttpServer, http_server_free)

/* TLS 1.2 and 1.3, session resumption by tickets, ALPN. Shared by all loops. */
typedef struct HttpTlsOptions {
    const char *certificate_file, *key_file; /* PEM; the chain, the server's own first */
    /* PEM: whose certificates clients may show. A certificate that none of them has signed ends the
     * handshake. NULL: nobody is asked for one. */
    const char *client_ca_file;
    bool client_required; /* who shows none is turned away, too */
} HttpTlsOptions;
bool http_tls_open(const HttpTlsOptions *options, HttpTls **ret, Err *err); /* copies the options */
bool http_tls_reload(HttpTls *tls, Err *err); /* new connections use the files' present content */
HttpTls *http_tls_free(HttpTls *tls);
AUTO_FREE(HttpTls, http_tls_free)

/* The request. Spans live until http_respond(). */
Span http_method(const HttpExchange *x);
Span http_path(const HttpExchange *x);                   /* before '?', as sent (not percent-decoded) */
Span http_query(const HttpExchange *x);                  /* behind '?' */
Span http_field(const HttpExchange *x, Span lower_name); /* first value; at == NULL where absent */
/* A field that is a list: all its lines as one, with commas between (RFC 9110 section 5.3). */
Span http_field_list(HttpExchange *x, Span lower_name);
static inline Span http_header(const HttpExchange *x, const char *lower_name) {
    return http_field(x, span_of(lower_name));
}
static inline Span http_header_list(HttpExchange *x, const char *lower_name) {
    return http_field_list(x, span_of(lower_name));
}
Span http_body(const HttpExchange *x);
Span http_authority(const HttpExchange *x); /* Host or :authority */
bool http_is_tls(const HttpExchange *x);
bool http_is_h2(const HttpExchange *x);
Span http_peer(const HttpExchange *x); /* numeric address without port */
Loop *http_loop(const HttpExchange *x);
/* Query parameter, percent-decoded into memory of the exchange; false where absent; "+" is a space. */
bool http_query_value(HttpExchange *x, const char *name, Span *ret);
void http_set_user(HttpExchange *x, void *user);
void *http_user(const HttpExchange *x);
/* Memory that lives as long as the exchange. NULL past its bound (256 KiB). */
void *http_alloc(HttpExchange *x, size_t size);
/* The memory of the exchange, but not its body, stays after the answer until it is let go of: for a thread
 * that may still be reading from it. Once each, on the loop. */
void http_hold(HttpExchange *x);
void http_let_go(HttpExchange *x);

typedef struct HttpField {
    const char *name; /* lower case */
    Span value;
    bool unique; /* another one in every answer: nothing to be remembered by a peer that keeps tables (HTTP/2)
                  */
} HttpField;

typedef struct HttpAnswer {
    int status;
    const HttpField *fields; /* copied; content-length and date are added by the server */
    size_t field_count;
    Span body;  /* copied, unless blob is set */
    Blob *blob; /* instead of body: shared, the server takes a reference of its own */
    /* Behind the body; copied. On HTTP/1.1 only for a peer that said "TE: trailers". */
    const HttpField *trailers;
    size_t trailer_count;
    bool no_length; /* no content-length where the protocol can do without it (HTTP/2), as gRPC wants it */
} HttpAnswer;
void http_respond(HttpExchange *x, const HttpAnswer *answer);
/* The code of a refusal with this status, as it stands in the type of its problem document. */
const char *http_problem_code(int status);
