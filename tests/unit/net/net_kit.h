/* A real server on a loop thread of its own, and clients made of plain sockets. */
#pragma once
#include "base/buf.h"
#include "kit/test.h"
#include "net/http_server.h"
#include "net/http_stream.h"
#include "net/websocket/websocket.h"
#include <stdatomic.h>

typedef struct TestServer TestServer;

/* Routes of the test server:
 *   /echo      200, the body; x-method, x-query-a (parameter a), x-peer
 *   /later     the same after 50 ms
 *   /slow      204 after 400 ms
 *   /bytes?n=N 200, N bytes as a shared blob
 *   /copied?n= the same, copied
 *   /ws        echoes messages (limit 1000 bytes, queue 64 KiB); "close" closes with 4401, "flood" sends
 *              until refused, "drop" drops that; ?beat= heartbeat in ms; ?deflate=1: may be compressed
 *   /ws-later  the same, accepted 50 ms later
 *   /ws-big    echoes up to 16 MiB and pauses while more than 64 KiB wait; ?deflate=1
 *   /own-words  refusals of the server in the handler's own words: x-instead-of
 * others 404
 * and those of test_kit_stream.c, under /stream/. options may be NULL; on_request, on_head, on_refuse and user are set
 * here. */
TestServer *test_server(const HttpServerOptions *options);
void test_server_stop(TestServer *s);
unsigned test_server_port(const TestServer *s);
void test_server_drain(TestServer *s); /* on the loop's thread; waits */
size_t test_server_connections(TestServer *s);
bool test_server_empties(TestServer *s, int64_t within_ms); /* do all connections end? */
const char *test_server_ws_end(TestServer *s); /* "", "closed": what the last WebSocket has come to */

/* key and certificate, self-signed P-256 for localhost, as PEM files in folder. */
void test_certificate(const char *folder, const char *name, char certificate[256], char key[256]);

/* test_kit_stream.c */
void stream_on_head(HttpExchange *x);
bool stream_on_request(HttpExchange *x); /* false: not one of these */
typedef struct StreamCounts {
    atomic_size_t opened, done, cancelled, drained;
    atomic_size_t most_waiting; /* bytes, as http_stream_waiting() has said */
    atomic_size_t fed;          /* bytes given to data() */
} StreamCounts;
extern StreamCounts stream_counts;
bool stream_counts_reach(atomic_size_t *count, size_t want, int64_t within_ms);

/* test_kit_h2.c: frames made by hand. A WebSocket over either protocol: what the server sends of it gathers
 * in `got`, without the frames of HTTP/2 or the 101. */
#define H2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
void h2_frame(Buf *b, unsigned type, unsigned flags, uint32_t stream, Span payload);
void h2_begin(Buf *b); /* the preface, SETTINGS, and the acknowledgement of the server's */
void hpack_field(Buf *b, const char *name, Span value);
typedef struct WsClient {
    int fd;
    bool h2, ended; /* ended: END_STREAM or RST_STREAM has come, or the connection has ended */
    unsigned reset; /* code of the RST_STREAM, 0: none */
    Buf raw, got;
    size_t looked_at;                  /* of raw */
    size_t credit;                     /* bytes that came and were not given back to the server's windows */
    int64_t window, connection_window; /* what may be sent */
    char status[4], extensions[128], protocol[64];
} WsClient;
/* extensions: the field's value, or NULL. Waits for the answer. */
WsClient ws_client_open(TestServer *s, bool h2, const char *path, const char *extensions);
/* An extended CONNECT on stream 1 with these fields (name, value, ..., NULL). */
WsClient ws_client_connect(TestServer *s, const char *const *fields, unsigned flags);
void ws_client_send(WsClient *c, Span bytes);
bool ws_client_may_send(
    WsClient *c, size_t len); /* without reading what comes: has the server room, for a moment's wait? */
/* Until the end, `until` bytes are there, or the time is over. */
Span ws_client_read(WsClient *c, size_t until, int64_t within_ms);
void ws_client_end(WsClient *c); /* END_STREAM, or FIN */
void ws_client_close(WsClient *c);

int client_open(unsigned port);
bool client_send(int fd, Span bytes);
/* Reads until the peer closes, `until` has come (may be NULL), or the time is over. NUL behind. */
Span client_read(int fd, const char *until, int64_t within_ms, Buf *into);
/* Sends and reads all until the end of the connection. */
Span client_talk(unsigned port, Span bytes, Buf *into);
bool span_has(Span whole, const char *part);
size_t span_count(Span whole, const char *part);
