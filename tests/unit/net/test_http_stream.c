/* Streams over HTTP/1.1 by bytes, and over both protocols by libcurl; test_http_stream_h2.c has frames made
 * by hand. */
#include "base/clock.h"
#include "net_kit.h"
#include <curl/curl.h>
#include <stdio.h>
#include <sys/socket.h>

#define HOST    "Host: a\r\n"
#define CLOSE   "Connection: close\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

/* `ends`: the whole answer ends so */
static const struct {
    const char *name, *send, *has, *ends;
} TALKS[] = {
    {"chunked both ways",
     "POST /stream/echo HTTP/1.1\r\n" HOST CLOSE CHUNKED "\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
     "transfer-encoding: chunked\r\n", "\r\n0\r\n\r\n"},
    {"by length", "POST /stream/echo HTTP/1.1\r\n" HOST CLOSE "Content-Length: 3\r\n\r\nabc",
     "HTTP/1.1 200 OK\r\n", "\r\n0\r\n\r\n"},
    {"no body", "PUT /stream/echo HTTP/1.1\r\n" HOST CLOSE "\r\n", "x-path: /stream/echo\r\n",
     "\r\n\r\n0\r\n\r\n"},
    {"trailers for those who take them",
     "POST /stream/echo HTTP/1.1\r\n" HOST CLOSE "TE: trailers\r\nContent-Length: 3\r\n\r\nabc",
     "HTTP/1.1 200 OK\r\n", "0\r\nx-bytes: 3\r\n\r\n"},
    {"1.0 ends with the connection",
     "POST /stream/echo HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc",
     "connection: close\r\n", "\r\n\r\nabc"},
    {"head", "HEAD /stream/bytes?n=100 HTTP/1.1\r\n" HOST CLOSE "\r\n", "transfer-encoding: chunked\r\n",
     "\r\n\r\n"},
    {"bytes", "GET /stream/bytes?n=3 HTTP/1.1\r\n" HOST CLOSE "\r\n", "\r\n3\r\n", "\r\n0\r\n\r\n"},
    {"answered before the body",
     "POST /stream/early HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"
     "GET /echo HTTP/1.1\r\n" HOST CLOSE "\r\n",
     "\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n", "connection: close\r\n\r\n"},
    {"answered before chunks",
     "POST /stream/early HTTP/1.1\r\n" HOST CHUNKED "\r\n3\r\nabc\r\n0\r\n\r\n"
     "GET /echo HTTP/1.1\r\n" HOST CLOSE "\r\n",
     "\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n", "connection: close\r\n\r\n"},
    {"refused before the body", "POST /stream/refuse HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc",
     "HTTP/1.1 401 Unauthorized\r\n", "connection: close\r\n\r\n"},
    {"refused without a body",
     "GET /stream/refuse HTTP/1.1\r\n" HOST "\r\nGET /echo HTTP/1.1\r\n" HOST CLOSE "\r\n",
     "HTTP/1.1 401 Unauthorized\r\n", "x-authority: a\r\nconnection: close\r\n\r\n"},
    {"no more than promised", "GET /stream/promise HTTP/1.1\r\n" HOST CLOSE "\r\n", "content-length: 5\r\n",
     "\r\n\r\nabcde"},
    {"no head", "GET /stream/headless HTTP/1.1\r\n" HOST CLOSE "\r\n", "HTTP/1.1 500 Internal",
     "\r\n\r\n0\r\n\r\n"},
    {"opened later", "POST /stream/request HTTP/1.1\r\n" HOST CLOSE "Content-Length: 3\r\n\r\nabc",
     "transfer-encoding: chunked\r\n", "\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
    {"expect", "POST /stream/eat HTTP/1.1\r\n" HOST CLOSE "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n",
     "HTTP/1.1 200 OK\r\n", "\r\n"},
    {"whole with trailers", "GET /stream/whole HTTP/1.1\r\n" HOST CLOSE "TE: trailers\r\n\r\n",
     "transfer-encoding: chunked\r\n", "\r\n\r\n4\r\nbody\r\n0\r\ngrpc-status: 0\r\nx-last: yes\r\n\r\n"},
    {"whole, trailers not wanted", "GET /stream/whole HTTP/1.1\r\n" HOST CLOSE "\r\n",
     "content-length: 4\r\n", "\r\n\r\nbody"},
    {"bad chunk", "POST /stream/eat HTTP/1.1\r\n" HOST CLOSE CHUNKED "\r\nzz\r\n", "HTTP/1.1 200 OK\r\n",
     "chunked\r\nconnection: close\r\n\r\n"},
    {"pipelined",
     "POST /stream/echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"
     "GET /stream/bytes?n=0 HTTP/1.1\r\n" HOST "\r\n"
     "POST /stream/request HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nde"
     "POST /echo HTTP/1.1\r\n" HOST CLOSE "Content-Length: 4\r\n\r\nlast",
     "\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n", "\r\n\r\nlast"},
};

static void talk_in_pieces(unsigned port, Span send, size_t piece, Buf *into) {
    int fd = client_open(port);
    for (size_t at = 0; at < send.len; at += piece) {
        size_t len = piece < send.len - at ? piece : send.len - at;
        if (!client_send(fd, (Span){send.at + at, len})) break;
        if (piece == 1) clock_sleep_ms(1);
    }
    shutdown(fd, SHUT_WR);
    client_read(fd, NULL, 5000, into);
    close(fd);
}

static void talks(void) {
    TestServer *s = test_server(NULL);
    for (size_t i = 0; i < COUNT(TALKS); i++) {
        for (size_t piece = 1; piece < 1000; piece += 998) {
            AUTO_BUF got = {0};
            talk_in_pieces(test_server_port(s), span_of(TALKS[i].send), piece, &got);
            Span answer = buf_view(&got);
            bool ok = span_has(answer, TALKS[i].has) && span_ends(answer, span_of(TALKS[i].ends));
            if (!ok) printf("\n    %s by %zu: %.*s", TALKS[i].name, piece, SPAN_ARGS(answer));
            CHECK(ok);
        }
    }
    CHECK(test_server_empties(s, 3000));
    size_t ended = atomic_load(&stream_counts.done) + atomic_load(&stream_counts.cancelled);
    CHECK(ended == atomic_load(&stream_counts.opened)); /* closed() came once for each */
    test_server_stop(s);
}

/* What cannot be ended in a right way is cut, so that nobody takes it for whole. */
static const char *const CUT[] = {
    "GET /stream/short HTTP/1.1\r\n" HOST "\r\n",
    "GET /stream/reset HTTP/1.1\r\n" HOST "\r\n",
    "POST /stream/eat HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nabc", /* and silence */
    "POST /stream/eat HTTP/1.1\r\n" HOST CHUNKED "\r\n5\r\nabc",
};

static void cut_on_h1(void) {
    TestServer *s = test_server(&(HttpServerOptions){.body_ms = 150});
    for (size_t i = 0; i < COUNT(CUT); i++) {
        AUTO_BUF got = {0};
        size_t before = atomic_load(&stream_counts.cancelled);
        Span answer = client_talk(test_server_port(s), span_of(CUT[i]), &got);
        CHECK(!span_ends(answer, SPAN("0\r\n\r\n")));
        CHECK(stream_counts_reach(&stream_counts.cancelled, before + 1, 1000));
    }
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

/* --- back-pressure --- */

/* A handler that does not consume stops the sender; one whose reader does not read holds no more than the
 * limit. */
static void held_back_on_h1(void) {
    TestServer *s = test_server(&(HttpServerOptions){.body_ms = 200});
    int fd = client_open(test_server_port(s));
    atomic_store(&stream_counts.fed, 0);
    size_t cancelled = atomic_load(&stream_counts.cancelled);
    client_send(fd, SPAN("POST /stream/hold HTTP/1.1\r\n" HOST "Content-Length: 8000000\r\n\r\n"));
    struct timeval patience = {.tv_usec = 300000};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    static const char PART[64 << 10];
    size_t sent = 0;
    while (sent < 8000000 && client_send(fd, (Span){PART, sizeof PART})) sent += sizeof PART;
    CHECK(sent < 8000000); /* the kernel's buffers are full */
    CHECK(atomic_load(&stream_counts.fed) == HTTP_STREAM_WINDOW);
    CHECK(atomic_load(&stream_counts.cancelled) == cancelled); /* silence is not the peer's fault */
    close(fd);
    CHECK(test_server_empties(s, 3000));
    CHECK(atomic_load(&stream_counts.cancelled) == cancelled + 1);
    test_server_stop(s);
}

static void slow_reader_on_h1(void) {
    TestServer *s = test_server(NULL);
    int fd = client_open(test_server_port(s));
    atomic_store(&stream_counts.most_waiting, 0);
    client_send(fd, SPAN("GET /stream/bytes?n=30000000 HTTP/1.1\r\n" HOST CLOSE "\r\n"));
    clock_sleep_ms(100);
    AUTO_BUF got = {0};
    CHECK(span_ends(client_read(fd, NULL, 10000, &got), SPAN("\r\n0\r\n\r\n")));
    if (got.len <= 30000000) printf("\n    %zu", got.len);
    CHECK(got.len > 30000000);
    size_t most = atomic_load(&stream_counts.most_waiting);
    CHECK(most > HTTP_STREAM_LIMIT && most < HTTP_STREAM_LIMIT + (20 << 10));
    close(fd);
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

/* --- libcurl --- */

static size_t keep(char *at, size_t size, size_t count, void *user) {
    buf_append(user, at, size * count);
    return size * count;
}

static void echo_by_curl(TestServer *s, bool tls, long version) {
    AUTO_BUF body = {0};
    AUTO_BUF got = {0};
    char url[100];
    for (size_t i = 0; i < 500000; i++) buf_printf(&body, "%08zx", i);
    snprintf(url, sizeof url, "http%s://127.0.0.1:%u/stream/echo", tls ? "s" : "", test_server_port(s));
    CURL *curl = curl_easy_init();
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, version);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)body.len);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.at);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &got);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 20000L);
    CHECK(curl_easy_perform(curl) == CURLE_OK);
    CHECK(span_equal(buf_view(&got), buf_view(&body)));
    curl_easy_cleanup(curl);
}

static void curl_echo(void) {
    char certificate[256], key[256];
    Err err = {0};
    AUTO(HttpTls) tls = NULL;
    test_certificate(test_folder(), "localhost", certificate, key);
    if (!CHECK_OK(http_tls_open(&(HttpTlsOptions){certificate, key}, &tls, &err), &err)) return;
    for (int secure = 0; secure < 2; secure++) {
        TestServer *s = test_server(&(HttpServerOptions){.tls = secure ? tls : NULL});
        atomic_store(&stream_counts.most_waiting, 0);
        echo_by_curl(s, secure, CURL_HTTP_VERSION_1_1);
        echo_by_curl(s, secure, secure ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
        CHECK(atomic_load(&stream_counts.most_waiting) < 2 * HTTP_STREAM_LIMIT);
        CHECK(test_server_empties(s, 3000));
        test_server_stop(s);
    }
}

SUITE("http_stream", TEST(talks), TEST(cut_on_h1), TEST(held_back_on_h1), TEST(slow_reader_on_h1),
      TEST(curl_echo));
