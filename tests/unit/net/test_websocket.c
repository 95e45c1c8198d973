#include "base/clock.h"
#include "net/ws_frame.h"
#include "net_kit.h"
#include <stdio.h>

#define UPGRADE(path)                                                                                        \
    "GET " path " HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"          \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
#define KEY0 "\0\0\0\0"

static const struct {
    const char *name, *request, *status, *has;
} HANDSHAKES[] = {
    {"plain", UPGRADE("/ws") "\r\n", "HTTP/1.1 101 Switching Protocols\r\n",
     "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"},
    {"accepted later", UPGRADE("/ws-later") "\r\n", "HTTP/1.1 101 Switching Protocols\r\n",
     "upgrade: websocket\r\n"},
    {"protocol", UPGRADE("/ws") "Sec-WebSocket-Protocol: x, events.v1.protobuf\r\n\r\n", "HTTP/1.1 101",
     "sec-websocket-protocol: events.v1.protobuf\r\n"},
    {"protocol in a second line",
     UPGRADE("/ws") "Sec-WebSocket-Protocol: x\r\nSec-WebSocket-Protocol: events.v1.protobuf\r\n\r\n",
     "HTTP/1.1 101", "sec-websocket-protocol: events.v1.protobuf\r\n"},
    {"no upgrade", "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400", "problem+json"},
    {"no key",
     "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
     "13\r\n\r\n",
     "HTTP/1.1 400", "Key"},
    {"short key",
     "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
     "13\r\n"
     "Sec-WebSocket-Key: dGhl\r\n\r\n",
     "HTTP/1.1 400", "Key"},
    {"old version",
     "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
     "8\r\n"
     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
     "HTTP/1.1 426 Upgrade Required", "sec-websocket-version: 13\r\n"},
    {"post",
     "POST /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
     "13\r\n"
     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
     "HTTP/1.1 400", ""},
};

static void handshakes(void) {
    TestServer *s = test_server(NULL);
    for (size_t i = 0; i < COUNT(HANDSHAKES); i++) {
        AUTO_BUF got = {0};
        int fd = client_open(test_server_port(s));
        client_send(fd, span_of(HANDSHAKES[i].request));
        Span answer = client_read(fd, "\r\n\r\n", 3000, &got);
        answer = client_read(fd, NULL, 20, &got);
        bool ok = span_starts(answer, span_of(HANDSHAKES[i].status)) &&
                  (!*HANDSHAKES[i].has || span_has(answer, HANDSHAKES[i].has));
        if (!ok) printf("\n    %s: %.*s", HANDSHAKES[i].name, SPAN_ARGS(answer));
        CHECK(ok);
        close(fd);
    }
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

static int ws_open(TestServer *s, const char *path) {
    char request[512];
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
             path);
    int fd = client_open(test_server_port(s));
    client_send(fd, span_of(request));
    AUTO_BUF got = {0};
    client_read(fd, "\r\n\r\n", 3000, &got);
    CHECK(span_starts(buf_view(&got), SPAN("HTTP/1.1 101")));
    return fd;
}

#define B(literal)                                                                                           \
    { (literal), sizeof(literal) - 1 }
static const struct {
    const char *name;
    Span send, want; /* all that comes until the end of the connection */
} TALKS[] = {
    {"echo, then close", B("\x81\x82" KEY0 "hi\x88\x82" KEY0 "\x03\xe8"), B("\x81\x02hi\x88\x02\x03\xe8")},
    {"close without code", B("\x88\x80" KEY0), B("\x88\x00")},
    {"close with a reason",
     B("\x88\x85" KEY0 "\x0f\xa0"
       "bye"),
     B("\x88\x02\x0f\xa0")},
    {"close with a bad code", B("\x88\x82" KEY0 "\x03\xed"), B("\x88\x02\x03\xea")},
    {"ping", B("\x89\x82" KEY0 "hi\x88\x80" KEY0), B("\x8a\x02hi\x88\x00")},
    {"fragments and a ping", B("\x02\x81" KEY0 "a\x89\x80" KEY0 "\x80\x81" KEY0 "b\x88\x80" KEY0),
     B("\x8a\x00\x82\x02"
       "ab\x88\x00")},
    {"closed by the server", B("\x81\x85" KEY0 "close\x88\x82" KEY0 "\x11\x31"),
     B("\x88\x0f\x11\x31token expired")},
    {"nothing is answered after the close", B("\x81\x85" KEY0 "close\x81\x81" KEY0 "a\x88\x80" KEY0),
     B("\x88\x0f\x11\x31token expired")},
    {"not masked", B("\x81\x02hi"), B("\x88\x02\x03\xea")},
    {"not utf-8", B("\x81\x81" KEY0 "\xff"), B("\x88\x02\x03\xef")},
    {"too big", B("\x82\xfe\x04\x00" KEY0 "x"), B("\x88\x02\x03\xf1")},
    {"reserved bit", B("\xc1\x81" KEY0 "a"), B("\x88\x02\x03\xea")},
};

