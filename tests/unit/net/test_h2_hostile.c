/* HTTP/2 clients that cost more than they pay: each attack meets its own budget, is counted under its own
 * name, and costs nobody else. Honest clients that look a little like it are left alone. */
#include "base/clock.h"
#include "h2_kit.h"
#include "net/h2/h2_frames.h"
#include "net/h2/h2_guard.h"
#include "net_kit.h"
#include <nghttp2/nghttp2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>

#define CANCEL "\0\0\0\x08"

static void many_resets(Buf *b) {
    for (uint32_t i = 0; i < 1000; i++) {
        h2_frame(b, H2_HEADERS, 5, 2 * i + 1, SPAN(H2_GET_SLOW));
        h2_frame(b, H2_RST, 0, 2 * i + 1, SPAN(CANCEL));
    }
}

/* CVE-2025-8671: frames that make the server reset the stream itself. */
static void many_invalid(Buf *b) {
    for (uint32_t i = 0; i < 1000; i++) {
        h2_frame(b, H2_HEADERS, 4, 2 * i + 1, SPAN(H2_POST_ECHO));
        h2_frame(b, H2_WINDOW, 0, 2 * i + 1, SPAN("\x7f\xff\xff\xff"));
    }
}
/* The same by a body that is not as long as told, of which nghttp2 tells nobody. */
static void many_lies(Buf *b) {
    for (uint32_t i = 0; i < 1000; i++) {
        h2_frame(b, H2_HEADERS, 4, 2 * i + 1,
                 SPAN(H2_POST_ECHO "\x0f\x0d\x01"
                                   "3"));
        h2_frame(b, H2_DATA, 0, 2 * i + 1, SPAN("abcd"));
    }
}
static void many_malformed(Buf *b) {
    for (uint32_t i = 0; i < 1000; i++)
        h2_frame(b, H2_HEADERS, 5, 2 * i + 1, SPAN(H2_GET_ECHO H2_FIELD("\1", "x", "\1", "\n")));
}
static void many_streams(Buf *b) {
    for (uint32_t i = 0; i < 3000; i++) h2_frame(b, H2_HEADERS, 4, 2 * i + 1, SPAN(H2_POST_ECHO));
}
static void many_pings(Buf *b) {
    for (int i = 0; i < 5000; i++) h2_frame(b, H2_PING, 0, 0, SPAN("12345678"));
}
static void many_pongs(Buf *b) {
    for (int i = 0; i < 5000; i++) h2_frame(b, H2_PING, H2_ACK, 0, SPAN("12345678"));
}
static void many_settings(Buf *b) {
    for (int i = 0; i < 5000; i++) h2_frame(b, H2_SETTINGS, 0, 0, SPAN(""));
}
static void many_entries(Buf *b) {
    AUTO_BUF entries = {0};
    for (int i = 0; i < 2000; i++) buf_span(&entries, SPAN("\0\x99\0\0\0\1"));
    h2_frame(b, H2_SETTINGS, 0, 0, buf_view(&entries));
}
static void many_empty_data(Buf *b) {
    h2_frame(b, H2_HEADERS, 4, 1, SPAN(H2_POST_ECHO));
    for (int i = 0; i < 5000; i++) h2_frame(b, H2_DATA, 0, 1, SPAN(""));
}
static void many_padded_data(Buf *b) {
    h2_frame(b, H2_HEADERS, 4, 1, SPAN(H2_POST_ECHO));
    for (int i = 0; i < 5000; i++) h2_frame(b, H2_DATA, H2_PADDED, 1, SPAN("\3\0\0\0"));
}
static void many_priorities(Buf *b) {
    for (uint32_t i = 0; i < 5000; i++) h2_frame(b, H2_PRIORITY, 0, 2 * i + 1, SPAN("\0\0\0\0\1"));
}
static void many_priority_updates(Buf *b) {
    for (uint32_t i = 0; i < 5000; i++) h2_frame(b, 0x10, 0, 0, SPAN("\0\0\0\1u=1"));
}
static void many_window_updates(Buf *b) {
    for (int i = 0; i < 20000; i++) h2_frame(b, H2_WINDOW, 0, 0, SPAN("\0\0\0\1"));
}
/* An answer taken byte by byte: each update buys a frame of one byte. */
static void crumbs(Buf *b) {
    h2_frame(b, H2_SETTINGS, 0, 0, SPAN("\0\4\0\0\0\0"));
    h2_frame(b, H2_HEADERS, 5, 1, SPAN(H2_BY("\x82", "\x0e", "/bytes?n=50000")));
    for (int i = 0; i < 20000; i++) h2_frame(b, H2_WINDOW, 0, 1, SPAN("\0\0\0\1"));
}
static void many_continuations(Buf *b) {
    h2_frame(b, H2_HEADERS, H2_END, 1, SPAN(H2_GET_SLOW));
    for (int i = 0; i < 20; i++) h2_frame(b, H2_MORE, 0, 1, SPAN("\x40\x01x\x01y"));
}
static void empty_continuations(Buf *b) {
    h2_frame(b, H2_HEADERS, H2_END, 1, SPAN(H2_GET_SLOW));
    for (int i = 0; i < 5000; i++) h2_frame(b, H2_MORE, 0, 1, SPAN(""));
}
static void many_unknown(Buf *b) {
    for (uint32_t i = 0; i < 5000; i++) h2_frame(b, 0xee, 0, i, SPAN(""));
}
static void late_data(Buf *b) {
    h2_frame(b, H2_HEADERS, 4, 1, SPAN(H2_POST_ECHO));
    h2_frame(b, H2_RST, 0, 1, SPAN(CANCEL));
    for (int i = 0; i < 100; i++) h2_frame(b, H2_DATA, 0, 1, SPAN("x"));
}
/* One field of 3 KB in the table, then one byte for each time that it is meant. */
static void bomb(Buf *b) {
    AUTO_BUF block = {0};
    char value[3000];
    memset(value, 'x', sizeof value);
    buf_span(&block, SPAN(H2_GET_SLOW "\x40\x01y\x7f\xb9\x16"));
    buf_append(&block, value, sizeof value);
    for (int i = 0; i < 10000; i++) buf_span(&block, SPAN("\xbe"));
    h2_frame(b, H2_HEADERS, 5, 1, buf_view(&block));
}
static void bad_magic(Buf *b) {
    b->at[10] = 'X';
}

