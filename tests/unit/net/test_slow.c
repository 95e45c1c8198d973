/* Peers that take their time: each phase has its limit, a body and an answer have a least rate, and crumbs do
 * not count as progress. Each end is counted under its cause. Honest slow peers come through. */
#include "base/clock.h"
#include "h2_kit.h"
#include "net/defence.h"
#include "net_kit.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>

#define HOST "Host: a\r\n"

static const HttpServerOptions HASTY = {
    .header_ms = 200, .body_ms = 200, .idle_ms = 400, .stall_ms = 400, .rate_min = 20000};

/* Sends `first`, then `piece` again and again with a pause, until the server has something to say or ends it.
 */
typedef struct Slow {
    const char *name;
    Span first, piece;
    size_t pieces;
    int64_t pause_ms;
    const char *want; /* somewhere in the answer; NULL: nothing but the end */
    Defence cause;
} Slow;

#define T(text)                                                                                              \
    { text, sizeof text - 1 }
/* frame heads: length, type, flags, stream */
#define PREFACE       H2_PREFACE "\0\0\0\4\0\0\0\0\0"
#define HEAD_OPEN     "\0\0\x03\1\0\0\0\0\1\x83\x86\x84"
#define POST_OPEN     "\0\0\x0c\1\4\0\0\0\1" H2_POST_ECHO
#define STREAM_OPEN   "\0\0\x12\1\4\0\0\0\1" H2_BY("\x83", "\x0b", "/stream/eat")
#define NO_WINDOW     "\0\0\6\4\0\0\0\0\0\0\4\0\0\0\0"
#define GET_BYTES     "\0\0\x14\1\5\0\0\0\1" H2_BY("\x82", "\x0d", "/bytes?n=9999")
#define ONE_BYTE_MORE "\0\0\4\x08\0\0\0\0\1\0\0\0\1"

static const Slow SLOW[] = {
    {"silence", T(""), T(""), 0, 0, NULL, DEFENCE_SLOW_START},
    {"three letters of a preface", T("PRI"), T(""), 0, 0, NULL, DEFENCE_SLOW_START},
    {"head, line by line", T("GET / HTTP/1.1\r\n" HOST), T("X: y\r\n"), 50, 20, "HTTP/1.1 408",
     DEFENCE_SLOW_HEAD},
    {"body, byte by byte", T("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n"), T("x"), 100, 10,
     "HTTP/1.1 408", DEFENCE_SLOW_BODY},
    {"chunk by chunk", T("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"),
     T("1\r\nx\r\n"), 100, 10, "HTTP/1.1 408", DEFENCE_SLOW_BODY},
    {"head of HTTP/2 without an end", T(PREFACE HEAD_OPEN), T(""), 0, 0, "\0\0\0\x0b", DEFENCE_SLOW_HEAD},
    {"body of HTTP/2, byte by byte", T(PREFACE POST_OPEN), T("\0\0\1\0\0\0\0\0\1x"), 100, 10,
     "request_timeout", DEFENCE_SLOW_BODY},
    {"stream, byte by byte", T("POST /stream/eat HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n"), T("x"),
     100, 10, "HTTP/1.1 200", DEFENCE_SLOW_BODY},
    {"stream, chunk by chunk", T("POST /stream/eat HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"),
     T("1\r\nx\r\n"), 100, 10, "HTTP/1.1 200", DEFENCE_SLOW_BODY},
    {"stream of HTTP/2, byte by byte", T(PREFACE STREAM_OPEN), T("\0\0\1\0\0\0\0\0\1x"), 100, 10, NULL,
     DEFENCE_SLOW_BODY},
    {"answer of HTTP/2, byte by byte", T(PREFACE NO_WINDOW GET_BYTES), T(ONE_BYTE_MORE), 100, 10, NULL,
     DEFENCE_STALLED_WINDOW},
};

