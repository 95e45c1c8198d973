/* Streams over HTTP/2, by frames made by hand; and what both protocols have in common at the end of a stream.
 */
#include "base/clock.h"
#include "net_kit.h"
#include <stdio.h>
#include <sys/socket.h>

#define HOST "Host: a\r\n"

#define POST(path)                                                                                           \
    "\x83\x86\x04" path "\x01\x01"                                                                           \
    "a" /* the path with its length before it */

static void data_frames(Buf *b, uint32_t stream, size_t len) {
    static const char PART[16 << 10];
    for (; len > sizeof PART; len -= sizeof PART) h2_frame(b, 0, 0, stream, (Span){PART, sizeof PART});
    h2_frame(b, 0, 0, stream, (Span){PART, len});
}

/* The frames that came, one line each: type and flags in hex, stream; without what the connection itself
 * says. DATA with its length, RST_STREAM and GOAWAY with their code. */
static Span frames_text(Span in, Buf *text) {
    const unsigned char *p = (const unsigned char *)in.at;
    for (size_t at = 0; at + 9 <= in.len;) {
        size_t n = (size_t)p[at] << 16 | (size_t)p[at + 1] << 8 | p[at + 2];
        unsigned type = p[at + 3], stream = (unsigned)p[at + 7] << 8 | p[at + 8];
        unsigned more = type == 0 ? (unsigned)n : type == 3 ? p[at + 12] : type == 7 ? p[at + 16] : 0;
        if (type != 4 && type != 8) buf_printf(text, "%x/%x:%u=%u ", type, p[at + 4], stream, more);
        at += 9 + n;
    }
    return buf_view(text);
}

static const struct {
    const char *name;
    Span head; /* HPACK */
    unsigned flags;
    const char *body; /* in DATA frames of one byte */
    const char *want; /* frames_text() */
} FRAMES[] = {
    {"echo", SPAN(POST("\x0c/stream/echo")), 4, "a", "1/4:1=0 0/0:1=1 1/5:1=0 "},
    {"nothing to echo", SPAN(POST("\x0c/stream/echo")), 5, "", "1/4:1=0 1/5:1=0 "},
    {"bytes", SPAN(POST("\x11/stream/bytes?n=3")), 5, "", "1/4:1=0 0/1:1=3 "},
    {"no bytes", SPAN(POST("\x11/stream/bytes?n=0")), 5, "", "1/4:1=0 0/1:1=0 "},
    {"whole, with trailers", SPAN(POST("\x0d/stream/whole")), 5, "", "1/4:1=0 0/0:1=4 1/5:1=0 "},
    {"trailers only", SPAN(POST("\x12/stream/whole?bare")), 5, "", "1/5:1=0 "},
    {"early", SPAN(POST("\x0d/stream/early")), 4, "a", "1/4:1=0 0/1:1=0 "},
    {"refused", SPAN(POST("\x0e/stream/refuse")), 4, "a", "1/5:1=0 "},
    {"no head", SPAN(POST("\x10/stream/headless")), 5, "", "1/4:1=0 0/1:1=0 "},
    {"short", SPAN(POST("\x0d/stream/short")), 5, "", "3/0:1=2 "},
    {"reset", SPAN(POST("\x0d/stream/reset")), 5, "", "3/0:1=11 "},
    {"opened later", SPAN(POST("\x0f/stream/request")), 4, "ab", "1/4:1=0 0/1:1=2 "},
};

enum { PATIENCE_MS = 20000 }; /* a machine may be busy with other things */

/* What has come when `want` is among it. */
static Span frames_until(int fd, Buf *in, const char *want, Buf *text) {
    Span got = SPAN("");
    for (int64_t end = clock_mono_us() + PATIENCE_MS * 1000; clock_mono_us() < end && !span_has(got, want);) {
        client_read(fd, NULL, 15, in);
        buf_clear(text);
        got = frames_text(buf_view(in), text);
    }
    return got;
}