#define CALM NGHTTP2_ENHANCE_YOUR_CALM
static const struct {
    const char *name;
    void (*make)(Buf *b);
    long code;   /* of the GOAWAY; -1: none, the connection just ends */
    int counted; /* -1: the library's own */
} HOSTILE[] = {
    {"rapid reset", many_resets, CALM, DEFENCE_RAPID_RESET},
    {"made to reset by windows", many_invalid, CALM, DEFENCE_INVALID_FRAMES},
    {"made to reset by lengths", many_lies, CALM, DEFENCE_MADE_RESET},
    {"made to reset by fields", many_malformed, CALM, DEFENCE_INVALID_FRAMES},
    {"more streams than allowed", many_streams, CALM, DEFENCE_REFUSED_STREAMS},
    {"pings", many_pings, CALM, DEFENCE_PINGS},
    {"pongs", many_pongs, CALM, DEFENCE_PINGS},
    {"settings", many_settings, CALM, DEFENCE_SETTINGS},
    {"entries of settings", many_entries, CALM, -1},
    {"empty data", many_empty_data, CALM, DEFENCE_EMPTY_FRAMES},
    {"data of padding", many_padded_data, CALM, DEFENCE_EMPTY_FRAMES},
    {"priorities", many_priorities, CALM, DEFENCE_PRIORITIES},
    {"priority updates", many_priority_updates, CALM, DEFENCE_PRIORITIES},
    {"window updates", many_window_updates, CALM, DEFENCE_WINDOW_UPDATES},
    {"an answer in crumbs", crumbs, CALM, DEFENCE_WINDOW_UPDATES},
    {"continuations", many_continuations, CALM, DEFENCE_CONTINUATIONS},
    {"empty continuations", empty_continuations, CALM, DEFENCE_CONTINUATIONS},
    {"unknown frames", many_unknown, CALM, DEFENCE_OTHER_FRAMES},
    {"data of a stream that is over", late_data, NGHTTP2_STREAM_CLOSED, DEFENCE_STREAM_STATES},
    {"bomb", bomb, CALM, DEFENCE_HEADER_LISTS},
    {"bad magic", bad_magic, -1, -1},
};

