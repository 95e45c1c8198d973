/* Calls whose bodies come and go in pieces, on HTTP/1.1 and HTTP/2 alike: gRPC streams, server-sent events,
 * an echo of any size. Everything on the loop's thread.
 *
 *     on_head() or on_request()       see HttpServerOptions: the handler decides
 *       -> http_stream_open()         takes the exchange: http_respond() must not follow
 *       -> http_stream_head()         once, at any time
 *       -> http_stream_write() ...
 *       -> http_stream_end()          or http_stream_reset()
 *       -> closed()                   exactly once, the last call: x is gone after it
 *
 * Nothing is kept that nobody has asked for: request bytes that have not been consumed close the peer's
 * window (HTTP/2) or pause the socket (HTTP/1.1), and a writer is told when enough waits for the reader. */
#pragma once
#include "net/http_server.h"

typedef enum HttpStreamEnd {
    HTTP_STREAM_DONE,      /* all that was written has been given to the connection */
    HTTP_STREAM_CANCELLED, /* the peer reset the stream, or has gone; or the server is being freed */
} HttpStreamEnd;

typedef struct HttpStreamEvents {
    /* A piece of the request's body, `end` with the last one (which may be empty). Not called again before
     * the return. NULL: the body has come whole (on_request), or is of no interest and is read away. */
    void (*data)(void *user, HttpExchange *x, Span bytes, bool end);
    /* Less than half of the limit waits again, after http_stream_write() had returned false. May be NULL. */
    void (*writable)(void *user, HttpExchange *x);
    void (*closed)(void *user, HttpExchange *x, HttpStreamEnd how);
    /* The server drains (http_server_drain()): what has no end of its own should come to one. Called once,
     * for streams open at that moment; those opened later ask http_draining(). May be NULL. */
    void (*draining)(void *user, HttpExchange *x);
    void *user;
    /* The peer owes more of its body and sends none of it, or less than the server's rate_min, although it
     * may: the stream is cut. 0: the server's body_ms; negative: never. An answer that nobody takes is cut
     * after the server's stall_ms; one that has nothing to send just now is not cut. */
    int64_t silence_ms;
    int kernel_bytes; /* what the kernel may hold of what its connection sends; 0: as much as it likes */
} HttpStreamEvents;

enum {
    HTTP_STREAM_LIMIT = 256 << 10,  /* bytes that wait for one reader before http_stream_write() says so */
    HTTP_STREAM_KERNEL = 128 << 10, /* kernel_bytes of streams of events: a reader may be slow for hours */
    HTTP_STREAM_WINDOW = 256 << 10, /* bytes given to data() and not consumed; no more come above it */
};

/* In on_head(), or at any time between on_request() and http_respond(); in the latter case http_body() is the
 * body, and data() is not called. No event comes before the handler that calls this has returned, nor out of
 * any http_ function.
 */
void http_stream_open(HttpExchange *x, const HttpStreamEvents *events);
/* Only status and fields of the answer are looked at. HTTP/1.1: chunked, unless the fields have a
 * content-length (to HTTP/1.0: until the connection ends). Leaves with the turn's other bytes. */
void http_stream_head(HttpExchange *x, const HttpAnswer *answer);
/* Queues a copy; or a reference to the blob. After http_stream_head(). False: more than the limit waits; it
 * was queued all the same, and writable() will say when to go on. Dropped silently: the body of an answer
 * that has none (to HEAD, 204, 304), what is more than a content-length promised, and what the connection
 * does not take any more: closed() follows. */
bool http_stream_write(HttpExchange *x, Span bytes);
bool http_stream_write_blob(HttpExchange *x, Blob *blob);
/* Bytes queued and not given to the connection; on HTTP/1.1 those that the connection has not given to the
 * kernel. */
size_t http_stream_waiting(const HttpExchange *x);
/* The end of the answer. Trailers are copied; on HTTP/1.1 they are sent only to a peer that said "TE:
 * trailers". Before http_stream_head(): nothing is right, 500. No data() follows: what the peer still sends
 * is read away, up to a bound. */
void http_stream_end(HttpExchange *x, const HttpField *trailers, size_t count);
/* Ends it at once, with this code of RFC 9113 section 7 on HTTP/2; on HTTP/1.1 the connection is cut. */
void http_stream_reset(HttpExchange *x, uint32_t code);
/* `len` more bytes given to data() are no longer held by the handler: the peer may send as many again. */
void http_stream_consumed(HttpExchange *x, size_t len);

bool http_draining(const HttpExchange *x);

/* For a handler that answers with http_respond(): told once if the peer goes, or cancels, before the answer
 * is there. The exchange stays valid; http_respond() is still owed (and is then dropped), and may be called
 * from within. NULL: no longer. */
void http_on_cancel(HttpExchange *x, void (*cancelled)(void *user, HttpExchange *x), void *user);