/* Exactly these, at last; and for a moment nothing more. */
static bool frames_are(int fd, Buf *in, const char *want, const char *name) {
    AUTO_BUF text = {0};
    bool ok = false;
    for (int64_t end = clock_mono_us() + PATIENCE_MS * 1000, same = 0; clock_mono_us() < end && same < 2;
         same += ok) {
        client_read(fd, NULL, 15, in);
        buf_clear(&text);
        ok = span_is(frames_text(buf_view(in), &text), want);
        if (!ok) same = 0;
    }
    if (!ok) printf("\n    %s: %.*s", name, SPAN_ARGS(buf_view(&text)));
    return ok;
}

static void frames(void) {
    TestServer *s = test_server(NULL);
    for (size_t i = 0; i < COUNT(FRAMES); i++) {
        for (int pieces = 0; pieces < 2; pieces++) {
            AUTO_BUF out = {0};
            AUTO_BUF in = {0};
            h2_begin(&out);
            h2_frame(&out, 1, FRAMES[i].flags, 1, FRAMES[i].head);
            for (const char *b = FRAMES[i].body; *b; b++) h2_frame(&out, 0, !b[1], 1, (Span){b, 1});
            int fd = client_open(test_server_port(s));
            for (size_t at = 0; pieces && at < out.len; at++) client_send(fd, (Span){out.at + at, 1});
            if (!pieces) client_send(fd, buf_view(&out));
            CHECK(frames_are(fd, &in, FRAMES[i].want, FRAMES[i].name));
            CHECK(!span_has(buf_view(&in), "content-length") || i == 9);
            close(fd);
        }
    }
    CHECK(test_server_empties(s, PATIENCE_MS));
    test_server_stop(s);
}

/* Five streams fill more than the connection's window, and nobody consumes them: a sixth request goes
 * through. */
static void held_stream_does_not_block_others(void) {
    TestServer *s = test_server(NULL);
    AUTO_BUF out = {0};
    AUTO_BUF in = {0};
    AUTO_BUF text = {0};
    h2_begin(&out);
    atomic_store(&stream_counts.fed, 0);
    for (uint32_t id = 1; id <= 9; id += 2) {
        h2_frame(&out, 1, 4, id, SPAN(POST("\x0c/stream/hold")));
        data_frames(&out, id, HTTP_STREAM_WINDOW);
    }
    h2_frame(&out, 1, 4, 11, SPAN(POST("\x05/echo")));
    h2_frame(&out, 0, 1, 11, SPAN("through"));
    int fd = client_open(test_server_port(s));
    client_send(fd, buf_view(&out));
    client_read(fd, "through", PATIENCE_MS, &in);
    CHECK(span_has(buf_view(&in), "through"));
    CHECK(atomic_load(&stream_counts.fed) == 5 * HTTP_STREAM_WINDOW);
    out.len = in.len = 0;
    h2_frame(&out, 0, 0, 1, SPAN("x")); /* above its stream's window */
    client_send(fd, buf_view(&out));
    Span got = frames_until(fd, &in, "=3 ", &text);
    CHECK(span_has(got, "3/0:1=3 ") || span_has(got, "7/0:0=3 "));
    close(fd);
    CHECK(test_server_empties(s, PATIENCE_MS));
    test_server_stop(s);
}

/* The peer's window is 65535 and it does not read on: no more than the limit waits; then it cancels. */
static void slow_reader_on_h2(void) {
    TestServer *s = test_server(NULL);
    AUTO_BUF out = {0};
    AUTO_BUF in = {0};
    size_t cancelled = atomic_load(&stream_counts.cancelled);
    atomic_store(&stream_counts.most_waiting, 0);
    h2_begin(&out);
    h2_frame(&out, 1, 5, 1, SPAN(POST("\x18/stream/bytes?n=30000000")));
    int fd = client_open(test_server_port(s));
    client_send(fd, buf_view(&out));
    for (int tries = 0; tries < 100 && in.len <= 65535; tries++) client_read(fd, NULL, 100, &in);
    client_read(fd, NULL, 100, &in);
    CHECK(in.len > 65535 && in.len < 67000);
    size_t most = atomic_load(&stream_counts.most_waiting);
    CHECK(most > HTTP_STREAM_LIMIT && most < HTTP_STREAM_LIMIT + (20 << 10));
    CHECK(atomic_load(&stream_counts.cancelled) == cancelled);
    out.len = 0;
    h2_frame(&out, 3, 0, 1, SPAN("\0\0\0\x08"));
    client_send(fd, buf_view(&out));
    CHECK(stream_counts_reach(&stream_counts.cancelled, cancelled + 1, PATIENCE_MS));
    close(fd);
    CHECK(test_server_empties(s, PATIENCE_MS));
    test_server_stop(s);
}

