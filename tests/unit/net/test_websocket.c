#include "base/clock.h"
#include "net/websocket/ws_frame.h"
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
    {"no upgrade", "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400", "not an upgrade"},
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
    {"two keys", UPGRADE("/ws") "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", "HTTP/1.1 400", "Key"},
    {"two versions", UPGRADE("/ws") "Sec-WebSocket-Version: 13\r\n\r\n", "HTTP/1.1 426", "13"},
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

/* Each over HTTP/1.1 and over HTTP/2, whole and byte by byte, and with the answer only after the first bytes.
 */
static void talks(void) {
    TestServer *s = test_server(NULL);
    for (size_t i = 0; i < COUNT(TALKS); i++) {
        for (int way = 0; way < 4; way++) {
            WsClient c = ws_client_open(s, way & 1, way & 2 ? "/ws-later" : "/ws", NULL);
            CHECK_SPAN(span_of(c.status), way & 1 ? "200" : "101");
            Span out = TALKS[i].send;
            for (size_t at = 0; way & 2 && at + 1 < out.len; out.at++, out.len--) {
                ws_client_send(&c, (Span){out.at, 1});
                clock_sleep_ms(1);
            }
            ws_client_send(&c, out);
            Span answer = ws_client_read(&c, 0, 3000);
            bool ok = span_equal(answer, TALKS[i].want) && c.ended && !c.reset;
            if (!ok)
                printf("\n    %s, %d: %zu bytes, %.*s", TALKS[i].name, way, answer.len, SPAN_ARGS(answer));
            CHECK(ok);
            ws_client_close(&c);
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
    for (int h2 = 0; h2 < 2; h2++) {
        WsClient c = ws_client_open(s, h2, "/ws", NULL);
        const size_t flood = (64 << 10) / 1004;
        ws_client_send(&c, SPAN("\x81\x85" KEY0 "flood"));
        clock_sleep_ms(50);
        Span got = ws_client_read(&c, flood * 1004 + 9, 3000);
        CHECK(span_ends(got, SPAN("\x81\x07"
                                  "drained")));
        CHECK(got.len == flood * 1004 + 9 && span_count(got, "\x81\x7e\x03\xe8xxx") == flood);
        buf_clear(&c.got);
        ws_client_send(&c, SPAN("\x81\x84" KEY0 "drop"));
        got = ws_client_read(&c, 1004 + 9, 3000);
        CHECK(span_count(got, "\x81\x7e\x03\xe8xxx") == 1 && got.len == 1004 + 9);
        ws_client_close(&c);
    }
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

/* A message of ours into a window that is shut: whatever is dropped, what comes out is whole frames. */
static void drop_behind_a_shut_window(void) {
    TestServer *s = test_server(NULL);
    WsClient c = ws_client_open(s, true, "/ws", NULL);
    AUTO_BUF out = {0};
    h2_frame(&out, 4, 0, 0, SPAN("\0\4\0\0\0\0")); /* the stream's window is 65535 below zero now */
    client_send(c.fd, buf_view(&out));
    ws_client_send(&c, SPAN("\x81\x85" KEY0 "flood\x81\x84" KEY0 "drop\x81\x82" KEY0 "hi"));
    CHECK(ws_client_read(&c, 1, 100).len == 0);
    buf_clear(&out);
    h2_frame(&out, 8, 0, 1, SPAN("\0\1\0\0"));
    client_send(c.fd, buf_view(&out));
    Span got = ws_client_read(&c, 1004 + 4 + 9, 3000);
    CHECK(span_count(got, "\x81\x7e\x03\xe8xxx") == 1 && span_has(got, "\x81\x02hi"));
    ws_client_close(&c);
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

static void heartbeat(void) {
    TestServer *s = test_server(NULL);
    for (int h2 = 0; h2 < 2; h2++) {
        WsClient silent = ws_client_open(s, h2, "/ws?beat=100", NULL),
                 alive = ws_client_open(s, h2, "/ws?beat=100", NULL);
        int64_t until = clock_mono_us() + 600000;
        while (clock_mono_us() < until) {
            size_t before = alive.got.len;
            if (ws_client_read(&alive, before + 1, 20).len > before)
                ws_client_send(&alive, SPAN("\x8a\x80" KEY0));
        }
        CHECK(span_count(buf_view(&alive.got), "\x89") >= 4);
        ws_client_send(&alive, SPAN("\x81\x85" KEY0 "there"));
        for (int i = 0; i < 100 && !span_has(buf_view(&alive.got), "there"); i++)
            ws_client_read(&alive, 0, 10);
        CHECK(span_has(buf_view(&alive.got), "\x81\x05"
                                             "there"));
        CHECK(span_equal(ws_client_read(&silent, 0, 1000), (Span)B("\x89\x00\x89\x00\x88\x02\x03\xf3")));
        CHECK(silent.ended);
        ws_client_close(&silent);
        ws_client_close(&alive);
    }
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

/* A peer that never answers our close frame, one that is just gone, one that goes half, and one that cancels.
 */
static void rude_ends(void) {
    TestServer *s = test_server(NULL);
    for (int way = 0; way < 6; way++) {
        bool h2 = way & 1;
        WsClient c = ws_client_open(s, h2, "/ws", NULL);
        ws_client_send(&c, SPAN("\x81\x85" KEY0 "hello"));
        AUTO_BUF out = {0};
        h2_frame(&out, 3, 0, 1, SPAN("\0\0\0\x08"));
        if (way / 2 == 1) ws_client_end(&c);
        if (way / 2 == 2 && h2) client_send(c.fd, buf_view(&out));
        if (way / 2 > 0 && !(way / 2 == 2 && !h2)) {
            for (int i = 0; i < 200 && !*test_server_ws_end(s); i++) clock_sleep_ms(5);
            CHECK(strcmp(test_server_ws_end(s), "closed") == 0);
        }
        ws_client_close(&c);
        CHECK(test_server_empties(s, 3000));
        CHECK(strcmp(test_server_ws_end(s), "closed") == 0);
    }
    WsClient h1 = ws_client_open(s, false, "/ws", NULL), h2 = ws_client_open(s, true, "/ws", NULL);
    test_server_stop(s); /* with WebSockets open */
    ws_client_close(&h1);
    ws_client_close(&h2);
}

#define TUNNEL(path) ":method", "CONNECT", ":scheme", "http", ":path", path, ":authority", "a"
#define SOCKET       ":protocol", "websocket"
static const struct {
    const char *name, *fields[20], *status, *protocol;
    unsigned flags;
} CONNECTS[] = {
    {"fine", {TUNNEL("/ws"), SOCKET, "sec-websocket-version", "13"}, "200", "", 4},
    {"with a subprotocol",
     {TUNNEL("/ws"), SOCKET, "sec-websocket-version", "13", "sec-websocket-protocol",
      "x, events.v1.protobuf"},
     "200",
     "events.v1.protobuf",
     4},
    {"answered later", {TUNNEL("/ws-later"), SOCKET, "sec-websocket-version", "13"}, "200", "", 4},
    {"old version", {TUNNEL("/ws"), SOCKET, "sec-websocket-version", "8"}, "426", "", 4},
    {"no version", {TUNNEL("/ws"), SOCKET}, "426", "", 4},
    {"ended already", {TUNNEL("/ws"), SOCKET, "sec-websocket-version", "13"}, "400", "", 5},
    {"nothing there", {TUNNEL("/none"), SOCKET, "sec-websocket-version", "13"}, "404", "", 4},
    {"another protocol", {TUNNEL("/ws"), ":protocol", "connect-udp"}, "501", "", 4},
    {"plain CONNECT", {":method", "CONNECT", ":authority", "a:443"}, "501", "", 4},
    {"GET", {":method", "GET", ":scheme", "http", ":path", "/ws", ":authority", "a"}, "400", "", 5},
};

static void extended_connect(void) {
    TestServer *s = test_server(NULL);
    for (size_t i = 0; i < COUNT(CONNECTS); i++) {
        WsClient c = ws_client_connect(s, CONNECTS[i].fields, CONNECTS[i].flags);
        bool ok = span_is(span_of(c.status), CONNECTS[i].status) &&
                  span_is(span_of(c.protocol), CONNECTS[i].protocol);
        if (!ok) printf("\n    %s: %s %s", CONNECTS[i].name, c.status, c.protocol);
        CHECK(ok);
        ws_client_close(&c);
    }
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

SUITE("websocket", TEST(handshakes), TEST(talks), TEST(early_frames), TEST(slow_reader),
      TEST(drop_behind_a_shut_window), TEST(heartbeat), TEST(rude_ends), TEST(extended_connect));