static void talks(void) {
    TestServer *s = test_server(NULL);
    for (size_t i = 0; i < COUNT(TALKS); i++) {
        for (int pieces = 0; pieces < 2; pieces++) {
            int fd = ws_open(s, pieces ? "/ws-later" : "/ws");
            Span out = TALKS[i].send;
            for (size_t at = 0; pieces && at + 1 < out.len; out.at++, out.len--) {
                client_send(fd, (Span){out.at, 1});
                clock_sleep_ms(1);
            }
            client_send(fd, out);
            AUTO_BUF got = {0};
            Span answer = client_read(fd, NULL, 3000, &got);
            bool ok = span_equal(answer, TALKS[i].want);
            if (!ok) printf("\n    %s: %zu bytes, %.*s", TALKS[i].name, answer.len, SPAN_ARGS(answer));
            CHECK(ok);
            close(fd);
        }
    }
    CHECK(test_server_empties(s, 3000));
    CHECK(strcmp(test_server_ws_end(s), "closed") == 0);
    test_server_stop(s);
}

/* Frames right behind the request, before the 101: they wait for the handler. */
static void early_frames(void) {
    static const char *const PATHS[] = {UPGRADE("/ws") "\r\n", UPGRADE("/ws-later") "\r\n"};
    TestServer *s = test_server(NULL);
    for (size_t i = 0; i < COUNT(PATHS); i++) {
        AUTO_BUF out = {0};
        AUTO_BUF got = {0};
        buf_text(&out, PATHS[i]);
        buf_span(&out, SPAN("\x81\x82" KEY0 "hi\x88\x80" KEY0));
        Span answer = client_talk(test_server_port(s), buf_view(&out), &got);
        CHECK(span_ends(answer, SPAN("\r\n\r\n\x81\x02hi\x88\x00")));
    }
    test_server_stop(s);
}

/* A reader that is too slow: sends are refused above the limit, and it is told when all has gone. */
static void slow_reader(void) {
    TestServer *s = test_server(NULL);
    int fd = ws_open(s, "/ws");
    client_send(fd, SPAN("\x81\x85" KEY0 "flood"));
    AUTO_BUF got = {0};
    clock_sleep_ms(50);
    client_read(fd,
                "\x81\x07"
                "drained",
                3000, &got);
    CHECK(span_ends(buf_view(&got), SPAN("\x81\x07"
                                         "drained")));
    CHECK(span_count(buf_view(&got), "\x81\x7e\x03\xe8xxx") == (64 << 10) / 1004);
    got.len = 0;
    client_send(fd, SPAN("\x81\x84" KEY0 "drop"));
    client_read(fd,
                "\x81\x07"
                "drained",
                3000, &got);
    CHECK(span_count(buf_view(&got), "\x81\x7e\x03\xe8xxx") == 1);
    CHECK(got.len == 1004 + 9);
    close(fd);
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

static void heartbeat(void) {
    TestServer *s = test_server(NULL);
    int silent = ws_open(s, "/ws?beat=100"), alive = ws_open(s, "/ws?beat=100");
    AUTO_BUF got = {0};
    AUTO_BUF pings = {0};
    int64_t until = clock_mono_us() + 600000;
    while (clock_mono_us() < until) {
        size_t before = pings.len;
        client_read(alive, NULL, 20, &pings);
        if (pings.len > before) client_send(alive, SPAN("\x8a\x80" KEY0));
    }
    CHECK(span_count(buf_view(&pings), "\x89") >= 4);
    client_send(alive, SPAN("\x81\x85" KEY0 "there"));
    client_read(alive,
                "\x81\x05"
                "there",
                1000, &pings);
    CHECK(span_has(buf_view(&pings), "\x81\x05"
                                     "there"));
    client_read(silent, NULL, 1000, &got);
    CHECK(span_equal(buf_view(&got), (Span)B("\x89\x00\x89\x00\x88\x02\x03\xf3")));
    close(silent);
    close(alive);
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

/* A peer that never answers our close frame, and one that is just gone. */
static void rude_ends(void) {
    TestServer *s = test_server(NULL);
    int fd = ws_open(s, "/ws");
    client_send(fd, SPAN("\x81\x85" KEY0 "hello"));
    close(fd);
    CHECK(test_server_empties(s, 3000));
    CHECK(strcmp(test_server_ws_end(s), "closed") == 0);
    fd = ws_open(s, "/ws");
    test_server_stop(s); /* with a WebSocket open */
    close(fd);
}

SUITE("websocket", TEST(handshakes), TEST(talks), TEST(early_frames), TEST(slow_reader), TEST(heartbeat),
      TEST(rude_ends));
