/* A real server on a loop thread of its own, and clients made of plain sockets. */
#pragma once
#include "base/buf.h"
#include "kit/test.h"
#include "net/http_server.h"
#include "net/http_stream.h"
#include "net/websocket.h"
#include <stdatomic.h>

typedef struct TestServer TestServer;

/* Routes of the test server:
 *   /echo      200, the body; x-method, x-query-a (parameter a), x-peer
 *   /later     the same after 50 ms
 *   /slow      204 after 400 ms
 *   /bytes?n=N 200, N bytes as a shared blob
 *   /copied?n= the same, copied
 *   /ws        echoes messages (limit 1000 bytes, queue 64 KiB); "close" closes with 4401, "flood" sends
 * until refused others 404
 *   /own-words  refusals of the server in the handler's own words: x-instead-of
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

int client_open(unsigned port);
bool client_send(int fd, Span bytes);
/* Reads until the peer closes, `until` has come (may be NULL), or the time is over. NUL behind. */
Span client_read(int fd, const char *until, int64_t within_ms, Buf *into);
/* Sends and reads all until the end of the connection. */
Span client_talk(unsigned port, Span bytes, Buf *into);
bool span_has(Span whole, const char *part);
size_t span_count(Span whole, const char *part);
