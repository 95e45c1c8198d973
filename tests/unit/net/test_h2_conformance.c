/* RFC 9113 frame by frame: what a server must refuse, and how. Each case on a connection of its own, whole
 * and byte by byte. */
#include "base/clock.h"
#include "h2_kit.h"
#include "net_kit.h"
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

typedef struct Frame {
    uint8_t type, flags;
    uint32_t stream;
    Span payload;
} Frame;

typedef struct Case {
    const char *name;
    char want; /* 'C' GOAWAY with the code, 'S' RST_STREAM with the code, 'A' an answer with that status */
    long code;
    Frame frames[4];
} Case;

#define L(text) H2_LITERAL(text)
#define REQUEST(flags, text)                                                                                 \
    { H2_HEADERS, H2_WHOLE | (flags), 1, L(text) }
#define WITH(text)                                                                                           \
    { REQUEST(H2_END, H2_GET_ECHO text) }
#define HEAD_ONLY(text)                                                                                      \
    { REQUEST(H2_END, text) }
#define DATA(flags, text)                                                                                    \
    { H2_DATA, flags, 1, L(text) }
#define FOUR_ZEROS    "\0\0\0\0"
#define LENGTH(digit) "\x0f\x0d\x01" digit /* content-length */

static const Case CASES[] = {
    /* 3.4, 4 */
    {"plain", 'A', 200, WITH("")},
    {"unknown frame", 'A', 200, {{0x20, 0xff, 7, L("x")}, REQUEST(H2_END, H2_GET_ECHO)}},
    {"unknown flags", 'A', 200, {REQUEST(0xd0 | H2_END, H2_GET_ECHO)}},
    {"reserved bit", 'A', 200, {{H2_HEADERS, 5, 0x80000001, L(H2_GET_ECHO)}}},
    {"frame too large",
     'C',
     NGHTTP2_FRAME_SIZE_ERROR,
     {REQUEST(0, H2_POST_ECHO), {H2_DATA, 0xff, 1, {NULL, 16385}}}},
    {"block interrupted by a frame",
     'C',
     NGHTTP2_PROTOCOL_ERROR,
     {{H2_HEADERS, 1, 1, L(H2_GET_ECHO)}, {H2_PING, 0, 0, L("12345678")}}},
    {"block interrupted by an unknown frame",
     'C',
     NGHTTP2_PROTOCOL_ERROR,
     {{H2_HEADERS, 1, 1, L(H2_GET_ECHO)}, {0x20, 0, 1, L("")}}},
    {"block goes on elsewhere",
     'C',
     NGHTTP2_PROTOCOL_ERROR,
     {{H2_HEADERS, 1, 1, L(H2_GET_ECHO)}, {H2_MORE, 4, 3, L("")}}},
    {"block in two",
     'A',
     200,
     {{H2_HEADERS, 1, 1, L("\x82\x86\x04")},
      {H2_MORE, 4, 1,
       L("\x05/echo\x01\x01"
         "a")}}},
    {"index 0", 'C', NGHTTP2_COMPRESSION_ERROR, HEAD_ONLY("\x80")},
    {"index beyond the tables", 'C', NGHTTP2_COMPRESSION_ERROR, HEAD_ONLY("\xbf")},
    {"table larger than allowed", 'C', NGHTTP2_COMPRESSION_ERROR, HEAD_ONLY("\x3f\xe1\x7f" H2_GET_ECHO)},
    {"size update within the block", 'C', NGHTTP2_COMPRESSION_ERROR, WITH("\x20")},
    {"padding of the Huffman code", 'C', NGHTTP2_COMPRESSION_ERROR, HEAD_ONLY("\x82\x86\x04\x81\x00")},
    {"field cut off", 'C', NGHTTP2_COMPRESSION_ERROR, HEAD_ONLY("\x82\x86\x04\x05/ec")},
    /* 5.1 */
    {"data on an idle stream", 'C', NGHTTP2_PROTOCOL_ERROR, {DATA(0, "x")}},
    {"reset of an idle stream", 'C', NGHTTP2_PROTOCOL_ERROR, {{H2_RST, 0, 1, L("\0\0\0\x08")}}},
    {"window of an idle stream", 'C', NGHTTP2_PROTOCOL_ERROR, {{H2_WINDOW, 0, 1, L("\0\0\0\1")}}},
    {"data behind the end", 'C', NGHTTP2_STREAM_CLOSED, {REQUEST(H2_END, H2_GET_ECHO), DATA(0, "x")}},
    {"head behind the end",
     'C',
     NGHTTP2_STREAM_CLOSED,
     {REQUEST(H2_END, H2_GET_ECHO), REQUEST(H2_END, H2_GET_ECHO)}},
    {"data behind the reset",
     'C',
     NGHTTP2_STREAM_CLOSED,
     {REQUEST(0, H2_POST_ECHO), {H2_RST, 0, 1, L("\0\0\0\x08")}, DATA(0, "x")}},
    {"head behind the reset",
     'C',
     NGHTTP2_STREAM_CLOSED,
     {REQUEST(0, H2_POST_ECHO), {H2_RST, 0, 1, L("\0\0\0\x08")}, REQUEST(H2_END, H2_GET_ECHO)}},
    {"window behind the end", 'A', 200, {REQUEST(H2_END, H2_GET_ECHO), {H2_WINDOW, 0, 1, L("\0\0\0\1")}}},
    {"priority of an idle stream",
     'A',
     200,
     {{H2_PRIORITY, 0, 9, L(FOUR_ZEROS "\1")}, REQUEST(H2_END, H2_GET_ECHO)}},
    {"even stream", 'C', NGHTTP2_PROTOCOL_ERROR, {{H2_HEADERS, 5, 2, L(H2_GET_ECHO)}}},
    {"stream passed over",
     'C',
     NGHTTP2_PROTOCOL_ERROR,
     {{H2_HEADERS, 5, 7, L(H2_GET_ECHO)}, {H2_HEADERS, 5, 3, L(H2_GET_ECHO)}}},
    {"headers on stream 0", 'C', NGHTTP2_PROTOCOL_ERROR, {{H2_HEADERS, 5, 0, L(H2_GET_ECHO)}}},
    {"data on stream 0", 'C', NGHTTP2_PROTOCOL_ERROR, {{H2_DATA, 0, 0, L("x")}}},
    /* 6 */
    {"padding", 'A', 200, {{H2_HEADERS, 0xd, 1, L("\2" H2_GET_ECHO "\0\0")}}},
    {"padding longer than the head",
     'C',
     NGHTTP2_PROTOCOL_ERROR,
     {{H2_HEADERS, 0xd, 1, L("\x7f" H2_GET_ECHO)}}},
    {"padding longer than the data",
     'C',
     NGHTTP2_PROTOCOL_ERROR,
     {REQUEST(0, H2_POST_ECHO), DATA(H2_PADDED, "\2x")}},
    {"head that depends on itself",
     'C',
     NGHTTP2_PROTOCOL_ERROR,
     {{H2_HEADERS, 0x25, 1, L("\0\0\0\1\0" H2_GET_ECHO)}}},
    {"priority of stream 0", 'C', NGHTTP2_PROTOCOL_ERROR, {{H2_PRIORITY, 0, 0, L(FOUR_ZEROS "\1")}}},
    {"priority of four bytes", 'C', NGHTTP2_FRAME_SIZE_ERROR, {{H2_PRIORITY, 0, 1, L(FOUR_ZEROS)}}},
    {"priority that depends on itself", 'C', NGHTTP2_PROTOCOL_ERROR, {{H2_PRIORITY, 0, 3, L("\0\0\0\3\1")}}},
    {"reset of stream 0", 'C', NGHTTP2_PROTOCOL_ERROR, {{H2_RST, 0, 0, L("\0\0\0\x08")}}},
    {"reset of three bytes",
     'C',
     NGHTTP2_FRAME_SIZE_ERROR,
     {REQUEST(0, H2_POST_ECHO), {H2_RST, 0, 1, L("\0\0\0")}}},
    {"settings of five bytes", 'C', NGHTTP2_FRAME_SIZE_ERROR, {{H2_SETTINGS, 0, 0, L("\0\1\0\0\0")}}},
    {"settings on a stream", 'C', NGHTTP2_PROTOCOL_ERROR, {{H2_SETTINGS, 0, 1, L("")}}},
    {"acknowledgement with settings",
     'C',
     NGHTTP2_FRAME_SIZE_ERROR,
     {{H2_SETTINGS, 1, 0, L("\0\1\0\0\0\0")}}},
    {"push neither on nor off", 'C', NGHTTP2_PROTOCOL_ERROR, {{H2_SETTINGS, 0, 0, L("\0\2\0\0\0\2")}}},
    {"window above 2^31-1", 'C', NGHTTP2_FLOW_CONTROL_ERROR, {{H2_SETTINGS, 0, 0, L("\0\4\x80\0\0\0")}}},
    {"frames below 2^14", 'C', NGHTTP2_PROTOCOL_ERROR, {{H2_SETTINGS, 0, 0, L("\0\5\0\0\x3f\xff")}}},
    {"unknown setting", 'A', 200, {{H2_SETTINGS, 0, 0, L("\0\xff\0\0\0\2")}, REQUEST(H2_END, H2_GET_ECHO)}},
    {"push by the client", 'C', NGHTTP2_PROTOCOL_ERROR, {{H2_PUSH, 4, 1, L("\0\0\0\2" H2_GET_ECHO)}}},
    {"ping of seven bytes", 'C', NGHTTP2_FRAME_SIZE_ERROR, {{H2_PING, 0, 0, L("1234567")}}},
    {"ping on a stream", 'C', NGHTTP2_PROTOCOL_ERROR, {{H2_PING, 0, 1, L("12345678")}}},
    {"goaway on a stream", 'C', NGHTTP2_PROTOCOL_ERROR, {{H2_GOAWAY, 0, 1, L(FOUR_ZEROS FOUR_ZEROS)}}},
    {"window by 0", 'C', NGHTTP2_PROTOCOL_ERROR, {{H2_WINDOW, 0, 0, L(FOUR_ZEROS)}}},
    {"window of a stream by 0",
     'C',
     NGHTTP2_PROTOCOL_ERROR,
     {REQUEST(0, H2_POST_ECHO), {H2_WINDOW, 0, 1, L(FOUR_ZEROS)}}},
    {"window of three bytes", 'C', NGHTTP2_FRAME_SIZE_ERROR, {{H2_WINDOW, 0, 0, L("\0\0\1")}}},
    {"window overflows", 'C', NGHTTP2_FLOW_CONTROL_ERROR, {{H2_WINDOW, 0, 0, L("\x7f\xff\xff\xff")}}},
    {"window of a stream overflows",
     'S',
     NGHTTP2_FLOW_CONTROL_ERROR,
     {REQUEST(0, H2_POST_ECHO), {H2_WINDOW, 0, 1, L("\x7f\xff\xff\xff")}}},
    {"continuation of nothing", 'C', NGHTTP2_PROTOCOL_ERROR, {{H2_MORE, 4, 1, L(H2_GET_ECHO)}}},
    {"continuation behind the end",
     'C',
     NGHTTP2_PROTOCOL_ERROR,
     {REQUEST(H2_END, H2_GET_ECHO), {H2_MORE, 4, 1, L("")}}},
    /* 8.2 */
    {"upper case", 'S', NGHTTP2_PROTOCOL_ERROR, WITH(H2_FIELD("\1", "X", "\1", "y"))},
    {"space in a name", 'S', NGHTTP2_PROTOCOL_ERROR, WITH(H2_FIELD("\2", "x ", "\1", "y"))},
    {"colon in a name", 'S', NGHTTP2_PROTOCOL_ERROR, WITH(H2_FIELD("\3", "x:y", "\1", "y"))},
    {"no name", 'S', NGHTTP2_PROTOCOL_ERROR, WITH("\0\0\1y")},
    {"line end in a value", 'S', NGHTTP2_PROTOCOL_ERROR, WITH(H2_FIELD("\1", "x", "\3", "a\nb"))},
    {"carriage return in a value", 'S', NGHTTP2_PROTOCOL_ERROR, WITH(H2_FIELD("\1", "x", "\3", "a\rb"))},
    {"NUL in a value", 'S', NGHTTP2_PROTOCOL_ERROR, WITH(H2_FIELD("\1", "x", "\3", "a\0b"))},
    {"space before a value", 'S', NGHTTP2_PROTOCOL_ERROR, WITH(H2_FIELD("\1", "x", "\2", " b"))},
    {"space behind a value", 'S', NGHTTP2_PROTOCOL_ERROR, WITH(H2_FIELD("\1", "x", "\2", "b "))},
    {"obs-text in a value", 'A', 200, WITH(H2_FIELD("\1", "x", "\2", "\xc3\xa9"))},
    {"connection", 'S', NGHTTP2_PROTOCOL_ERROR, WITH(H2_FIELD("\x0a", "connection", "\5", "close"))},
    {"keep-alive", 'S', NGHTTP2_PROTOCOL_ERROR, WITH(H2_FIELD("\x0a", "keep-alive", "\1", "1"))},
    {"proxy-connection", 'S', NGHTTP2_PROTOCOL_ERROR, WITH(H2_FIELD("\x10", "proxy-connection", "\1", "1"))},
    {"transfer-encoding", 'S', NGHTTP2_PROTOCOL_ERROR,
     WITH(H2_FIELD("\x11", "transfer-encoding", "\7", "chunked"))},
    {"upgrade", 'S', NGHTTP2_PROTOCOL_ERROR, WITH(H2_FIELD("\7", "upgrade", "\3", "h2c"))},
    {"te: gzip", 'S', NGHTTP2_PROTOCOL_ERROR, WITH(H2_FIELD("\2", "te", "\4", "gzip"))},
    {"te: trailers", 'A', 200, WITH(H2_FIELD("\2", "te", "\x08", "trailers"))},
    /* 8.3 */
    {"pseudo field behind a field", 'S', NGHTTP2_PROTOCOL_ERROR,
     HEAD_ONLY("\x82\x86" H2_FIELD("\1", "x", "\1", "y") "\x84\x01\x01"
                                                         "a")},
    {"unknown pseudo field", 'S', NGHTTP2_PROTOCOL_ERROR,
     HEAD_ONLY("\x82\x86\x84" H2_FIELD("\3", ":us", "\1", "y"))},
    {"pseudo field of answers", 'S', NGHTTP2_PROTOCOL_ERROR,
     HEAD_ONLY("\x82\x86\x84\x88\x01\x01"
               "a")},
    {"two methods", 'S', NGHTTP2_PROTOCOL_ERROR,
     HEAD_ONLY("\x82\x82\x86\x84\x01\x01"
               "a")},
    {"two paths", 'S', NGHTTP2_PROTOCOL_ERROR,
     HEAD_ONLY("\x82\x86\x84\x84\x01\x01"
               "a")},
    {"two schemes", 'S', NGHTTP2_PROTOCOL_ERROR,
     HEAD_ONLY("\x82\x86\x87\x84\x01\x01"
               "a")},
    {"two authorities", 'S', NGHTTP2_PROTOCOL_ERROR,
     HEAD_ONLY("\x82\x86\x84\x01\x01"
               "a\x01\x01"
               "a")},
    {"no method", 'S', NGHTTP2_PROTOCOL_ERROR,
     HEAD_ONLY("\x86\x84\x01\x01"
               "a")},
    {"no scheme", 'S', NGHTTP2_PROTOCOL_ERROR,
     HEAD_ONLY("\x82\x84\x01\x01"
               "a")},
    {"no path", 'S', NGHTTP2_PROTOCOL_ERROR,
     HEAD_ONLY("\x82\x86\x01\x01"
               "a")},
    {"no authority", 'S', NGHTTP2_PROTOCOL_ERROR, HEAD_ONLY("\x82\x86\x84")},
    {"host for authority", 'A', 200,
     HEAD_ONLY("\x82\x86\x04\x05/echo\x0f\x17\x01"
               "a")},
    {"host and authority alike", 'A', 200,
     WITH("\x0f\x17\x01"
          "A")},
    {"host and authority differ", 'A', 400,
     WITH("\x0f\x17\x01"
          "b")},
    {"two hosts", 'S', NGHTTP2_PROTOCOL_ERROR,
     WITH("\x0f\x17\x01"
          "a\x0f\x17\x01"
          "a")},
    {"empty path", 'S', NGHTTP2_PROTOCOL_ERROR,
     HEAD_ONLY("\x82\x86\x04\x00\x01\x01"
               "a")},
    {"path without a slash", 'S', NGHTTP2_PROTOCOL_ERROR,
     HEAD_ONLY("\x82\x86\x04\x04"
               "echo\x01\x01"
               "a")},
    {"star for GET", 'S', NGHTTP2_PROTOCOL_ERROR,
     HEAD_ONLY("\x82\x86\x04\x01*\x01\x01"
               "a")},
    {"star for OPTIONS", 'A', 404,
     HEAD_ONLY("\x02\x07OPTIONS\x86\x04\x01*\x01\x01"
               "a")},
    {"fragment in the path", 'A', 400,
     HEAD_ONLY("\x82\x86\x04\x07/echo#a\x01\x01"
               "a")},
    {"UTF-8 in the path", 'A', 400,
     HEAD_ONLY("\x82\x86\x04\x07/echo\xc3\xa9\x01\x01"
               "a")},
    {"space in the path", 'S', NGHTTP2_PROTOCOL_ERROR,
     HEAD_ONLY("\x82\x86\x04\x06/ec ho\x01\x01"
               "a")},
    {"user in the authority", 'A', 400, HEAD_ONLY("\x82\x86\x04\x05/echo\x01\x03u@a")},
    {"bad port", 'A', 400,
     HEAD_ONLY("\x82\x86\x04\x05/echo\x01\x03"
               "a:b")},
    {"path in the authority", 'S', NGHTTP2_PROTOCOL_ERROR,
     HEAD_ONLY("\x82\x86\x04\x05/echo\x01\x03"
               "a/b")},
    {"other scheme", 'A', 400,
     HEAD_ONLY("\x82\x06\x03"
               "ftp\x04\x05/echo\x01\x01"
               "a")},
    {"method not a token", 'S', NGHTTP2_PROTOCOL_ERROR,
     HEAD_ONLY("\x02\x03G T\x86\x84\x01\x01"
               "a")},
    {"CONNECT with a path", 'S', NGHTTP2_PROTOCOL_ERROR,
     HEAD_ONLY("\x02\x07"
               "CONNECT\x84\x01\x01"
               "a")},
    {"other expectation", 'A', 417, WITH("\x0f\x14\x01x")},
    /* 8.1 */
    {"body as long as told", 'A', 200, {REQUEST(0, H2_POST_ECHO LENGTH("3")), DATA(H2_END, "abc")}},
    {"body too long",
     'S',
     NGHTTP2_PROTOCOL_ERROR,
     {REQUEST(0, H2_POST_ECHO LENGTH("3")), DATA(H2_END, "abcd")}},
    {"body too short",
     'S',
     NGHTTP2_PROTOCOL_ERROR,
     {REQUEST(0, H2_POST_ECHO LENGTH("3")), DATA(H2_END, "ab")}},
    {"no body as told", 'S', NGHTTP2_PROTOCOL_ERROR, {REQUEST(H2_END, H2_POST_ECHO LENGTH("3"))}},
    {"two lengths", 'S', NGHTTP2_PROTOCOL_ERROR, {REQUEST(0, H2_POST_ECHO LENGTH("3") LENGTH("3"))}},
    {"length with a sign", 'S', NGHTTP2_PROTOCOL_ERROR, {REQUEST(0, H2_POST_ECHO "\x0f\x0d\x02+3")}},
    {"trailers", 'A', 200, {REQUEST(0, H2_POST_ECHO), REQUEST(H2_END, H2_FIELD("\1", "x", "\1", "y"))}},
    {"trailers that end nothing",
     'S',
     NGHTTP2_PROTOCOL_ERROR,
     {REQUEST(0, H2_POST_ECHO), REQUEST(0, H2_FIELD("\1", "x", "\1", "y"))}},
    {"pseudo field in the trailers",
     'S',
     NGHTTP2_PROTOCOL_ERROR,
     {REQUEST(0, H2_POST_ECHO), REQUEST(H2_END, "\x82")}},
    {"upper case in the trailers",
     'S',
     NGHTTP2_PROTOCOL_ERROR,
     {REQUEST(0, H2_POST_ECHO), REQUEST(H2_END, H2_FIELD("\1", "X", "\1", "y"))}},
    {"data behind trailers",
     'C',
     NGHTTP2_STREAM_CLOSED,
     {REQUEST(0, H2_POST_ECHO), REQUEST(H2_END, H2_FIELD("\1", "x", "\1", "y")), DATA(H2_END, "x")}},
};