/* --- deadlines, cancelling, draining --- */

static const struct {
    const char *name;
    Span head;
    unsigned flags;
    size_t body; /* bytes in DATA, no end */
    const char *want;
} LATE[] = {
    {"a body that stops is cut", SPAN(POST("\x0b/stream/eat")), 4, 10, "1/4:1=0 3/0:1=8 "},
    {"a body that may not go on is not", SPAN(POST("\x0c/stream/hold")), 4, HTTP_STREAM_WINDOW, "1/4:1=0 "},
    {"an answer that waits for its handler is not", SPAN(POST("\x0c/stream/hold")), 5, 0, "1/4:1=0 "},
    {"an answer that nobody takes is cut", SPAN(POST("\x18/stream/bytes?n=30000000")), 5, 0, " 3/0:1=8 "},
};

static void deadlines(void) {
    TestServer *s =
        test_server(&(HttpServerOptions){.header_ms = 100, .body_ms = 150, .idle_ms = 200, .stall_ms = 250});
    for (size_t i = 0; i < COUNT(LATE); i++) {
        AUTO_BUF out = {0};
        AUTO_BUF in = {0};
        AUTO_BUF text = {0};
        h2_begin(&out);
        h2_frame(&out, 1, LATE[i].flags, 1, LATE[i].head);
        if (LATE[i].body) data_frames(&out, 1, LATE[i].body);
        int fd = client_open(test_server_port(s));
        client_send(fd, buf_view(&out));
        bool stays = i == 1 || i == 2;
        Span got = stays ? frames_text(client_read(fd, NULL, 600, &in), &text)
                         : frames_until(fd, &in, LATE[i].want, &text);
        bool ok =
            LATE[i].want[0] == ' ' ? span_has(got, LATE[i].want) : span_starts(got, span_of(LATE[i].want));
        if (stays) ok &= span_is(got, LATE[i].want);
        if (!ok) printf("\n    %s: %.*s", LATE[i].name, SPAN_ARGS(got));
        CHECK(ok);
        close(fd);
    }
    CHECK(test_server_empties(s, PATIENCE_MS));
    test_server_stop(s);
}

static void cancelling(void) {
    TestServer *s = test_server(NULL);
    AUTO_BUF out = {0};
    size_t cancelled = atomic_load(&stream_counts.cancelled);
    h2_begin(&out);
    h2_frame(&out, 1, 5, 1, SPAN(POST("\x0e/stream/cancel")));
    h2_frame(&out, 1, 5, 3, SPAN(POST("\x0e/stream/cancel")));
    h2_frame(&out, 1, 5, 5, SPAN(POST("\x0f/stream/request")));
    h2_frame(&out, 3, 0, 5, SPAN("\0\0\0\x08")); /* before its stream is opened */
    int fd = client_open(test_server_port(s));
    client_send(fd, buf_view(&out));
    CHECK(stream_counts_reach(&stream_counts.cancelled, cancelled + 1, PATIENCE_MS));
    out.len = 0;
    h2_frame(&out, 3, 0, 1, SPAN("\0\0\0\x08"));
    client_send(fd, buf_view(&out));
    CHECK(stream_counts_reach(&stream_counts.cancelled, cancelled + 2, PATIENCE_MS));
    close(fd); /* the other one is cancelled by this */
    CHECK(stream_counts_reach(&stream_counts.cancelled, cancelled + 3, PATIENCE_MS));
    fd = client_open(test_server_port(s));
    client_send(fd, SPAN("GET /stream/cancel HTTP/1.1\r\n" HOST "\r\n"));
    clock_sleep_ms(20);
    struct linger reset = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    CHECK(stream_counts_reach(&stream_counts.cancelled, cancelled + 4, PATIENCE_MS));
    CHECK(test_server_empties(s, PATIENCE_MS));
    test_server_stop(s);
}

