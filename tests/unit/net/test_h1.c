#include "base/clock.h"
#include "net_kit.h"
#include <stdio.h>
#include <sys/socket.h>

#define HOST  "Host: a\r\n"
#define CLOSE "Connection: close\r\n"

static const struct {
    const char *name, *send, *status, *has;
} TALKS[] = {
    {"get", "GET /echo?a=%41+b HTTP/1.1\r\n" HOST CLOSE "\r\n", "HTTP/1.1 200 OK\r\n", "x-query-a: A b\r\n"},
    {"peer", "GET /echo HTTP/1.1\r\n" HOST CLOSE "\r\n", "HTTP/1.1 200 OK\r\n", "x-peer: 127.0.0.1\r\n"},
    {"length", "POST /echo HTTP/1.1\r\n" HOST CLOSE "Content-Length: 5\r\n\r\nhello", "HTTP/1.1 200 OK\r\n",
     "\r\n\r\nhello"},
    {"chunked",
     "POST /echo HTTP/1.1\r\n" HOST CLOSE
     "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
     "HTTP/1.1 200 OK\r\n", "content-length: 5\r\n"},
    {"later", "PUT /later HTTP/1.1\r\n" HOST CLOSE "\r\n", "HTTP/1.1 200 OK\r\n", "x-method: PUT\r\n"},
    {"head", "HEAD /bytes?n=10 HTTP/1.1\r\n" HOST CLOSE "\r\n", "HTTP/1.1 200 OK\r\n",
     "content-length: 10\r\n"},
    {"unknown", "GET /nothing HTTP/1.1\r\n" HOST CLOSE "\r\n", "HTTP/1.1 404 Not Found\r\n",
     "connection: close\r\n"},
    {"1.0", "GET /echo HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n", "connection: close\r\n"},
    {"empty line before", "\r\nGET /echo HTTP/1.1\r\n" HOST CLOSE "\r\n", "HTTP/1.1 200 OK\r\n", ""},
    {"no content", "GET /slow HTTP/1.1\r\n" HOST CLOSE "\r\n",
     "HTTP/1.1 204 No Content\r\ndate: ", "connection: close\r\n"},
    {"expect", "POST /echo HTTP/1.1\r\n" HOST CLOSE "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n",
     "HTTP/1.1 100 Continue\r\n\r\n", ""},
    {"smuggling",
     "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "HTTP/1.1 400 Bad Request\r\n", "application/problem+json"},
    {"no host", "GET /echo HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", "\"/problems/invalid\""},
    {"bad chunk", "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
     "HTTP/1.1 400 Bad Request\r\n", "connection: close\r\n"},
    {"too large by length", "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5001\r\n\r\n",
     "HTTP/1.1 413 Content Too Large\r\n", "\"/problems/too_large\""},
    {"refused by the handler", "POST /own-words HTTP/1.1\r\n" HOST "Content-Length: 5001\r\n\r\n",
     "HTTP/1.1 413 Content Too Large\r\n", "x-instead-of: 413\r\nconnection: close\r\n\r\nown words"},
    {"too large by chunk", "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n2000\r\n", "",
     ""},
    {"garbage", "\x16\x03\x01\x02 \x01\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", "connection: close\r\n"},
    {"not the preface", "PRZ * HTTP/1.1\r\n" HOST CLOSE "\r\n", "HTTP/1.1 400 Bad Request\r\n", ""},
};

static void talk_in_pieces(unsigned port, Span send, size_t piece, Buf *into) {
    int fd = client_open(port);
    for (size_t at = 0; at < send.len; at += piece) {
        size_t len = piece < send.len - at ? piece : send.len - at;
        if (!client_send(fd, (Span){send.at + at, len})) break;
        if (piece == 1) clock_sleep_ms(1);
    }
    shutdown(fd, SHUT_WR); /* a client may do that and still wait */
    client_read(fd, NULL, 5000, into);
    close(fd);
}

static void talks(void) {
    TestServer *s = test_server(&(HttpServerOptions){.body_limit = 5000});
    for (size_t i = 0; i < COUNT(TALKS); i++) {
        for (size_t piece = 1; piece < 1000; piece += 998) {
            AUTO_BUF got = {0};
            talk_in_pieces(test_server_port(s), span_of(TALKS[i].send), piece, &got);
            Span answer = buf_view(&got);
            bool ok = span_starts(answer, span_of(TALKS[i].status)) &&
                      (!*TALKS[i].has || span_has(answer, TALKS[i].has));
            if (!ok) printf("\n    %s by %zu: %.*s", TALKS[i].name, piece, SPAN_ARGS(answer));
            CHECK(ok);
            CHECK(!span_has(answer, "set-cookie"));
        }
    }
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

/* Answers stand in the order of the requests, although the first is given last; a HEAD has no body between.
 */
static void pipelining(void) {
    TestServer *s = test_server(NULL);
    AUTO_BUF got = {0};
    Span answer = client_talk(test_server_port(s),
                              SPAN("POST /later HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nfirst"
                                   "HEAD /bytes?n=3 HTTP/1.1\r\n" HOST "\r\n"
                                   "POST /echo HTTP/1.1\r\n" HOST
                                   "Transfer-Encoding: chunked\r\n\r\n6\r\nsecond\r\n0\r\n\r\n"
                                   "GET /slow HTTP/1.1\r\n" HOST "\r\n"
                                   "POST /echo HTTP/1.1\r\n" HOST CLOSE "Content-Length: 4\r\n\r\nlast"
                                   "GET /echo HTTP/1.1\r\n" HOST "\r\n"),
                              &got);
    const char *first = memmem(answer.at, answer.len, "first", 5),
               *second = memmem(answer.at, answer.len, "second", 6);
    CHECK(first && second && first < second);
    CHECK(span_count(answer, "HTTP/1.1 ") == 5); /* nothing is answered behind "close" */
    CHECK(span_ends(answer, SPAN("last")));
    test_server_stop(s);
}

/* Thousands of requests at once, and a reader that starts late: bounded memory, nothing lost. */
static void pipelined_flood(void) {
    enum { REQUESTS = 3000 };
    TestServer *s = test_server(NULL);
    int fd = client_open(test_server_port(s));
    AUTO_BUF out = {0};
    for (int i = 0; i < REQUESTS; i++) buf_text(&out, "GET /bytes?n=1000 HTTP/1.1\r\n" HOST "\r\n");
    CHECK(client_send(fd, buf_view(&out)));
    clock_sleep_ms(100);
    AUTO_BUF got = {0};
    CHECK(client_send(fd, SPAN("GET /none HTTP/1.1\r\n" HOST CLOSE "\r\n")));
    client_read(fd, NULL, 10000, &got);
    CHECK(span_count(buf_view(&got), "HTTP/1.1 200 OK") == REQUESTS);
    CHECK(span_count(buf_view(&got), "HTTP/1.1 404") == 1);
    close(fd);
    test_server_stop(s);
}

static void keep_alive_and_upload(void) {
    TestServer *s = test_server(NULL);
    int fd = client_open(test_server_port(s));
    AUTO_BUF body = {0};
    for (int i = 0; i < 100000; i++) buf_text(&body, "01234567");
    for (int round = 0; round < 3; round++) {
        AUTO_BUF got = {0};
        char head[200];
        int len = snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n",
                           body.len);
        client_send(fd, (Span){head, (size_t)len});
        client_send(fd, buf_view(&body));
        while (got.len < body.len + 100) {
            size_t before = got.len;
            client_read(fd, "67\r\n", 300, &got);
            if (got.len == before) break;
        }
        Span whole = buf_view(&got);
        CHECK(whole.len > body.len && memcmp(whole.at + whole.len - body.len, body.at, body.len) == 0);
        CHECK(!span_has(whole, "connection:"));
    }
    close(fd);
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

static const struct {
    const char *name, *send, *want; /* "" : closed without a word */
} SLOW[] = {
    {"nothing", "", ""},
    {"half a head", "GET / HTTP/1.1\r\nHost", "HTTP/1.1 408 Request Timeout\r\n"},
    {"half a body", "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nabc",
     "HTTP/1.1 408 Request Timeout\r\n"},
    {"half a chunk", "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nabc",
     "HTTP/1.1 408 Request Timeout\r\n"},
    {"idle", "GET /echo HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200 OK\r\n"},
};

static void slow_peers(void) {
    TestServer *s = test_server(&(HttpServerOptions){.header_ms = 150, .body_ms = 150, .idle_ms = 150});
    for (size_t i = 0; i < COUNT(SLOW); i++) {
        AUTO_BUF got = {0};
        int64_t from = clock_mono_us();
        Span answer = client_talk(test_server_port(s), span_of(SLOW[i].send), &got);
        int64_t took_ms = (clock_mono_us() - from) / 1000;
        if (took_ms >= 3000) printf("\n    %s took %d ms", SLOW[i].name, (int)took_ms);
        CHECK(took_ms >= 100 && took_ms < 3000);
        CHECK(*SLOW[i].want ? span_starts(answer, span_of(SLOW[i].want)) : answer.len == 0);
    }
    test_server_stop(s);
}

/* Bytes that trickle in do not move the deadline. */
static void slow_loris(void) {
    TestServer *s = test_server(&(HttpServerOptions){.header_ms = 200});
    int fd = client_open(test_server_port(s));
    client_send(fd, SPAN("GET / HTTP/1.1\r\nHost: a\r\n"));
    int sent = 0;
    AUTO_BUF got = {0};
    while (sent < 40 && !got.len && client_send(fd, SPAN("X: 1\r\n"))) {
        client_read(fd, NULL, 20, &got);
        sent++;
    }
    CHECK(sent < 40);
    CHECK(span_starts(buf_view(&got), SPAN("HTTP/1.1 408")));
    close(fd);
    test_server_stop(s);
}

/* The answer to an oversized body reaches a client that is still sending it. */
static void answer_survives_upload(void) {
    TestServer *s = test_server(&(HttpServerOptions){.body_limit = 1000});
    int fd = client_open(test_server_port(s));
    client_send(fd, SPAN("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1000000\r\n\r\n"));
    char part[10000];
    memset(part, 'x', sizeof part);
    for (int i = 0; i < 100 && client_send(fd, (Span){part, sizeof part}); i++) {
    }
    AUTO_BUF got = {0};
    CHECK(span_starts(client_read(fd, "}", 3000, &got), SPAN("HTTP/1.1 413")));
    close(fd);
    test_server_stop(s);
}

static void peer_gone_before_the_answer(void) {
    TestServer *s = test_server(NULL);
    for (int i = 0; i < 20; i++) {
        int fd = client_open(test_server_port(s));
        client_send(fd, SPAN("GET /slow HTTP/1.1\r\n" HOST "\r\n"));
        struct linger reset = {1, 0};
        if (i % 2) setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fd);
    }
    CHECK(test_server_empties(s, 3000));
    AUTO_BUF got = {0};
    CHECK(
        span_starts(client_talk(test_server_port(s), SPAN("GET /echo HTTP/1.1\r\n" HOST CLOSE "\r\n"), &got),
                    SPAN("HTTP/1.1 200")));
    test_server_stop(s);
}

static void drain(void) {
    TestServer *s = test_server(NULL);
    unsigned port = test_server_port(s);
    int idle = client_open(port), busy = client_open(port);
    AUTO_BUF got = {0};
    client_send(idle, SPAN("GET /echo HTTP/1.1\r\n" HOST "\r\n"));
    client_read(idle, "\r\n\r\n", 3000, &got);
    client_send(busy, SPAN("GET /slow HTTP/1.1\r\n" HOST "\r\n"));
    clock_sleep_ms(50);
    test_server_drain(s);
    got.len = 0;
    CHECK(client_read(idle, NULL, 3000, &got).len == 0);
    Span answer = client_read(busy, NULL, 3000, &got);
    CHECK(span_starts(answer, SPAN("HTTP/1.1 204")) && span_has(answer, "connection: close\r\n"));
    close(idle);
    close(busy);
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

static void connections_are_bounded(void) {
    atomic_size_t together = 1; /* another server, which shares the bound, has one */
    for (size_t shared = 0; shared < 2; shared++) {
        HttpServerOptions options = {.connections_max = 3, .together = shared ? &together : NULL};
        TestServer *s = test_server(&options);
        int fds[6];
        for (size_t i = 0; i < COUNT(fds); i++) fds[i] = client_open(test_server_port(s));
        clock_sleep_ms(50);
        CHECK(test_server_connections(s) == 3 - shared);
        for (size_t i = 0; i < COUNT(fds); i++) close(fds[i]);
        CHECK(test_server_empties(s, 3000));
        test_server_stop(s);
    }
    CHECK(together == 1);
}

/* A peer that does not read is closed once nothing has been acknowledged for the stall time. */
static void stalled_reader(void) {
    TestServer *s = test_server(&(HttpServerOptions){.stall_ms = 600});
    int fd = client_open(test_server_port(s));
    client_send(fd, SPAN("GET /bytes?n=30000000 HTTP/1.1\r\n" HOST "\r\n"));
    CHECK(test_server_empties(s, 4000));
    close(fd);
    test_server_stop(s);
}

/* Half-sent bodies of many peers: the one above the server's budget is refused, and room comes back when one
 * goes. */
static void bodies_are_bounded_together(void) {
    TestServer *s = test_server(&(HttpServerOptions){.body_limit = 10000, .bodies_limit = 10000});
    char half[6000];
    memset(half, 'x', sizeof half);
    const Span head = SPAN("POST /echo HTTP/1.1\r\n" HOST CLOSE "Content-Length: 8000\r\n\r\n");
    int first = client_open(test_server_port(s)), second = client_open(test_server_port(s));
    client_send(first, head);
    client_send(first, (Span){half, sizeof half});
    clock_sleep_ms(50);
    client_send(second, head);
    client_send(second, (Span){half, sizeof half});
    AUTO_BUF got = {0};
    CHECK(span_starts(client_read(second, NULL, 3000, &got), SPAN("HTTP/1.1 503")));
    close(second);
    close(first);
    CHECK(test_server_empties(s, 3000));
    buf_clear(&got);
    int third = client_open(test_server_port(s));
    client_send(third, head);
    client_send(third, (Span){half, sizeof half});
    client_send(third, (Span){half, 2000});
    CHECK(span_starts(client_read(third, NULL, 3000, &got), SPAN("HTTP/1.1 200")));
    close(third);
    test_server_stop(s);
}

static void stopping_with_open_work(void) {
    TestServer *s = test_server(NULL);
    int fd = client_open(test_server_port(s));
    client_send(fd, SPAN("GET /echo HTTP/1.1\r\n" HOST "\r\nGET /ec"));
    AUTO_BUF got = {0};
    client_read(fd, "\r\n\r\n", 3000, &got);
    test_server_stop(s);
    close(fd);
}

SUITE("h1", TEST(talks), TEST(pipelining), TEST(pipelined_flood), TEST(keep_alive_and_upload),
      TEST(slow_peers), TEST(slow_loris), TEST(answer_survives_upload), TEST(peer_gone_before_the_answer),
      TEST(drain), TEST(connections_are_bounded), TEST(stalled_reader), TEST(bodies_are_bounded_together),
      TEST(stopping_with_open_work));