static void be_slow(int fd, const Slow *slow, Buf *got) {
    client_send(fd, slow->first);
    for (size_t i = 0; i < slow->pieces; i++) {
        client_read(fd, NULL, slow->pause_ms, got);
        bool told = slow->want && !span_starts(span_of(slow->want), SPAN("HTTP/1.1 2")); /* by that */
        if (!client_send(fd, slow->piece) || (told && span_has(buf_view(got), slow->want))) break;
    }
    client_read(fd, NULL, 2000, got);
}

static void each_phase_has_its_limit(void) {
    TestServer *s = test_server(&HASTY);
    for (size_t i = 0; i < COUNT(SLOW); i++) {
        const _Atomic int64_t *counter = defence_counter(SLOW[i].cause);
        int64_t before = atomic_load(counter), from = clock_mono_us();
        AUTO_BUF got = {0};
        int fd = client_open(test_server_port(s));
        be_slow(fd, &SLOW[i], &got);
        int64_t took_ms = (clock_mono_us() - from) / 1000;
        bool told = !SLOW[i].want || span_has(buf_view(&got), SLOW[i].want) || SLOW[i].want[0] == 0;
        bool counted = atomic_load(counter) == before + 1;
        if (!told || !counted || took_ms > 1900)
            printf("\n    %s: %d ms, %s: %.*s", SLOW[i].name, (int)took_ms,
                   counted ? "counted" : "not counted", SPAN_ARGS(buf_view(&got)));
        CHECK(told && counted);
        CHECK(took_ms >= 150 && took_ms < 1900);
        close(fd);
    }
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

/* A handshake that stops in the middle. */
static void half_open_tls(void) {
    char certificate[256], key[256];
    Err err = {0};
    AUTO(HttpTls) tls = NULL;
    test_certificate(test_folder(), "localhost", certificate, key);
    HttpTlsOptions files = {certificate, key, NULL, false};
    if (!CHECK_OK(http_tls_open(&files, &tls, &err), &err)) return;
    HttpServerOptions options = HASTY;
    options.tls = tls;
    TestServer *s = test_server(&options);
    int64_t before = atomic_load(defence_counter(DEFENCE_SLOW_START)), from = clock_mono_us();
    AUTO_BUF got = {0};
    CHECK(client_talk(test_server_port(s), SPAN("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"), &got).len == 0);
    int64_t took_ms = (clock_mono_us() - from) / 1000;
    CHECK(took_ms >= 150 && took_ms < 1900);
    CHECK(atomic_load(defence_counter(DEFENCE_SLOW_START)) == before + 1);
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

#define ECHO_40000  "/echo HTTP/1.1\r\n" HOST "Content-Length: 40000\r\n\r\n"
#define STREAM_ECHO "\0\0\x13\1\4\0\0\0\1" H2_BY("\x83", "\x0c", "/stream/echo")

/* Longer than body_ms, but never below the least rate. */
static void steady_body(void) {
    TestServer *s = test_server(&HASTY);
    for (int way = 0; way < 4; way++) {
        bool h2 = way & 1, streams = way & 2;
        AUTO_BUF out = {0};
        AUTO_BUF got = {0};
        char piece[2000];
        memset(piece, 'x', sizeof piece);
        int fd = client_open(test_server_port(s));
        if (h2)
            client_send(fd, streams ? SPAN(PREFACE STREAM_ECHO) : SPAN(PREFACE POST_OPEN));
        else
            client_send(fd, streams ? SPAN("POST /stream" ECHO_40000) : SPAN("POST " ECHO_40000));
        for (int i = 0; i < 20; i++) {
            clock_sleep_ms(25);
            buf_clear(&out);
            if (h2) h2_frame(&out, H2_DATA, i == 19, 1, (Span){piece, sizeof piece});
            client_send(fd, h2 ? buf_view(&out) : (Span){piece, sizeof piece});
        }
        for (int tries = 0; tries < 40 && got.len < 40000; tries++) client_read(fd, NULL, 50, &got);
        if (got.len < 40000) printf("\n    %d: %.*s", way, SPAN_ARGS(buf_view(&got)));
        CHECK(got.len > 40000 && !span_has(buf_view(&got), "timeout"));
        close(fd);
    }
    test_server_stop(s);
}

/* Takes `piece` bytes with a pause between, until all or nothing comes any more. What lies in the kernel's
 * buffers once the server has cut it off is taken at once. */
static size_t read_slowly(unsigned port, const char *request, size_t piece, int64_t pause_ms) {
    int fd = client_open(port);
    client_send(fd, span_of(request));
    static char bytes[1 << 20];
    int64_t cut = atomic_load(defence_counter(DEFENCE_STALLED_READER));
    size_t sum = 0;
    for (ssize_t got; (got = recv(fd, bytes, piece, 0)) > 0;) {
        sum += (size_t)got;
        if (atomic_load(defence_counter(DEFENCE_STALLED_READER)) == cut) clock_sleep_ms(pause_ms);
    }
    close(fd);
    return sum;
}

static void slow_readers(void) {
    TestServer *s = test_server(&(HttpServerOptions){.stall_ms = 600, .rate_min = 500000});
    unsigned port = test_server_port(s);
    int64_t before = atomic_load(defence_counter(DEFENCE_STALLED_READER));
    size_t sum = read_slowly(port, "GET /bytes?n=40000000 HTTP/1.1\r\n" HOST "\r\n", 20000, 150);
    CHECK(sum < 40000000); /* there was progress all the time, but not enough */
    CHECK(atomic_load(defence_counter(DEFENCE_STALLED_READER)) == before + 1);
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
    s = test_server(&(HttpServerOptions){.stall_ms = 3000, .rate_min = 50000});
    port = test_server_port(s);
    sum =
        read_slowly(port, "GET /bytes?n=20000000 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", 400000, 10);
    CHECK(sum > 20000000);
    CHECK(atomic_load(defence_counter(DEFENCE_STALLED_READER)) == before + 1);
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

/* The other end of a connection, in this process. */
static int accepted_from(int client) {
    struct sockaddr_in own, peer;
    socklen_t len = sizeof own;
    REQUIRE(!getsockname(client, (struct sockaddr *)&own, &len));
    for (int fd = 0; fd < 1024; fd++) {
        len = sizeof peer;
        if (!getpeername(fd, (struct sockaddr *)&peer, &len) && peer.sin_port == own.sin_port) return fd;
    }
    return -1;
}

/* Of a peer that has gone without a word only the kernel can tell, and only if it has been asked to. */
static void the_kernel_looks_for_the_dead(void) {
    static const struct {
        int level, option, want;
    } OPTIONS[] = {{SOL_SOCKET, SO_KEEPALIVE, 1},
                   {IPPROTO_TCP, TCP_KEEPIDLE, 4},
                   {IPPROTO_TCP, TCP_KEEPINTVL, 4},
                   {IPPROTO_TCP, TCP_USER_TIMEOUT, 18000}};
    TestServer *s = test_server(&(HttpServerOptions){.stall_ms = 12000});
    AUTO_BUF answer = {0};
    int client = client_open(test_server_port(s));
    client_send(client, SPAN("GET / HTTP/1.1\r\n" HOST "\r\n"));
    client_read(client, "\r\n\r\n", 3000, &answer);
    int fd = accepted_from(client);
    for (size_t i = 0; i < COUNT(OPTIONS); i++) {
        int value = 0;
        socklen_t len = sizeof value;
        CHECK(!getsockopt(fd, OPTIONS[i].level, OPTIONS[i].option, &value, &len));
        CHECK(value == OPTIONS[i].want);
    }
    close(client);
    test_server_stop(s);
}

SUITE("slow", TEST(each_phase_has_its_limit), TEST(half_open_tls), TEST(steady_body), TEST(slow_readers),
      TEST(the_kernel_looks_for_the_dead));