/* The peer goes before http_stream_open(), on both protocols: the handler is told all the same. */
static void opened_too_late(void) {
    TestServer *s = test_server(NULL);
    size_t cancelled = atomic_load(&stream_counts.cancelled);
    int fd = client_open(test_server_port(s));
    client_send(fd, SPAN("GET /stream/request HTTP/1.1\r\n" HOST "\r\n"));
    clock_sleep_ms(5);
    struct linger reset = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    CHECK(stream_counts_reach(&stream_counts.cancelled, cancelled + 1, PATIENCE_MS));
    CHECK(test_server_empties(s, PATIENCE_MS));
    test_server_stop(s);
}

static void draining(void) {
    TestServer *s = test_server(NULL);
    AUTO_BUF out = {0};
    AUTO_BUF in = {0};
    AUTO_BUF text = {0};
    size_t drained = atomic_load(&stream_counts.drained), done = atomic_load(&stream_counts.done);
    size_t opened = atomic_load(&stream_counts.opened);
    h2_begin(&out);
    for (uint32_t id = 1; id <= 5; id += 2) h2_frame(&out, 1, 5, id, SPAN(POST("\x0c/stream/hold")));
    int h2 = client_open(test_server_port(s)), h1 = client_open(test_server_port(s));
    client_send(h2, buf_view(&out));
    client_send(h1, SPAN("GET /stream/hold HTTP/1.1\r\n" HOST "\r\n"));
    client_read(h1, "\r\n\r\n", PATIENCE_MS, &in);
    CHECK(stream_counts_reach(&stream_counts.opened, opened + 4, PATIENCE_MS));
    test_server_drain(s);
    CHECK(span_ends(client_read(h1, NULL, 3000, &in), SPAN("\r\n0\r\n\r\n")));
    in.len = 0;
    Span got = frames_text(client_read(h2, NULL, 3000, &in), &text);
    CHECK(span_count(got, "1/5:") == 3 && span_count(got, "7/0:0=0") == 2);
    CHECK(atomic_load(&stream_counts.drained) == drained + 4 && atomic_load(&stream_counts.done) == done + 4);
    CHECK(test_server_empties(s, PATIENCE_MS));
    close(h1);
    close(h2);
    test_server_stop(s);
}

/* With streams open on both protocols: each is told. */
static void stopping(void) {
    TestServer *s = test_server(NULL);
    AUTO_BUF out = {0};
    size_t opened = atomic_load(&stream_counts.opened), cancelled = atomic_load(&stream_counts.cancelled);
    h2_begin(&out);
    h2_frame(&out, 1, 4, 1, SPAN(POST("\x0c/stream/echo")));
    h2_frame(&out, 1, 5, 3, SPAN(POST("\x18/stream/bytes?n=30000000")));
    int h2 = client_open(test_server_port(s)), h1 = client_open(test_server_port(s));
    client_send(h2, buf_view(&out));
    client_send(h1, SPAN("GET /stream/bytes?n=30000000 HTTP/1.1\r\n" HOST "\r\n"));
    CHECK(stream_counts_reach(&stream_counts.opened, opened + 3, PATIENCE_MS));
    test_server_stop(s);
    CHECK(atomic_load(&stream_counts.cancelled) == cancelled + 3);
    close(h1);
    close(h2);
}

SUITE("http_stream_h2", TEST(frames), TEST(held_stream_does_not_block_others), TEST(slow_reader_on_h2),
      TEST(deadlines), TEST(cancelling), TEST(opened_too_late), TEST(draining), TEST(stopping));