static void case_bytes(const Case *c, Buf *out) {
    static const char MANY[16385];
    h2_begin(out);
    for (size_t i = 0; i < COUNT(c->frames); i++) {
        const Frame *f = &c->frames[i];
        if (!f->payload.at && !f->payload.len) break;
        h2_frame(out, f->type, f->flags, f->stream,
                 f->payload.at ? f->payload : (Span){MANY, f->payload.len});
    }
}

/* The problem document of a refusal tells its status; of the test server's own answers only some are asked
 * for. */
static bool has_status(Span in, long status) {
    char text[24];
    snprintf(text, sizeof text, "\"status\":%ld", status);
    return status < 400 || status == 404 ? h2_got(in).count[H2_HEADERS] == 1 && !span_has(in, "\"status\":")
                                         : span_has(in, text);
}

static bool is_as_told(const Case *c, Span in) {
    H2Got got = h2_got(in);
    if (c->want == 'C') return got.goaway == c->code;
    if (got.goaway >= 0) return false;
    return c->want == 'S' ? got.reset == c->code : got.reset == -1 && has_status(in, c->code);
}

static void send_all(const int *fds, const Buf *out, size_t piece) {
    bool more = true;
    for (size_t at = 0; more; at += piece) {
        more = false;
        for (size_t i = 0; i < COUNT(CASES); i++) {
            if (at >= out[i].len || fds[i] < 0) continue;
            size_t rest = out[i].len - at;
            client_send(fds[i], (Span){out[i].at + at, rest < piece ? rest : piece});
            more = true;
        }
        if (piece == 1 && at < 300) clock_sleep_ms(2); /* what is longer is so by zeros */
    }
}

static void cases(void) {
    TestServer *s = test_server(NULL);
    for (size_t piece = 1; piece <= 32768; piece += 32767) {
        int fds[COUNT(CASES)];
        Buf out[COUNT(CASES)] = {0};
        for (size_t i = 0; i < COUNT(CASES); i++) {
            fds[i] = client_open(test_server_port(s));
            case_bytes(&CASES[i], &out[i]);
        }
        send_all(fds, out, piece);
        for (size_t i = 0; i < COUNT(CASES); i++) {
            AUTO_BUF got = {0};
            int tries = 0;
            while (!is_as_told(&CASES[i], client_read(fds[i], NULL, 10, &got)) && tries < 100) tries++;
            H2Got all = h2_got(buf_view(&got));
            if (tries == 100)
                printf("\n    %s by %zu: GOAWAY %ld, RST_STREAM %ld, %.*s", CASES[i].name, piece, all.goaway,
                       all.reset, SPAN_ARGS(buf_view(&got)));
            CHECK(tries < 100);
            close(fds[i]);
            buf_free(&out[i]);
        }
    }
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

SUITE("h2_conformance", TEST(cases));
