/* What RFC 6455 and RFC 7692 ask of a server, case by case and byte by byte, over HTTP/1.1 and over HTTP/2:
 * framing, fragmentation, text, closing, sizes, compression. */
#include "base/clock.h"
#include "net/websocket/ws_deflate.h"
#include "net/websocket/ws_frame.h"
#include "net_kit.h"
#include <stdio.h>
#include <sys/socket.h>

#define KEY0 "\0\0\0\0"
#define B(literal)                                                                                           \
    { (literal), sizeof(literal) - 1 }
#define CLOSE_OK     "\x88\x82" KEY0 "\x03\xe8"
#define CLOSED_OK    "\x88\x02\x03\xe8"
#define PROTOCOL_ERR "\x88\x02\x03\xea"
#define BAD_TEXT     "\x88\x02\x03\xef"
#define TOO_BIG      "\x88\x02\x03\xf1"

/* Nothing closes but what is at fault: where `want` holds no close frame, the client closes, and is answered.
 */
static const struct {
    const char *name;
    Span send, want;
} CASES[] = {
    {"masked text", B("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), B("\x81\x05Hello")},
    {"empty text", B("\x81\x80" KEY0), B("\x81\x00")},
    {"empty binary", B("\x82\x80" KEY0), B("\x82\x00")},
    {"not masked", B("\x81\x01x"), B(PROTOCOL_ERR)},
    {"an unmasked ping", B("\x89\x00"), B(PROTOCOL_ERR)},
    /* pings and pongs */
    {"ping", B("\x89\x80" KEY0), B("\x8a\x00")},
    {"ping with bytes", B("\x89\x83" KEY0 "\x00\xff\xfe"), B("\x8a\x03\x00\xff\xfe")},
    {"unasked pong", B("\x8a\x82" KEY0 "hi\x89\x81" KEY0 "1"),
     B("\x8a\x01"
       "1")},
    {"ping of 126 bytes", B("\x89\xfe\x00\x7e" KEY0), B(PROTOCOL_ERR)},
    {"ping in pieces", B("\x09\x81" KEY0 "a"), B(PROTOCOL_ERR)},
    {"pong in pieces", B("\x0a\x80" KEY0), B(PROTOCOL_ERR)},
    {"close in pieces", B("\x08\x80" KEY0), B(PROTOCOL_ERR)},
    /* reserved bits and opcodes */
    {"RSV1", B("\xc1\x81" KEY0 "a"), B(PROTOCOL_ERR)},
    {"RSV2", B("\xa1\x81" KEY0 "a"), B(PROTOCOL_ERR)},
    {"RSV3", B("\x91\x81" KEY0 "a"), B(PROTOCOL_ERR)},
    {"all of them on a ping", B("\xf9\x80" KEY0), B(PROTOCOL_ERR)},
    {"RSV on a close", B("\xc8\x80" KEY0), B(PROTOCOL_ERR)},
    {"an echo, then a fault", B("\x81\x81" KEY0 "a\xb1\x81" KEY0 "b"),
     B("\x81\x01"
       "a" PROTOCOL_ERR)},
    {"opcode 3", B("\x83\x80" KEY0), B(PROTOCOL_ERR)},
    {"opcode 4", B("\x84\x81" KEY0 "a"), B(PROTOCOL_ERR)},
    {"opcode 5", B("\x85\x80" KEY0), B(PROTOCOL_ERR)},
    {"opcode 6", B("\x86\x80" KEY0), B(PROTOCOL_ERR)},
    {"opcode 7", B("\x87\x80" KEY0), B(PROTOCOL_ERR)},
    {"opcode 11", B("\x8b\x80" KEY0), B(PROTOCOL_ERR)},
    {"opcode 12", B("\x8c\x80" KEY0), B(PROTOCOL_ERR)},
    {"opcode 13", B("\x8d\x80" KEY0), B(PROTOCOL_ERR)},
    {"opcode 14", B("\x8e\x80" KEY0), B(PROTOCOL_ERR)},
    {"opcode 15", B("\x8f\x80" KEY0), B(PROTOCOL_ERR)},
    {"opcode 3 in a message", B("\x01\x81" KEY0 "a\x03\x81" KEY0 "b"), B(PROTOCOL_ERR)},
    /* lengths */
    {"2 bytes for a length of 125", B("\x82\xfe\x00\x7d" KEY0), B(PROTOCOL_ERR)},
    {"8 bytes for a length of 65535", B("\x82\xff\0\0\0\0\0\0\xff\xff" KEY0), B(PROTOCOL_ERR)},
    {"the highest bit of a length", B("\x82\xff\x80\0\0\0\0\0\0\x01" KEY0), B(PROTOCOL_ERR)},
    {"too big by its head", B("\x82\xff\0\0\0\0\x01\0\0\x01" KEY0), B(TOO_BIG)},
    /* fragments */
    {"two", B("\x01\x81" KEY0 "a\x80\x81" KEY0 "b"),
     B("\x81\x02"
       "ab")},
    {"empty ones", B("\x01\x80" KEY0 "\x00\x80" KEY0 "\x80\x80" KEY0), B("\x81\x00")},
    {"an empty one between", B("\x01\x81" KEY0 "a\x00\x80" KEY0 "\x80\x81" KEY0 "b"),
     B("\x81\x02"
       "ab")},
    {"pings between",
     B("\x02\x81" KEY0 "a\x89\x81" KEY0 "1\x00\x81" KEY0 "b\x89\x81" KEY0 "2\x80\x81" KEY0 "c"),
     B("\x8a\x01"
       "1\x8a\x01"
       "2\x82\x03"
       "abc")},
    {"a pong between", B("\x01\x81" KEY0 "a\x8a\x80" KEY0 "\x80\x81" KEY0 "b"),
     B("\x81\x02"
       "ab")},
    {"a close between", B("\x01\x81" KEY0 "a" CLOSE_OK), B(CLOSED_OK)},
    {"continuation of nothing", B("\x80\x81" KEY0 "a"), B(PROTOCOL_ERR)},
    {"continuation of nothing, not the last", B("\x00\x81" KEY0 "a"), B(PROTOCOL_ERR)},
    {"continuation behind a message", B("\x81\x81" KEY0 "a\x80\x81" KEY0 "b"),
     B("\x81\x01"
       "a" PROTOCOL_ERR)},
    {"a message in a message", B("\x01\x81" KEY0 "a\x81\x81" KEY0 "b"), B(PROTOCOL_ERR)},
    {"binary in a text", B("\x01\x81" KEY0 "a\x02\x81" KEY0 "b"), B(PROTOCOL_ERR)},
    /* text */
    {"two bytes over fragments", B("\x01\x81" KEY0 "\xc3\x80\x81" KEY0 "\xa9"), B("\x81\x02\xc3\xa9")},
    {"four bytes over four",
     B("\x01\x81" KEY0 "\xf0\x00\x81" KEY0 "\x9f\x00\x81" KEY0 "\x98\x80\x81" KEY0 "\x80"),
     B("\x81\x04\xf0\x9f\x98\x80")},
    {"a ping in a character", B("\x01\x81" KEY0 "\xc3\x89\x80" KEY0 "\x80\x81" KEY0 "\xa9"),
     B("\x8a\x00\x81\x02\xc3\xa9")},
    {"the last code point", B("\x81\x84" KEY0 "\xf4\x8f\xbf\xbf"), B("\x81\x04\xf4\x8f\xbf\xbf")},
    {"a noncharacter", B("\x81\x83" KEY0 "\xef\xbf\xbf"), B("\x81\x03\xef\xbf\xbf")},
    {"NUL", B("\x81\x81" KEY0 "\0"), B("\x81\x01\0")},
    {"half a character at the end", B("\x81\x82" KEY0 "a\xc3"), B(BAD_TEXT)},
    {"half at the end of fragments", B("\x01\x81" KEY0 "\xe2\x80\x81" KEY0 "\x82"), B(BAD_TEXT)},
    {"continuation byte alone", B("\x81\x81" KEY0 "\x80"), B(BAD_TEXT)},
    {"overlong slash", B("\x81\x82" KEY0 "\xc0\xaf"), B(BAD_TEXT)},
    {"overlong, three bytes", B("\x81\x83" KEY0 "\xe0\x9f\xbf"), B(BAD_TEXT)},
    {"overlong, four bytes", B("\x81\x84" KEY0 "\xf0\x8f\xbf\xbf"), B(BAD_TEXT)},
    {"surrogate", B("\x81\x83" KEY0 "\xed\xa0\x80"), B(BAD_TEXT)},
    {"above U+10FFFF", B("\x81\x84" KEY0 "\xf4\x90\x80\x80"), B(BAD_TEXT)},
    {"five bytes", B("\x81\x85" KEY0 "\xf8\x88\x80\x80\x80"), B(BAD_TEXT)},
    {"FE", B("\x81\x81" KEY0 "\xfe"), B(BAD_TEXT)},
    {"binary may hold anything", B("\x82\x82" KEY0 "\xc0\xfe"), B("\x82\x02\xc0\xfe")},
    /* said at once: neither the message nor the frame is complete */
    {"bad first fragment", B("\x01\x82" KEY0 "\xc0\xaf"), B(BAD_TEXT)},
    {"bad second fragment", B("\x01\x81" KEY0 "\xc3\x00\x81" KEY0 "\xc3"), B(BAD_TEXT)},
    {"bad byte in half a frame", B("\x81\xfe\x03\xe8" KEY0 "abc\xed\xa0"), B(BAD_TEXT)},
    {"bad fourth byte", B("\x81\xfe\x03\xe8" KEY0 "\xf4\x8f\xbf\xc0"), B(BAD_TEXT)},
    /* closing */
    {"no code", B("\x88\x80" KEY0), B("\x88\x00")},
    {"one byte", B("\x88\x81" KEY0 "\x03"), B(PROTOCOL_ERR)},
    {"a reason",
     B("\x88\x85" KEY0 "\x03\xe8"
       "bye"),
     B(CLOSED_OK)},
    {"a reason that is no text", B("\x88\x84" KEY0 "\x03\xe8\xc0\xaf"), B(BAD_TEXT)},
    {"126 bytes of close", B("\x88\xfe\x00\x7e" KEY0), B(PROTOCOL_ERR)},
    {"nothing is answered behind it", B(CLOSE_OK "\x89\x80" KEY0 "\x81\x80" KEY0), B(CLOSED_OK)},
};

/* Codes that may stand in a close frame are echoed; others are a protocol error (section 7.4). */
static const struct {
    unsigned first, last;
    bool valid;
} CODES[] = {{0, 0, false},       {999, 999, false},    {1000, 1003, true},  {1004, 1006, false},
             {1007, 1014, true},  {1015, 1016, false},  {1100, 1100, false}, {2000, 2000, false},
             {2999, 2999, false}, {3000, 3000, true},   {3999, 4000, true},  {4999, 4999, true},
             {5000, 5000, false}, {65535, 65535, false}};

static bool closes(Span frames) {
    return span_count(frames, "\x88") > 0;
}

/* One talk; whether all that came is `want`. Without a close frame in there one is sent, and answered. */
static bool talk(TestServer *s, bool h2, bool pieces, Span send, Span want, const char *name) {
    AUTO_BUF all = {0};
    WsClient c = ws_client_open(s, h2, "/ws-big", NULL);
    for (; pieces && send.len > 1; send.at++, send.len--) ws_client_send(&c, (Span){send.at, 1});
    ws_client_send(&c, send);
    buf_span(&all, want);
    if (!closes(want)) {
        ws_client_send(&c, SPAN(CLOSE_OK));
        buf_span(&all, SPAN(CLOSED_OK));
    }
    Span got = ws_client_read(&c, 0, 3000);
    bool ok = span_equal(got, buf_view(&all)) && c.ended && !c.reset;
    if (!ok) printf("\n    %s over HTTP/%d: %zu bytes %.*s", name, h2 ? 2 : 1, got.len, SPAN_ARGS(got));
    ws_client_close(&c);
    return ok;
}

static void cases(void) {
    TestServer *s = test_server(NULL);
    for (size_t i = 0; i < COUNT(CASES); i++)
        for (int way = 0; way < 4; way++)
            CHECK(talk(s, way & 1, way & 2, CASES[i].send, CASES[i].want, CASES[i].name));
    for (size_t i = 0; i < COUNT(CODES); i++) {
        for (unsigned code = CODES[i].first; code <= CODES[i].last; code++) {
            char name[16], send[] = "\x88\x82" KEY0 "..", want[] = "\x88\x02..";
            unsigned answer = CODES[i].valid ? code : 1002;
            snprintf(name, sizeof name, "close %u", code);
            send[6] = (char)(code >> 8), send[7] = (char)code;
            want[2] = (char)(answer >> 8), want[3] = (char)answer;
            CHECK(talk(s, code & 1, false, (Span){send, 8}, (Span){want, 4}, name));
        }
    }
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

/* --- sizes --- */

static void masked_header(Buf *b, unsigned first, size_t len) {
    char head[WS_HEADER_MAX];
    size_t count = ws_header(head, 0, len);
    head[0] = (char)first;
    head[1] = (char)(head[1] | 0x80);
    buf_append(b, head, count);
    buf_append(b, "\1\2\3\4", 4);
}

static void masked(Buf *b, unsigned first, Span payload) {
    masked_header(b, first, payload.len);
    char *to = buf_reserve(b, payload.len + 1);
    if (!to) return;
    for (size_t i = 0; i < payload.len; i++) to[i] = (char)(payload.at[i] ^ (char)(1 + i % 4));
    b->len += payload.len;
}

/* The payloads of the frames that came, in one; -1: not one whole message (compressed: not of the kind
 * wanted). */
static bool one_message(Span frames, unsigned first, Buf *payload) {
    const unsigned char *p = (const unsigned char *)frames.at;
    if (frames.len < 2 || p[0] != first) return false;
    size_t head = p[1] < 126 ? 2 : p[1] == 126 ? 4 : 10, len = p[1] < 126 ? p[1] : 0;
    for (size_t i = 2; i < head; i++) len = len << 8 | p[i];
    if (frames.len != head + len) return false;
    buf_append(payload, p + head, len);
    return true;
}

static const struct {
    size_t len, fragment,
        write; /* bytes: of the message, of each frame (0: one), of each write to the socket */
} SIZES[] = {
    {125, 0, 4096},   {126, 0, 4096},         {127, 0, 4096},       {128, 0, 1},
    {65535, 0, 997},  {65536, 0, 4096},       {65536, 1, 4096},     {1 << 20, 64, 64},
    {1 << 20, 0, 64}, {1 << 20, 4096, 65536}, {16 << 20, 0, 65536}, {16 << 20, 1 << 20, 65536},
};

static void send_message(WsClient *c, Span message, size_t fragment, size_t write, Buf *out) {
    buf_clear(out);
    if (!fragment) fragment = message.len;
    for (size_t at = 0; at < message.len; at += fragment) {
        size_t len = fragment < message.len - at ? fragment : message.len - at;
        masked(out, (at ? 0 : 2) | (at + len == message.len ? 0x80 : 0), (Span){message.at + at, len});
    }
    for (size_t at = 0; at < out->len; at += write)
        ws_client_send(c, (Span){out->at + at, write < out->len - at ? write : out->len - at});
}

static void sizes(void) {
    TestServer *s = test_server(NULL);
    AUTO_BUF message = {0};
    AUTO_BUF out = {0};
    for (size_t i = 0; i < (16 << 20) / 8; i++) buf_printf(&message, "%08zx", i);
    for (size_t i = 0; i < COUNT(SIZES); i++) {
        for (int h2 = 0; h2 < 2; h2++) {
            AUTO_BUF payload = {0};
            WsClient c = ws_client_open(s, h2, "/ws-big", NULL);
            Span sent = {message.at, SIZES[i].len};
            int64_t from = clock_mono_us();
            send_message(&c, sent, SIZES[i].fragment, SIZES[i].write, &out);
            size_t head = sent.len < 126 ? 2 : sent.len < 65536 ? 4 : 10;
            Span got = ws_client_read(&c, sent.len + head, 20000);
            bool ok = one_message(got, 0x82, &payload) && span_equal(buf_view(&payload), sent);
            if (!ok)
                printf("\n    %zu bytes by %zu over HTTP/%d: %zu came", sent.len, SIZES[i].write, h2 + 1,
                       got.len);
            CHECK(ok);
            CHECK(clock_mono_us() - from < 15000000); /* seconds, not minutes, on a slow machine too */
            ws_client_close(&c);
        }
    }
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

/* A peer that sends and does not read: it is not read from either, and nothing is lost. */
static void echo_is_held_back(void) {
    TestServer *s = test_server(NULL);
    for (int h2 = 0; h2 < 2; h2++) {
        WsClient c = ws_client_open(s, h2, "/ws-big", NULL);
        AUTO_BUF one = {0};
        char text[1000];
        memset(text, 'x', sizeof text);
        masked(&one, 0x82, (Span){text, sizeof text});
        size_t sent = 0;
        while (sent < 200000 && ws_client_may_send(&c, one.len)) {
            ws_client_send(&c, buf_view(&one));
            sent++;
        }
        CHECK(sent > 100 && sent < 200000);
        ws_client_send(&c, SPAN("\x81\x84" KEY0 "last"));
        Span got = ws_client_read(&c, sent * 1004 + 6, 20000);
        CHECK(got.len == sent * 1004 + 6 && span_ends(got, SPAN("last")));
        ws_client_close(&c);
    }
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

/* Every ping is answered, however many come at once; and who reads no pongs is not read from. */
static void ping_flood(void) {
    TestServer *s = test_server(NULL);
    for (int h2 = 0; h2 < 2; h2++) {
        WsClient c = ws_client_open(s, h2, "/ws", NULL);
        AUTO_BUF pings = {0};
        for (int i = 0; i < 5000; i++) masked(&pings, 0x89, SPAN("0123456789"));
        ws_client_send(&c, buf_view(&pings));
        CHECK(ws_client_read(&c, 5000 * 12, 5000).len == 5000 * 12);
        CHECK(span_count(buf_view(&c.got), "\x8a\x0a"
                                           "0123456789") == 5000);
        size_t sent = 0;
        while (sent < 5000 && ws_client_may_send(&c, pings.len)) {
            struct timeval patience = {.tv_usec = 200000};
            setsockopt(c.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
            ws_client_send(&c, buf_view(&pings));
            sent++;
        }
        CHECK(sent < 5000);
        ws_client_close(&c);
    }
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

/* --- permessage-deflate --- */

static const struct {
    const char *offer;
    const char *want; /* parameters behind those that are always answered; NULL: declined */
} OFFERS[] = {
    {"permessage-deflate", ""},
    {"permessage-deflate; client_max_window_bits", ""},
    {"Permessage-Deflate;client_max_window_bits=10", ""},
    {"permessage-deflate; server_no_context_takeover; client_no_context_takeover", ""},
    {"permessage-deflate; server_max_window_bits=15", ""},
    {"permessage-deflate; server_max_window_bits=9", "; server_max_window_bits=9"},
    {"permessage-deflate; server_max_window_bits=\"12\"", "; server_max_window_bits=12"},
    {"permessage-deflate; server_max_window_bits=8, permessage-deflate", ""},
    {"x-webkit-deflate-frame, permessage-deflate", ""},
    {"permessage-deflate; server_max_window_bits=8", NULL}, /* zlib cannot */
    {"permessage-deflate; server_max_window_bits", NULL},
    {"permessage-deflate; server_max_window_bits=16", NULL},
    {"permessage-deflate; server_max_window_bits=09", NULL},
    {"permessage-deflate; server_max_window_bits=x", NULL},
    {"permessage-deflate; client_max_window_bits=7", NULL},
    {"permessage-deflate; client_max_window_bits=", NULL},
    {"permessage-deflate; server_no_context_takeover=1", NULL},
    {"permessage-deflate; client_no_context_takeover; client_no_context_takeover", NULL},
    {"permessage-deflate; unknown", NULL},
    {"permessage-deflate;", NULL},
    {"permessage-bzip2", NULL},
    {"", NULL},
};

static void offers(void) {
    TestServer *s = test_server(NULL);
    for (size_t i = 0; i < COUNT(OFFERS); i++) {
        char want[WS_DEFLATE_TEXT + 40] = "";
        if (OFFERS[i].want)
            snprintf(want, sizeof want,
                     "permessage-deflate; server_no_context_takeover; client_no_context_takeover%s",
                     OFFERS[i].want);
        for (int h2 = 0; h2 < 2; h2++) {
            WsClient c = ws_client_open(s, h2, "/ws-big?deflate=1", OFFERS[i].offer);
            CHECK_SPAN(span_of(c.extensions), want);
            ws_client_close(&c);
        }
    }
    WsClient c = ws_client_open(s, false, "/ws-big", "permessage-deflate");
    CHECK_SPAN(span_of(c.extensions), ""); /* not where it is not wanted */
    ws_client_close(&c);
    test_server_stop(s);
}

/* The examples of RFC 7692 section 7.2.3, and what is wrong. */
static const struct {
    const char *name;
    Span send, want;
} DEFLATED[] = {
    {"Hello", B("\xc1\x87" KEY0 "\xf2\x48\xcd\xc9\xc9\x07\x00"), B("\x81\x05Hello")},
    {"Hello in fragments", B("\x41\x83" KEY0 "\xf2\x48\xcd\x80\x84" KEY0 "\xc9\xc9\x07\x00"),
     B("\x81\x05Hello")},
    {"Hello not compressed", B("\xc1\x8b" KEY0 "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"),
     B("\x81\x05Hello")},
    {"Hello in a last block", B("\xc1\x88" KEY0 "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), B("\x81\x05Hello")},
    {"Hello in two blocks", B("\xc1\x8d" KEY0 "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
     B("\x81\x05Hello")},
    {"nothing", B("\xc2\x81" KEY0 "\x00"), B("\x82\x00")},
    {"a message that is not", B("\x81\x85" KEY0 "Hello"), B("\x81\x05Hello")},
    {"a ping between", B("\x41\x83" KEY0 "\xf2\x48\xcd\x89\x80" KEY0 "\x80\x84" KEY0 "\xc9\xc9\x07\x00"),
     B("\x8a\x00\x81\x05Hello")},
    {"the window of the last message is gone",
     B("\xc1\x87" KEY0 "\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x85" KEY0 "\xf2\x00\x11\x00\x00"),
     B("\x81\x05Hello\x88\x02\x03\xef")},
    {"RSV1 on a continuation", B("\x41\x83" KEY0 "\xf2\x48\xcd\xc0\x84" KEY0 "\xc9\xc9\x07\x00"),
     B(PROTOCOL_ERR)},
    {"RSV1 on a ping", B("\xc9\x80" KEY0), B(PROTOCOL_ERR)},
    {"RSV2 as well", B("\xe1\x81" KEY0 "\x00"), B(PROTOCOL_ERR)},
    {"not to be inflated", B("\xc1\x83" KEY0 "\xff\xff\xff"), B(BAD_TEXT)},
    {"cut in a block", B("\xc1\x83" KEY0 "\xf2\x48\xcd"), B(BAD_TEXT)},
    {"inflated text that is none", B("\xc1\x87" KEY0 "\x00\x01\x00\xfe\xff\xff\x00"), B(BAD_TEXT)},
};

static void deflated(void) {
    TestServer *s = test_server(NULL);
    for (size_t i = 0; i < COUNT(DEFLATED); i++) {
        for (int way = 0; way < 4; way++) {
            WsClient c = ws_client_open(s, way & 1, "/ws-big?deflate=1", "permessage-deflate");
            Span send = DEFLATED[i].send;
            for (; way & 2 && send.len > 1; send.at++, send.len--) ws_client_send(&c, (Span){send.at, 1});
            ws_client_send(&c, send);
            Span got = ws_client_read(&c, DEFLATED[i].want.len, 3000);
            bool ok = span_equal(got, DEFLATED[i].want);
            if (!ok) printf("\n    %s: %zu bytes %.*s", DEFLATED[i].name, got.len, SPAN_ARGS(got));
            CHECK(ok);
            ws_client_close(&c);
        }
    }
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

/* Long messages there and back, by every window; and bombs, which are stopped at the limit. */
static void deflated_sizes(void) {
    static const char *const WINDOWS[] = {"permessage-deflate",
                                          "permessage-deflate; server_max_window_bits=9"};
    TestServer *s = test_server(NULL);
    AUTO_BUF message = {0};
    for (size_t i = 0; i < 40000; i++) buf_printf(&message, "%zu ", i * i);
    for (size_t i = 0; i < COUNT(WINDOWS); i++) {
        AUTO_BUF packed = {0};
        AUTO_BUF out = {0};
        AUTO_BUF payload = {0};
        AUTO_BUF inflated = {0};
        WsClient c = ws_client_open(s, i & 1, "/ws-big?deflate=1", WINDOWS[i]);
        CHECK(ws_deflate(buf_view(&message), 15, &packed) && packed.len < message.len / 2);
        masked(&out, 0xc2, buf_view(&packed));
        ws_client_send(&c, buf_view(&out));
        Span got = SPAN("");
        while (!one_message(got, 0xc2, &payload) && got.len < message.len && !c.ended)
            got = ws_client_read(&c, got.len + 1, 3000);
        CHECK(ws_inflate(buf_view(&payload), message.len, &inflated) == 0);
        CHECK(span_equal(buf_view(&inflated), buf_view(&message)));
        ws_client_close(&c);
    }
    AUTO_BUF zeros = {0};
    AUTO_BUF bomb = {0};
    AUTO_BUF out = {0};
    memset(must(buf_reserve(&zeros, 17 << 20)), 0, 17 << 20);
    zeros.len = (16 << 20) + 1;
    CHECK(ws_deflate(buf_view(&zeros), 15, &bomb) && bomb.len < 200000);
    masked(&out, 0xc2, buf_view(&bomb));
    WsClient c = ws_client_open(s, false, "/ws-big?deflate=1", "permessage-deflate");
    ws_client_send(&c, buf_view(&out));
    CHECK(span_equal(ws_client_read(&c, 0, 5000), (Span)B(TOO_BIG)) && c.ended);
    ws_client_close(&c);
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

/* A frame that is made once for all: compressed, or plain where that would not be shorter. */
static void shared_frames(void) {
    char text[500];
    for (size_t i = 0; i < sizeof text; i++) text[i] = (char)('a' + i % 7);
    AUTO(Blob) small = websocket_frame_deflated(2, SPAN("Hello"));
    AUTO(Blob) large = websocket_frame_deflated(2, (Span){text, 500});
    CHECK_SPAN(blob_view(small), "\x82\x05Hello");
    AUTO_BUF payload = {0};
    AUTO_BUF inflated = {0};
    CHECK(one_message(blob_view(large), 0xc2, &payload) && payload.len < 50);
    CHECK(ws_inflate(buf_view(&payload), 500, &inflated) == 0 &&
          span_equal(buf_view(&inflated), (Span){text, 500}));
}

SUITE("ws_conformance", TEST(cases), TEST(sizes), TEST(echo_is_held_back), TEST(ping_flood), TEST(offers),
      TEST(deflated), TEST(deflated_sizes), TEST(shared_frames));
