#include "base/clock.h"
#include "net/h2_guard.h"
#include "net_kit.h"
#include <curl/curl.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>

/* --- by libcurl --- */

static size_t keep(char *at, size_t size, size_t count, void *user) {
    buf_append(user, at, size * count);
    return size * count;
}

typedef struct Got {
    long status, version;
    Buf head, body;
} Got;

static void got_free(Got *g) {
    buf_free(&g->head);
    buf_free(&g->body);
}

static CURLcode fetch(CURL *curl, const char *base, const char *path, Span post, Got *got) {
    char url[256];
    snprintf(url, sizeof url, "%s%s", base, path);
    got_free(got);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &got->body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, keep);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &got->head);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 10000L);
    if (post.at) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)post.len);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, post.at);
    } else {
        curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    }
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &got->status);
    curl_easy_getinfo(curl, CURLINFO_HTTP_VERSION, &got->version);
    return code;
}

/* The same talk over each way of speaking HTTP. */
static void talk(CURL *curl, const char *base, long version) {
    Got got = {0};
    CHECK(fetch(curl, base, "/echo?a=x%20y", SPAN("some body"), &got) == CURLE_OK);
    CHECK(got.status == 200 && got.version == version);
    CHECK_SPAN(buf_view(&got.body), "some body");
    CHECK(span_has(buf_view(&got.head), "x-query-a: x y\r\n"));
    CHECK(span_has(buf_view(&got.head), "x-authority: 127.0.0.1:"));
    CHECK(span_has(buf_view(&got.head), "date: "));
    CHECK(!span_has(buf_view(&got.head), "set-cookie"));
    CHECK(fetch(curl, base, "/later", SPAN_NONE, &got) == CURLE_OK && got.status == 200);
    CHECK(fetch(curl, base, "/slow", SPAN_NONE, &got) == CURLE_OK && got.status == 204 && !got.body.len);
    CHECK(fetch(curl, base, "/none", SPAN_NONE, &got) == CURLE_OK && got.status == 404);
    CHECK(fetch(curl, base, "/bytes?n=3000000", SPAN_NONE, &got) == CURLE_OK && got.body.len == 3000000);
    CHECK(got.body.len && got.body.at[2999999] == (char)('a' + 2999999 % 26));
    CHECK(fetch(curl, base, "/copied?n=70000", SPAN_NONE, &got) == CURLE_OK && got.body.len == 70000);
    AUTO_BUF large = {0};
    for (int i = 0; i < 62500; i++) buf_text(&large, "0123456789abcdef");
    CHECK(fetch(curl, base, "/echo", buf_view(&large), &got) == CURLE_OK && got.status == 200);
    CHECK(span_equal(buf_view(&got.body), buf_view(&large)));
    for (int i = 0; i < 10; i++)
        buf_text(&large, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    buf_reserve(&large, 60000);
    large.len += 60000;
    CHECK(fetch(curl, base, "/echo", buf_view(&large), &got) == CURLE_OK);
    CHECK(got.status == 413 && span_has(buf_view(&got.body), "/problems/too_large"));
    CHECK(fetch(curl, base, "/echo", SPAN_NONE, &got) == CURLE_OK && got.status == 200);
    got_free(&got);
}

static void curl_h2c(void) {
    TestServer *s = test_server(NULL);
    char base[64];
    snprintf(base, sizeof base, "http://127.0.0.1:%u", test_server_port(s));
    CURL *curl = curl_easy_init();
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L); /* libcurl 7.88 cannot use such a connection twice */
    talk(curl, base, CURL_HTTP_VERSION_2_0);
    curl_easy_cleanup(curl);
    curl = curl_easy_init();
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    talk(curl, base, CURL_HTTP_VERSION_1_1);
    curl_easy_cleanup(curl);
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

static void curl_tls(void) {
    char certificate[256], key[256], base[64];
    Err err = {0};
    AUTO(HttpTls) tls = NULL;
    test_certificate(test_folder(), "localhost", certificate, key);
    if (!CHECK_OK(http_tls_open(&(HttpTlsOptions){certificate, key}, &tls, &err), &err)) return;
    TestServer *s = test_server(&(HttpServerOptions){.tls = tls});
    snprintf(base, sizeof base, "https://127.0.0.1:%u", test_server_port(s));
    for (int h2 = 0; h2 < 2; h2++) {
        CURL *curl = curl_easy_init();
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
        curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, h2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1);
        talk(curl, base, h2 ? CURL_HTTP_VERSION_2_0 : CURL_HTTP_VERSION_1_1);
        curl_easy_cleanup(curl);
    }
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

/* --- by frames made by hand --- */

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

static void frame(Buf *b, unsigned type, unsigned flags, uint32_t stream, Span payload) {
    size_t n = payload.len;
    char head[9] = {(char)(n >> 16),      (char)(n >> 8),      (char)n,
                    (char)type,           (char)flags,         (char)(stream >> 24),
                    (char)(stream >> 16), (char)(stream >> 8), (char)stream};
    buf_append(b, head, sizeof head);
    buf_span(b, payload);
}

/* :method GET (or POST), :scheme http, :path /slow, :authority a; without the dynamic table */
#define GET_SLOW                                                                                             \
    "\x82\x86\x04\x05/slow\x01\x01"                                                                          \
    "a"
#define POST_ECHO                                                                                            \
    "\x83\x86\x04\x05/echo\x01\x01"                                                                          \
    "a"

static void begin(Buf *b) {
    buf_text(b, PREFACE);
    frame(b, 4, 0, 0, SPAN(""));
}

/* The last GOAWAY's error code in a run of frames, -1: none. Counts frames of `type` into *count. */
static long goaway(Span in, unsigned type, size_t *count) {
    long code = -1;
    *count = 0;
    const unsigned char *p = (const unsigned char *)in.at;
    for (size_t at = 0; at + 9 <= in.len;) {
        size_t n = (size_t)p[at] << 16 | (size_t)p[at + 1] << 8 | p[at + 2];
        if (p[at + 3] == type) ++*count;
        if (p[at + 3] == 7 && at + 17 <= in.len) code = p[at + 16];
        at += 9 + n;
    }
    return code;
}

static void many_resets(Buf *b) {
    for (uint32_t i = 0; i < 1000; i++) {
        frame(b, 1, 5, 2 * i + 1, SPAN(GET_SLOW));
        frame(b, 3, 0, 2 * i + 1, SPAN("\0\0\0\x08"));
    }
}

/* CVE-2025-8671: frames that make the server reset the stream itself. */
static void many_faults(Buf *b) {
    for (uint32_t i = 0; i < 1000; i++) {
        frame(b, 1, 4, 2 * i + 1, SPAN(POST_ECHO));
        frame(b, 8, 0, 2 * i + 1, SPAN("\x7f\xff\xff\xff"));
    }
}

static void many_pings(Buf *b) {
    for (int i = 0; i < 5000; i++) frame(b, 6, 0, 0, SPAN("12345678"));
}
static void many_settings(Buf *b) {
    for (int i = 0; i < 5000; i++) frame(b, 4, 0, 0, SPAN(""));
}
static void many_empty_data(Buf *b) {
    frame(b, 1, 4, 1, SPAN(POST_ECHO));
    for (int i = 0; i < 5000; i++) frame(b, 0, 0, 1, SPAN(""));
}
static void many_window_updates(Buf *b) {
    for (int i = 0; i < 20000; i++) frame(b, 8, 0, 0, SPAN("\0\0\0\1"));
}
static void many_continuations(Buf *b) {
    frame(b, 1, 1, 1, SPAN(GET_SLOW));
    for (int i = 0; i < 20; i++) frame(b, 9, 0, 1, SPAN("\x40\x01x\x01y"));
}
static void bad_frame_size(Buf *b) {
    frame(b, 6, 0, 0, SPAN("1234"));
}
static void bad_magic(Buf *b) {
    b->at[10] = 'X';
}

static const struct {
    const char *name;
    void (*make)(Buf *b);
    long code; /* of the GOAWAY; -1: none, the connection just ends */
} HOSTILE[] = {
    {"rapid reset", many_resets, NGHTTP2_ENHANCE_YOUR_CALM},
    {"made to reset", many_faults, NGHTTP2_ENHANCE_YOUR_CALM},
    {"pings", many_pings, NGHTTP2_ENHANCE_YOUR_CALM},
    {"settings", many_settings, NGHTTP2_ENHANCE_YOUR_CALM},
    {"empty data", many_empty_data, NGHTTP2_ENHANCE_YOUR_CALM},
    {"window updates", many_window_updates, NGHTTP2_ENHANCE_YOUR_CALM},
    {"continuations", many_continuations, NGHTTP2_INTERNAL_ERROR},
    {"ping of four bytes", bad_frame_size, NGHTTP2_FRAME_SIZE_ERROR},
    {"bad magic", bad_magic, -1},
};

static void hostile_frames(void) {
    TestServer *s = test_server(NULL);
    for (size_t i = 0; i < COUNT(HOSTILE); i++) {
        AUTO_BUF out = {0};
        AUTO_BUF in = {0};
        begin(&out);
        HOSTILE[i].make(&out);
        size_t count;
        long code = goaway(client_talk(test_server_port(s), buf_view(&out), &in), 3, &count);
        if (code != HOSTILE[i].code) printf("\n    %s: GOAWAY %ld", HOSTILE[i].name, code);
        CHECK(code == HOSTILE[i].code);
    }
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

/* A stream that is reset frees its slot in the protocol, but its handler still runs: no more than
 * requests_max do. */
static void work_is_bounded(void) {
    TestServer *s = test_server(&(HttpServerOptions){.requests_max = 10});
    AUTO_BUF out = {0};
    AUTO_BUF in = {0};
    begin(&out);
    for (uint32_t i = 0; i < 50; i++) {
        frame(&out, 1, 5, 2 * i + 1, SPAN(GET_SLOW));
        frame(&out, 3, 0, 2 * i + 1, SPAN("\0\0\0\x08"));
    }
    int fd = client_open(test_server_port(s));
    client_send(fd, buf_view(&out));
    size_t refused;
    CHECK(goaway(client_read(fd, NULL, 200, &in), 3, &refused) == -1);
    clock_sleep_ms(400);
    out.len = in.len = 0;
    frame(&out, 1, 5, 201, SPAN(GET_SLOW));
    client_send(fd, buf_view(&out));
    size_t answers;
    goaway(client_read(fd, NULL, 700, &in), 1, &answers);
    CHECK(answers == 1); /* the slots have come back */
    close(fd);
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

static void head_limit(void) {
    TestServer *s = test_server(&(HttpServerOptions){.header_limit = 1000});
    AUTO_BUF out = {0};
    AUTO_BUF in = {0};
    AUTO_BUF block = {0};
    begin(&out);
    buf_span(&block, SPAN(GET_SLOW));
    for (int i = 0; i < 30; i++) buf_span(&block, SPAN("\x10\x01x\x01y"));
    frame(&out, 1, 5, 1, buf_view(&block));
    int fd = client_open(test_server_port(s));
    client_send(fd, buf_view(&out));
    client_read(fd, "headers_too_large", 2000, &in);
    CHECK(span_has(buf_view(&in), "/problems/headers_too_large"));
    close(fd);
    test_server_stop(s);
}

/* Requests that do not go on, answers that nobody takes, silence: each has its deadline. */
static void deadlines(void) {
    TestServer *s =
        test_server(&(HttpServerOptions){.header_ms = 150, .body_ms = 150, .idle_ms = 300, .stall_ms = 300});
    AUTO_BUF out = {0};
    AUTO_BUF in = {0};
    buf_text(&out, "PRI * HTT");
    CHECK(client_talk(test_server_port(s), buf_view(&out), &in).len < 100);
    out.len = in.len = 0;
    begin(&out);
    frame(&out, 1, 4, 1, SPAN(POST_ECHO)); /* its body never comes */
    size_t count;
    CHECK(goaway(client_talk(test_server_port(s), buf_view(&out), &in), 3, &count) == NGHTTP2_NO_ERROR);
    CHECK(count == 1 && span_has(buf_view(&in), "/problems/request_timeout"));
    out.len = in.len = 0;
    buf_text(&out, PREFACE);
    frame(&out, 4, 0, 0, SPAN("\0\4\0\0\0\0")); /* a window of nothing, */
    frame(&out, 1, 5, 1,
          SPAN("\x82\x86\x04\x0b/bytes?n=99\x01\x01"
               "a")); /* and an answer that waits for it */
    CHECK(goaway(client_talk(test_server_port(s), buf_view(&out), &in), 3, &count) == NGHTTP2_NO_ERROR);
    CHECK(count == 1);
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

static void drain(void) {
    TestServer *s = test_server(NULL);
    AUTO_BUF out = {0};
    AUTO_BUF in = {0};
    begin(&out);
    frame(&out, 1, 5, 1, SPAN(GET_SLOW));
    int fd = client_open(test_server_port(s));
    client_send(fd, buf_view(&out));
    client_read(fd, NULL, 50, &in);
    test_server_drain(s);
    size_t goaways;
    CHECK(goaway(client_read(fd, NULL, 3000, &in), 7, &goaways) == NGHTTP2_NO_ERROR);
    CHECK(goaways == 2);
    goaway(buf_view(&in), 1, &goaways);
    CHECK(goaways == 1); /* the answer in flight came */
    CHECK(test_server_empties(s, 3000));
    close(fd);
    test_server_stop(s);
}

static void guard(void) {
    H2Guard g;
    h2_guard_init(&g, 0);
    int spent = 0;
    while (h2_guard_spend(&g, H2_COST_RESET, 0)) spent++;
    CHECK(spent == 200);
    CHECK(h2_guard_spend(&g, H2_COST_CONTROL, 0));
    CHECK(!h2_guard_spend(&g, H2_COST_RESET, 999999));
    for (spent = 0; h2_guard_spend(&g, H2_COST_RESET, 1000000);) spent++;
    CHECK(spent == 20);
    for (int i = 0; i < 1000; i++) {
        h2_guard_earn(&g, H2_COST_RESET);
        CHECK(h2_guard_spend(&g, H2_COST_RESET, 1000000));
    }
    for (spent = 0; h2_guard_spend(&g, H2_COST_RESET, INT64_MAX / 2);) spent++;
    CHECK(spent == 200);
}

SUITE("h2", TEST(curl_h2c), TEST(curl_tls), TEST(hostile_frames), TEST(work_is_bounded), TEST(head_limit),
      TEST(deadlines), TEST(drain), TEST(guard));