static void hostile_frames(void) {
    TestServer *s = test_server(NULL);
    for (size_t i = 0; i < COUNT(HOSTILE); i++) {
        AUTO_BUF out = {0};
        AUTO_BUF in = {0};
        h2_begin(&out);
        HOSTILE[i].make(&out);
        const _Atomic int64_t *counter =
            HOSTILE[i].counted < 0 ? NULL : defence_counter((Defence)HOSTILE[i].counted);
        int64_t before = counter ? atomic_load(counter) : 0;
        long code = h2_got(client_talk(test_server_port(s), buf_view(&out), &in)).goaway;
        bool counted = !counter || atomic_load(counter) == before + 1;
        if (code != HOSTILE[i].code || !counted)
            printf("\n    %s: GOAWAY %ld%s", HOSTILE[i].name, code, counted ? "" : ", not counted");
        CHECK(code == HOSTILE[i].code && counted);
    }
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

/* --- the honest --- */

/* Begins each request when the answer to the one before has come, and then resets it all the same. */
static void resets_after_the_answer(void) {
    TestServer *s = test_server(NULL);
    int fd = client_open(test_server_port(s));
    AUTO_BUF out = {0};
    h2_begin(&out);
    bool ok = true;
    for (uint32_t i = 0; i < 600 && ok; i++) {
        AUTO_BUF in = {0};
        h2_frame(&out, H2_HEADERS, 4, 2 * i + 1, SPAN(H2_POST_ECHO));
        h2_frame(&out, H2_DATA, H2_END, 2 * i + 1, SPAN("abc"));
        ok = client_send(fd, buf_view(&out)) && span_has(client_read(fd, "abc", 2000, &in), "abc");
        buf_clear(&out);
        h2_frame(&out, H2_RST, 0, 2 * i + 1, SPAN(CANCEL));
        h2_frame(&out, H2_PING, 0, 0, SPAN("12345678")); /* and measures the line, as gRPC does */
    }
    CHECK(ok);
    close(fd);
    test_server_stop(s);
}

/* More requests at once than the server's SETTINGS will allow: what is refused may come again. */
static void burst_before_the_settings(void) {
    TestServer *s = test_server(NULL);
    AUTO_BUF out = {0};
    AUTO_BUF in = {0};
    h2_begin(&out);
    for (uint32_t i = 0; i < 500; i++) h2_frame(&out, H2_HEADERS, 5, 2 * i + 1, SPAN(H2_GET_SLOW));
    int fd = client_open(test_server_port(s));
    client_send(fd, buf_view(&out));
    H2Got got = h2_got(client_read(fd, NULL, 800, &in));
    CHECK(got.goaway == -1 && got.reset == NGHTTP2_REFUSED_STREAM);
    CHECK(got.count[H2_HEADERS] == 100 && got.count[H2_RST] == 400);
    close(fd);
    test_server_stop(s);
}

/* The server has reset the stream; what was on its way then is no fault. */
static void data_on_its_way(void) {
    TestServer *s = test_server(&(HttpServerOptions){.requests_max = 1});
    AUTO_BUF out = {0};
    AUTO_BUF in = {0};
    h2_begin(&out);
    h2_frame(&out, H2_HEADERS, 5, 1, SPAN(H2_GET_SLOW));
    h2_frame(&out, H2_HEADERS, 4, 3, SPAN(H2_POST_ECHO)); /* refused */
    int fd = client_open(test_server_port(s));
    client_send(fd, buf_view(&out));
    client_read(fd, NULL, 100, &in);
    buf_clear(&out);
    for (int i = 0; i < 50; i++) h2_frame(&out, H2_DATA, 0, 3, SPAN("x"));
    h2_frame(&out, H2_HEADERS, 5, 3, SPAN(H2_FIELD("\1", "x", "\1", "y")));
    client_send(fd, buf_view(&out));
    H2Got got = h2_got(client_read(fd, NULL, 600, &in));
    CHECK(got.goaway == -1 && got.reset == NGHTTP2_REFUSED_STREAM && got.count[H2_HEADERS] == 1);
    close(fd);
    test_server_stop(s);
}

/* --- budgets and heads alone --- */

static void guard(void) {
    H2Guard g;
    h2_guard_init(&g, 0);
    int spent = 0;
    while (h2_guard_spend(&g, H2_COST_RESET, 0)) spent++;
    CHECK(spent == 200);
    CHECK(h2_guard_spend(&g, H2_COST_PING, 0));
    CHECK(!h2_guard_spend(&g, H2_COST_RESET, 999999));
    for (spent = 0; h2_guard_spend(&g, H2_COST_RESET, 1000000);) spent++;
    CHECK(spent == 20);
    for (int i = 0; i < 1000; i++) {
        h2_guard_earn(&g, H2_COST_RESET);
        CHECK(h2_guard_spend(&g, H2_COST_RESET, 1000000));
    }
    for (spent = 0; h2_guard_spend(&g, H2_COST_RESET, INT64_MAX / 2);) spent++;
    CHECK(spent == 200);
    for (H2Cost cost = 0; cost < H2_COSTS; cost++) CHECK(*defence_name(h2_guard_defence(cost)));
}

/* The same heads are found however the bytes are cut. */
static void heads_of_frames(void) {
    AUTO_BUF out = {0};
    h2_begin(&out);
    h2_frame(&out, H2_HEADERS, 5, 0x80000003, SPAN(H2_GET_ECHO));
    h2_frame(&out, H2_PRIORITY, 0, 5, SPAN("\x80\0\1\2\3"));
    h2_frame(&out, H2_PRIORITY, 0, 5, SPAN("\0\1"));
    h2_frame(&out, H2_PING, 0, 0, SPAN("12345678"));
    static const struct {
        uint32_t length, stream, parent;
        uint8_t type, flags;
    } WANT[] = {{0, 0, 0, H2_SETTINGS, 0},
                {sizeof H2_GET_ECHO - 1, 3, 0, H2_HEADERS, 5},
                {5, 5, 0x102, H2_PRIORITY, 0},
                {2, 5, 0, H2_PRIORITY, 0},
                {8, 0, 0, H2_PING, 0}};
    for (size_t piece = 1; piece <= out.len; piece++) {
        H2Frames f;
        h2_frames_init(&f);
        size_t found = 0;
        for (size_t at = 0; at < out.len; at += piece) {
            H2FrameHead head;
            Span in = {out.at + at, piece < out.len - at ? piece : out.len - at};
            while (h2_frames_next(&f, &in, &head)) {
                CHECK(found < COUNT(WANT) && head.length == WANT[found].length &&
                      head.type == WANT[found].type);
                CHECK(head.stream == WANT[found].stream && head.parent == WANT[found].parent);
                CHECK(head.flags == WANT[found].flags && head.at >= out.at + at && head.at <= in.at);
                found++;
            }
            CHECK(in.len == 0);
        }
        CHECK(found == COUNT(WANT));
    }
}

SUITE("h2_hostile", TEST(hostile_frames), TEST(resets_after_the_answer), TEST(burst_before_the_settings),
      TEST(data_on_its_way), TEST(guard), TEST(heads_of_frames));
