/* Requests that two servers could read in two ways. Each vector is followed by a request that must never be
 * answered: one answer comes, with the status of the table, and then the end of the connection. */
#include "base/clock.h"
#include "net_kit.h"
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#define HOST  "Host: a\r\n"
#define POST  "POST /echo HTTP/1.1\r\n" HOST
#define TE    "Transfer-Encoding: chunked\r\n"
#define CL(n) "Content-Length: " n "\r\n"
#define NEXT  "GET /smuggled HTTP/1.1\r\n" HOST "\r\n"
#define V(name, status, bytes)                                                                               \
    {                                                                                                        \
        name, status, {                                                                                      \
            bytes, sizeof bytes - 1                                                                          \
        }                                                                                                    \
    }

static const struct {
    const char *name;
    int status; /* 0: the end without a word */
    Span send;
} VECTORS[] = {
    /* two ways to tell the length */
    V("CL.TE", 400, POST CL("6") TE "\r\n0\r\n\r\nG"),
    V("TE.CL", 400, POST TE CL("4") "\r\n5c\r\n"),
    V("TE and a length of 0", 400, POST TE CL("0") "\r\n0\r\n\r\n"),
    V("TE of 1.0 and CL", 400, "POST /echo HTTP/1.0\r\n" HOST CL("3") TE "\r\nabc"),
    V("TE of 1.0", 400, "POST /echo HTTP/1.0\r\n" HOST TE "\r\n0\r\n\r\n"),
    V("CL.CL alike", 400, POST CL("1") CL("1") "\r\na"),
    V("CL.CL", 400, POST CL("0") CL("44") "\r\n"),
    V("list of alike", 400, POST CL("1, 1") "\r\na"),
    V("list", 400, POST CL("0,44") "\r\n"),
    V("plus", 400, POST CL("+1") "\r\na"),
    V("minus", 400, POST CL("-1") "\r\na"),
    V("minus zero", 400, POST CL("-0") "\r\n"),
    V("hex", 400, POST CL("0x1") "\r\na"),
    V("exponent", 400, POST CL("1e1") "\r\na"),
    V("point", 400, POST CL("1.0") "\r\na"),
    V("underscore", 400, POST CL("1_0") "\r\na"),
    V("space within", 400, POST CL("1 0") "\r\na"),
    V("space then tab", 400, POST CL("1\t0") "\r\na"),
    V("64 bits and one", 400, POST CL("18446744073709551617") "\r\na"),
    V("63 bits and one", 400, POST CL("9223372036854775808") "\r\na"),
    V("twenty-two digits", 400, POST CL("1000000000000000000000") "\r\na"),
    V("letter", 400, POST CL("1a") "\r\na"),
    V("quoted", 400, POST CL("\"1\"") "\r\na"),
    V("empty", 400, POST CL("") "\r\n"),
    V("NUL behind", 400, POST CL("1\0") "\r\na"),
    V("form feed", 400, POST CL("\f1") "\r\na"),
    V("obs-text digit", 400, POST CL("\xd9\xa1") "\r\na"),
    /* Transfer-Encoding in disguise */
    V("space before the colon", 400, POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    V("tab before the colon", 400, POST "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n"),
    V("space before the length's colon", 400, POST "Content-Length : 1\r\n\r\na"),
    V("folded", 400, POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
    V("folded by a tab", 400, POST "X: y\r\n\tTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    V("first line folded", 400, "POST /echo HTTP/1.1\r\n " TE HOST "\r\n0\r\n\r\n"),
    V("xchunked", 400, POST "Transfer-Encoding: xchunked\r\n\r\n"),
    V("chunkedx", 400, POST "Transfer-Encoding: chunkedx\r\n\r\n"),
    V("chunked, identity", 400, POST "Transfer-Encoding: chunked, identity\r\n\r\n"),
    V("identity, chunked", 501, POST "Transfer-Encoding: identity, chunked\r\n\r\n"),
    V("identity", 400, POST "Transfer-Encoding: identity\r\n\r\n"),
    V("identity and length", 400, POST "Transfer-Encoding: identity\r\n" CL("3") "\r\nabc"),
    V("chunked twice in a list", 400, POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    V("chunked twice", 400, POST TE TE "\r\n0\r\n\r\n"),
    V("chunked and identity", 400, POST TE "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
    V("NUL before", 400, POST "Transfer-Encoding: \0chunked\r\n\r\n0\r\n\r\n"),
    V("vertical tab before", 400, POST "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n"),
    V("NUL in the name", 400, POST "Transfer\0-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    V("control before the name", 400, POST "\x01Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    V("quotes", 400, POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
    V("parameter", 400, POST "Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n"),
    V("no break space", 400, POST "Transfer-Encoding: chunked\xa0\r\n\r\n0\r\n\r\n"),
    V("bare LF before it", 400, POST "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    V("bare CR before it", 400, POST "X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    V("CR behind the value", 400, POST "Transfer-Encoding: chunked\r\r\n\r\n0\r\n\r\n"),
    V("obs-text name", 400,
      POST "Transfer\xe2\x80\x91"
           "Encoding: chunked\r\n\r\n0\r\n\r\n"),
    /* line ends */
    V("LF for the empty line", 400, "GET /echo HTTP/1.1\r\n" HOST "\n"),
    V("LF only", 400, "GET /echo HTTP/1.1\nHost: a\n\n"),
    V("LF before the request", 400, "\nGET /echo HTTP/1.1\r\n" HOST "\r\n"),
    V("CR before the request", 400, "\rGET /echo HTTP/1.1\r\n" HOST "\r\n"),
    V("CR only", 400, "GET /echo HTTP/1.1\rHost: a\r\r\r\n\r\n"),
    V("LF CR", 400, "GET /echo HTTP/1.1\n\rHost: a\n\r\n\r\r\n\r\n"),
    V("two empty lines before", 400, "\r\n\r\nGET /echo HTTP/1.1\r\n" HOST "\r\n"),
    V("space before the request", 400, " GET /echo HTTP/1.1\r\n" HOST "\r\n"),
    V("space line within", 400, "GET /echo HTTP/1.1\r\n" HOST " \r\n" NEXT),
    /* the request line */
    V("NUL in the method", 400, "GE\0T /echo HTTP/1.1\r\n" HOST "\r\n"),
    V("NUL in the target", 400, "GET /e\0cho HTTP/1.1\r\n" HOST "\r\n"),
    V("two spaces", 400, "GET  /echo HTTP/1.1\r\n" HOST "\r\n"),
    V("space in the target", 400, "GET /ec ho HTTP/1.1\r\n" HOST "\r\n"),
    V("tabs", 400, "GET\t/echo\tHTTP/1.1\r\n" HOST "\r\n"),
    V("no version", 400, "GET /echo\r\n" HOST "\r\n"),
    V("no target", 400, "GET HTTP/1.1\r\n" HOST "\r\n"),
    V("version 2.0", 505, "GET /echo HTTP/2.0\r\n" HOST "\r\n"),
    V("version 0.9", 505, "GET /echo HTTP/0.9\r\n" HOST "\r\n"),
    V("version 1.10", 400, "GET /echo HTTP/1.10\r\n" HOST "\r\n"),
    V("version +1.1", 400, "GET /echo HTTP/+1.1\r\n" HOST "\r\n"),
    V("lower-case version", 400, "GET /echo http/1.1\r\n" HOST "\r\n"),
    V("another protocol", 0, "HELO example.org ESMTP\r\n\r\n"),
    V("relative target", 400, "GET echo HTTP/1.1\r\n" HOST "\r\n"),
    V("fragment", 400, "GET /echo#a HTTP/1.1\r\n" HOST "\r\n"),
    V("authority form", 400, "GET a:80 HTTP/1.1\r\n" HOST "\r\n"),
    V("asterisk form of GET", 400, "GET * HTTP/1.1\r\n" HOST "\r\n"),
    V("CONNECT", 501, "CONNECT a:80 HTTP/1.1\r\n" HOST "\r\n"),
    V("other scheme", 400, "GET file:///etc/passwd HTTP/1.1\r\n" HOST "\r\n"),
    /* Host */
    V("no Host", 400, "GET /echo HTTP/1.1\r\n\r\n"),
    V("absolute form without Host", 400, "GET http://a/echo HTTP/1.1\r\n\r\n"),
    V("two Hosts", 400, "GET /echo HTTP/1.1\r\n" HOST "Host: b\r\n\r\n"),
    V("two Hosts alike", 400, "GET /echo HTTP/1.1\r\n" HOST HOST "\r\n"),
    V("Host with a path", 400, "GET /echo HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    V("Host with a user", 400, "GET /echo HTTP/1.1\r\nHost: a@b\r\n\r\n"),
    V("Host with a space", 400, "GET /echo HTTP/1.1\r\nHost: a b\r\n\r\n"),
    V("empty Host", 400, "GET /echo HTTP/1.1\r\nHost: \r\n\r\n"),
    V("space before Host's colon", 400, "GET /echo HTTP/1.1\r\nHost : a\r\n\r\n"),
    V("folded Host", 400, "GET /echo HTTP/1.1\r\nHost:\r\n a\r\n\r\n"),
    /* fields */
    V("no colon", 400, "GET /echo HTTP/1.1\r\n" HOST "X\r\n\r\n"),
    V("no name", 400, "GET /echo HTTP/1.1\r\n" HOST ": y\r\n\r\n"),
    V("NUL in a value", 400, "GET /echo HTTP/1.1\r\n" HOST "X: \0\r\n\r\n"),
    V("DEL in a value", 400, "GET /echo HTTP/1.1\r\n" HOST "X: \x7f\r\n\r\n"),
    V("brackets in a name", 400, "GET /echo HTTP/1.1\r\n" HOST "X[]: y\r\n\r\n"),
    V("other expectation", 417, POST "Expect: 200-ok\r\n" CL("1") "\r\na"),
    V("two expectations", 417, POST "Expect: 100-continue, more\r\n" CL("1") "\r\na"),
    /* chunks */
    V("size of 2^64 + 5", 400, POST TE "\r\n10000000000000005\r\nhello\r\n0\r\n\r\n"),
    V("negative size", 400, POST TE "\r\n-5\r\nhello\r\n0\r\n\r\n"),
    V("size with a plus", 400, POST TE "\r\n+5\r\nhello\r\n0\r\n\r\n"),
    V("0x", 400, POST TE "\r\n0x5\r\nhello\r\n0\r\n\r\n"),
    V("size with an underscore", 400, POST TE "\r\n0_5\r\nhello\r\n0\r\n\r\n"),
    V("space before the size", 400, POST TE "\r\n 5\r\nhello\r\n0\r\n\r\n"),
    V("space behind the size", 400, POST TE "\r\n5 \r\nhello\r\n0\r\n\r\n"),
    V("no size", 400, POST TE "\r\n\r\nhello\r\n0\r\n\r\n"),
    V("LF behind the size", 400, POST TE "\r\n5\nhello\r\n0\r\n\r\n"),
    V("CR behind the size", 400, POST TE "\r\n5\rhello\r\n0\r\n\r\n"),
    V("NUL behind the size", 400, POST TE "\r\n5\0\r\nhello\r\n0\r\n\r\n"),
    V("LF in an extension", 400, POST TE "\r\n5;a\nhello\r\n0\r\n\r\n"),
    V("CR in an extension", 400, POST TE "\r\n5;a\rb\r\nhello\r\n0\r\n\r\n"),
    V("no CR LF behind the bytes", 400, POST TE "\r\n5\r\nhello0\r\n\r\n"),
    V("LF behind the bytes", 400, POST TE "\r\n5\r\nhello\n0\r\n\r\n"),
    V("two bytes for CR LF", 400, POST TE "\r\n5\r\nhelloXX0\r\n\r\n"),
    V("LF at the end", 400, POST TE "\r\n0\r\n\n"),
    V("folded trailer", 400, POST TE "\r\n0\r\nX: y\r\n z\r\n\r\n"),
    V("trailer without a colon", 400, POST TE "\r\n0\r\nGET / HTTP/1.1\r\n\r\n"),
    V("LF in a trailer", 400, POST TE "\r\n0\r\nX: y\n\r\n"),
    V("space before a trailer's colon", 400, POST TE "\r\n0\r\nX : y\r\n\r\n"),
};

/* Each vector on a connection of its own, all at the same time: a byte for each, a breath, the next byte. */
static void send_all(const int *fds, size_t piece) {
    size_t longest = 0;
    for (size_t i = 0; i < COUNT(VECTORS); i++)
        longest = VECTORS[i].send.len > longest ? VECTORS[i].send.len : longest;
    for (size_t at = 0; at < longest; at += piece) {
        for (size_t i = 0; i < COUNT(VECTORS); i++) {
            if (at >= VECTORS[i].send.len) continue;
            size_t rest = VECTORS[i].send.len - at;
            client_send(fds[i], (Span){VECTORS[i].send.at + at, rest < piece ? rest : piece});
        }
        clock_sleep_ms(1);
    }
    for (size_t i = 0; i < COUNT(VECTORS); i++) client_send(fds[i], SPAN(NEXT NEXT));
}

static bool is_as_told(size_t i, Span answer) {
    char status[24];
    snprintf(status, sizeof status, "HTTP/1.1 %d ", VECTORS[i].status);
    if (!VECTORS[i].status) return answer.len == 0;
    return span_starts(answer, span_of(status)) && span_count(answer, "HTTP/1.1 ") == 1 &&
           span_has(answer, "connection: close\r\n") && !span_has(answer, "smuggled");
}

static void vectors(void) {
    TestServer *s = test_server(&(HttpServerOptions){.body_limit = 5000});
    for (size_t piece = 1; piece <= 4096; piece += 4095) {
        int fds[COUNT(VECTORS)];
        for (size_t i = 0; i < COUNT(fds); i++) fds[i] = client_open(test_server_port(s));
        send_all(fds, piece);
        for (size_t i = 0; i < COUNT(fds); i++) {
            AUTO_BUF got = {0};
            Span answer = client_read(fds[i], NULL, 3000, &got);
            bool ok = is_as_told(i, answer), over = recv(fds[i], &(char){0}, 1, MSG_DONTWAIT) == 0;
            if (!ok || !over)
                printf("\n    %s by %zu%s: %.*s", VECTORS[i].name, piece, over ? "" : ", open",
                       SPAN_ARGS(answer));
            CHECK(ok && over);
            close(fds[i]);
        }
    }
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

/* What looks odd and is not ambiguous: answered, and so is what follows it. */
static const char *const HARMLESS[] = {
    "\r\nGET /echo HTTP/1.1\r\n" HOST "\r\n",
    "GET /echo HTTP/1.2\r\n" HOST "\r\n",
    "GET http://b:8/echo HTTP/1.1\r\n" HOST "\r\n",
    "GET /echo HTTP/1.1\r\n" HOST CL("3") "\r\nabc",
    "GET /echo HTTP/1.1\r\n" HOST TE "\r\n3\r\nabc\r\n0\r\n\r\n",
    "HEAD /echo HTTP/1.1\r\n" HOST CL("3") "\r\nabc",
    POST CL("0003") "\r\nabc",
    POST CL(" \t 3 \t ") "\r\nabc",
    POST
    "tRANSFER-eNCODING:\tCHUNKED\r\n\r\n003;x=\"y\";z\r\nabc\r\n000\r\nContent-Length: 9\r\nHost: x\r\n\r\n",
    POST CL("3") "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n\r\nabc",
    POST CL("3") "Expect: 100-continue\r\n\r\nabc",
    "GET /ws HTTP/1.1\r\n" HOST CL(
        "3") "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\nabc", /* refused: an upgrade has no body */
    "GET /ws HTTP/1.1\r\n" HOST "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 12\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    "DELETE /nothing HTTP/1.1\r\n" HOST CL("3") "\r\nabc",
};

static void harmless(void) {
    TestServer *s = test_server(NULL);
    for (size_t i = 0; i < COUNT(HARMLESS); i++) {
        AUTO_BUF send = {0};
        AUTO_BUF got = {0};
        buf_text(&send, HARMLESS[i]);
        buf_text(&send, "PUT /echo HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
        Span answer = client_talk(test_server_port(s), buf_view(&send), &got);
        bool ok = span_count(answer, "x-method: PUT") == 1 &&
                  span_count(answer, "HTTP/1.1 ") - span_count(answer, "HTTP/1.1 100") == 2;
        if (!ok) printf("\n    %s: %.*s", HARMLESS[i], SPAN_ARGS(answer));
        CHECK(ok);
    }
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

SUITE("h1_smuggling", TEST(vectors), TEST(harmless));
