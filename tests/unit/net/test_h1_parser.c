#include "base/auto.h"
#include "base/buf.h"
#include "kit/test.h"
#include "net/h1/h1_parser.h"
#include <stdio.h>

#define HOST "Host: a\r\n"

typedef struct Case {
    const char *name, *head;
    int want; /* H1_DONE or a status */
} Case;

static const Case HEADS[] = {
    {"plain", "GET / HTTP/1.1\r\n" HOST "\r\n", 1},
    {"options star", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 1},
    {"absolute form", "GET http://b:1/x?y HTTP/1.1\r\n" HOST "\r\n", 1},
    {"absolute form without path", "GET http://b HTTP/1.1\r\n" HOST "\r\n", 1},
    {"http/1.0 needs no host", "GET / HTTP/1.0\r\n\r\n", 1},
    {"obs-text", "GET / HTTP/1.1\r\n" HOST "X: \xc3\xa9\r\n\r\n", 1},
    {"empty value", "GET / HTTP/1.1\r\n" HOST "X:\r\n\r\n", 1},
    {"minor version above 1", "GET / HTTP/1.2\r\n" HOST "\r\n", 1},
    {"chunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n", 1},
    {"length", "POST / HTTP/1.1\r\n" HOST "Content-Length: 12\r\n\r\n", 1},
    {"expect", "POST / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\n\r\n", 1},
    {"ipv6 host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 1},
    {"no host", "GET / HTTP/1.1\r\n\r\n", 400},
    {"two hosts", "GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400},
    {"empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
    {"host with slash", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
    {"host with port", "GET / HTTP/1.1\r\nHost: a-b.example:65535\r\n\r\n", 1},
    {"host with an empty port", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", 1},
    {"percent-encoded host", "GET / HTTP/1.1\r\nHost: %41\r\n\r\n", 1},
    {"half percent-encoded host", "GET / HTTP/1.1\r\nHost: a%4\r\n\r\n", 400},
    {"two ports", "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n", 400},
    {"port of letters", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400},
    {"port only", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400},
    {"long port", "GET / HTTP/1.1\r\nHost: a:000080\r\n\r\n", 400},
    {"open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},
    {"text behind the bracket", "GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n", 400},
    {"brackets with a name", "GET / HTTP/1.1\r\nHost: [host]\r\n\r\n", 400},
    {"two names", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
    {"host with user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400},
    {"bare lf after request line", "GET / HTTP/1.1\n" HOST "\r\n", 400},
    {"bare lf in fields", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
    {"bare cr in value", "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", 400},
    {"bare cr in request line", "GET /\rx HTTP/1.1\r\n" HOST "\r\n", 400},
    {"cr cr lf", "GET / HTTP/1.1\r\r\n" HOST "\r\n", 400},
    {"folded", "GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n", 400},
    {"folded first", "GET / HTTP/1.1\r\n X: a\r\n" HOST "\r\n", 400},
    {"space before colon", "GET / HTTP/1.1\r\n" HOST "X : a\r\n\r\n", 400},
    {"tab before colon", "GET / HTTP/1.1\r\n" HOST "X\t: a\r\n\r\n", 400},
    {"no colon", "GET / HTTP/1.1\r\n" HOST "X\r\n\r\n", 400},
    {"empty name", "GET / HTTP/1.1\r\n" HOST ": a\r\n\r\n", 400},
    {"name not a token", "GET / HTTP/1.1\r\n" HOST "X@Y: a\r\n\r\n", 400},
    {"control in value", "GET / HTTP/1.1\r\n" HOST "X: \x01\r\n\r\n", 400},
    {"two spaces", "GET  / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"space at the end", "GET / HTTP/1.1 \r\n" HOST "\r\n", 400},
    {"no version", "GET /\r\n" HOST "\r\n", 400},
    {"lower-case protocol", "GET / http/1.1\r\n" HOST "\r\n", 400},
    {"version 2", "GET / HTTP/2.0\r\n" HOST "\r\n", 505},
    {"version 0.9", "GET / HTTP/0.9\r\n" HOST "\r\n", 505},
    {"relative target", "GET x HTTP/1.1\r\n" HOST "\r\n", 400},
    {"star with get", "GET * HTTP/1.1\r\n" HOST "\r\n", 400},
    {"fragment", "GET /#a HTTP/1.1\r\n" HOST "\r\n", 400},
    {"utf-8 in target", "GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n", 400},
    {"other scheme", "GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n", 400},
    {"absolute with user", "GET http://u@a/ HTTP/1.1\r\n" HOST "\r\n", 400},
    {"absolute with a bad port", "GET http://a:b/ HTTP/1.1\r\n" HOST "\r\n", 400},
    {"absolute without authority", "GET http:/// HTTP/1.1\r\n" HOST "\r\n", 400},
    {"authority form", "GET a:80 HTTP/1.1\r\n" HOST "\r\n", 400},
    {"another protocol", "INVALID CONNECTION PREFACE\r\n\r\n", H1_ALIEN},
    {"another protocol with a path", "GET / FTP/1.1\r\n" HOST "\r\n", 400},
    {"version of two digits", "GET / HTTP/1.10\r\n" HOST "\r\n", 400},
    {"version 01", "GET / HTTP/01.1\r\n" HOST "\r\n", 400},
    {"no minor version", "GET / HTTP/1\r\n" HOST "\r\n", 400},
    {"tabs between", "GET\t/\tHTTP/1.1\r\n" HOST "\r\n", 400},
    {"method not a token", "G(T / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"connect", "CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n", 501},
    {"long method", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n" HOST "\r\n", 501},
    {"length and chunked",
     "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"same length twice", "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
    {"lengths differ", "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
    {"list of lengths", "POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\n", 400},
    {"signed length", "POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n", 400},
    {"negative length", "POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n", 400},
    {"hex length", "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n\r\n", 400},
    {"empty length", "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", 400},
    {"length overflows", "POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551617\r\n\r\n", 400},
    {"gzip, chunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
    {"gzip", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n", 400},
    {"identity", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n", 400},
    {"xchunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n", 400},
    {"chunked, identity", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, identity\r\n\r\n", 400},
    {"chunked, chunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n", 400},
    {"comma, chunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: ,chunked\r\n\r\n", 501},
    {"chunked, comma", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked,\r\n\r\n", 400},
    {"quoted", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \"chunked\"\r\n\r\n", 400},
    {"chunked with a parameter", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked;q=1\r\n\r\n", 400},
    {"vertical tab", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \vchunked\r\n\r\n", 400},
    {"no coding", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n", 400},
    {"tab before chunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\tchunked \r\n\r\n", 1},
    {"two codings",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"chunked in 1.0", "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 400},
    {"other expectation", "POST / HTTP/1.1\r\n" HOST "Expect: x\r\n\r\n", 417},
    {"empty line first", "\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 400}, /* who calls skips it */
};

/* Scans in pieces of `piece` bytes, then parses; returns the status and the length of the head. */
static int parse(const char *text, size_t len, size_t piece, H1Head *head, size_t *used) {
    static char copy[65536];
    static Header fields[H1_FIELDS_MAX + 1];
    H1Scan scan = {0};
    int status = H1_MORE;
    for (size_t have = piece; status == H1_MORE && have < len + piece; have += piece)
        status = h1_scan(&scan, (Span){text, have < len ? have : len}, 16384, used);
    if (status != H1_DONE) return status;
    memcpy(copy, text, *used);
    const char *why = NULL;
    *head = (H1Head){.fields = fields};
    status = h1_parse(copy, *used, head, &why);
    CHECK((status == H1_DONE) == (why == NULL));
    return status;
}

static void heads(void) {
    for (size_t i = 0; i < COUNT(HEADS); i++) {
        size_t len = strlen(HEADS[i].head), used = 0;
        for (size_t piece = 1; piece <= len; piece += piece == 1 ? len - 1 : 1) {
            H1Head head;
            int got = parse(HEADS[i].head, len, piece, &head, &used);
            if (got != HEADS[i].want) printf("\n    %s: got %d, want %d", HEADS[i].name, got, HEADS[i].want);
            CHECK(got == HEADS[i].want);
            if (got == H1_DONE) CHECK(used == len);
            if (len == 1) break;
        }
    }
}

static void what_a_head_says(void) {
    H1Head h;
    size_t used;
    const char *text = "PUT http://other:8/p/q?r=1 HTTP/1.1\r\nHOST: first\r\nX-Thing: \t a b \t\r\n"
                       "Connection: Foo, CLOSE\r\nContent-Length: 42\r\nExpect: 100-continue\r\n\r\nrest";
    REQUIRE(parse(text, strlen(text), 7, &h, &used) == H1_DONE);
    CHECK_SPAN(h.method, "PUT");
    CHECK_SPAN(h.target, "/p/q?r=1");
    CHECK_SPAN(h.authority, "other:8");
    CHECK(used == strlen(text) - 4);
    CHECK(h.field_count == 5);
    CHECK_SPAN(h.fields[0].name, "host");
    CHECK_SPAN(h.fields[1].value, "a b");
    CHECK(!h.keep_alive && h.has_length && h.length == 42 && h.expect_continue && !h.chunked);
    text = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    REQUIRE(parse(text, strlen(text), 100, &h, &used) == H1_DONE);
    CHECK(h.keep_alive && h.http10);
}

static void limits(void) {
    static char text[65536];
    H1Head h;
    size_t used;
    int len = snprintf(text, sizeof text, "GET /%0*d HTTP/1.1\r\nHost: a\r\n\r\n", 9000, 0);
    CHECK(parse(text, (size_t)len, 1000, &h, &used) == 414);
    len = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\nX: %0*d\r\n\r\n", 30000, 0);
    CHECK(parse(text, (size_t)len, 1000, &h, &used) == 431);
    len = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 100; i++) len += snprintf(text + len, sizeof text - (size_t)len, "X: 1\r\n");
    CHECK(parse(text, (size_t)len, 1000, &h, &used) == 431);
    /* never ending, without a line end: refused long before the buffer is full */
    memset(text, 'a', sizeof text);
    H1Scan scan = {0};
    CHECK(h1_scan(&scan, (Span){text, 8000}, 16384, &used) == H1_MORE);
    CHECK(h1_scan(&scan, (Span){text, 9000}, 16384, &used) == 414);
}

static const struct {
    const char *name, *bytes, *body, *rest;
    int want;
} BODIES[] = {
    {"two chunks", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nnext", "abcde", "next", 1},
    {"hex of both cases", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", "", 1},
    {"leading zeros", "0003\r\nabc\r\n000\r\n\r\n", "abc", "", 1},
    {"extension", "3;x=\"y z\"\r\nabc\r\n0;z\r\n\r\n", "abc", "", 1},
    {"trailers", "0\r\nX: 1\r\nY: 2\r\n\r\nn", "", "n", 1},
    {"empty", "0\r\n\r\n", "", "", 1},
    {"incomplete", "3\r\nab", "ab", "", 0},
    {"no digits", "\r\nabc\r\n", "", "", 400},
    {"no digits, extension", ";x\r\n", "", "", 400},
    {"negative", "-3\r\nabc", "", "", 400},
    {"0x", "0x3\r\nabc", "", "", 400},
    {"space behind the size", "3 \r\nabc", "", "", 400},
    {"size too big", "1000000000000000\r\n", "", "", 400},
    {"bare lf behind the size", "3\nabc\r\n", "", "", 400},
    {"bare cr behind the size", "3\rabc", "", "", 400},
    {"too many bytes", "3\r\nabcd\r\n0\r\n\r\n", "abc", "", 400},
    {"bare lf behind the chunk", "3\r\nabc\n0\r\n\r\n", "abc", "", 400},
    {"bare lf at the end", "0\r\n\n", "", "", 400},
    {"control in extension", "3;\x01\r\nabc", "", "", 400},
    {"lf in extension", "3;a\nb\r\nabc", "", "", 400},
    {"trailer without a name", "0\r\n: 1\r\n\r\n", "", "", 400},
    {"trailer without a colon", "0\r\nX\r\n\r\n", "", "", 400},
    {"trailer with a space before the colon", "0\r\nX : 1\r\n\r\n", "", "", 400},
    {"trailer with a bare lf", "0\r\nX: 1\n\r\n", "", "", 400},
    {"trailer with a bare cr", "0\r\nX: \r1\r\n\r\n", "", "", 400},
    {"framing in the trailers", "0\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\nHost:\r\n\r\nn", "", "n",
     1},
    {"folded trailer", "0\r\n X: 1\r\n\r\n", "", "", 400},
};

static void chunks(void) {
    for (size_t i = 0; i < COUNT(BODIES); i++) {
        for (size_t piece = 1; piece < 40; piece += 3) {
            H1Chunks k = {0};
            AUTO_BUF body = {0};
            Span all = span_of(BODIES[i].bytes);
            int status = H1_MORE;
            size_t at = 0;
            while (status == H1_MORE && at < all.len) {
                size_t len = piece < all.len - at ? piece : all.len - at;
                Span in = {all.at + at, len}, data;
                while (status == H1_MORE && in.len) {
                    status = h1_chunks(&k, &in, 1000, &data);
                    buf_span(&body, data);
                }
                at += len - in.len;
            }
            if (status != BODIES[i].want) printf("\n    %s by %zu: got %d", BODIES[i].name, piece, status);
            CHECK(status == BODIES[i].want);
            if (status > H1_DONE) continue;
            CHECK_SPAN(buf_view(&body), BODIES[i].body);
            CHECK_SPAN(((Span){all.at + at, all.len - at}), BODIES[i].rest);
        }
    }
}

static void chunk_limits(void) {
    char line[600];
    memset(line, 'x', sizeof line);
    memcpy(line, "1;", 2);
    H1Chunks k = {0};
    Span in = {line, sizeof line}, data;
    CHECK(h1_chunks(&k, &in, 1000, &data) == 400);
    k = (H1Chunks){0}; /* chunks of one byte with long extensions */
    memset(line, 'x', 202);
    memcpy(line, "1;", 2);
    memcpy(line + 202, "\r\ny\r\n", 5);
    int chunks = 0, status = H1_MORE;
    for (; status == H1_MORE && chunks < 1000; chunks++)
        for (in = (Span){line, 207}; status == H1_MORE && in.len;) status = h1_chunks(&k, &in, 1000, &data);
    CHECK(status == 400 && chunks == H1_EXTENSIONS_MAX / 200 + 1);
    k = (H1Chunks){0};
    memset(line, 'x', sizeof line);
    in = SPAN("0\r\n");
    CHECK(h1_chunks(&k, &in, 50, &data) == H1_MORE);
    in = (Span){line + 2, 100};
    CHECK(h1_chunks(&k, &in, 50, &data) == 431);
}

SUITE("h1_parser", TEST(heads), TEST(what_a_head_says), TEST(limits), TEST(chunks), TEST(chunk_limits));
