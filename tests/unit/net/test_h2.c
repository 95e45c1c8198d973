#include "base/clock.h"
#include "h2_kit.h"
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
    for (int i = 0; i < 3; i++) { /* a field that no table keeps, with a name that it may keep */
        char path[32], line[32];
        snprintf(path, sizeof path, "/echo?a=value-%d", i);
        snprintf(line, sizeof line, "x-query-a: value-%d\r\n", i);
        CHECK(fetch(curl, base, path, SPAN_NONE, &got) == CURLE_OK && span_has(buf_view(&got.head), line));
    }
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
    CHECK(fetch(curl, base, "/own-words", buf_view(&large), &got) == CURLE_OK && got.status == 413);
    CHECK(span_has(buf_view(&got.head), "x-instead-of: 413\r\n") &&
          span_is(buf_view(&got.body), "own words"));
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

/* A stream that is reset frees its slot in the protocol, but its handler still runs: no more than
 * requests_max do. */
static void work_is_bounded(void) {
    TestServer *s = test_server(&(HttpServerOptions){.requests_max = 10});
    AUTO_BUF out = {0};
    AUTO_BUF in = {0};
    h2_begin(&out);
    for (uint32_t i = 0; i < 50; i++) {
        h2_frame(&out, 1, 5, 2 * i + 1, SPAN(H2_GET_SLOW));
        h2_frame(&out, 3, 0, 2 * i + 1, SPAN("\0\0\0\x08"));
    }
    int fd = client_open(test_server_port(s));
    client_send(fd, buf_view(&out));
    CHECK(h2_got(client_read(fd, NULL, 200, &in)).goaway == -1);
    clock_sleep_ms(400);
    out.len = in.len = 0;
    h2_frame(&out, 1, 5, 201, SPAN(H2_GET_SLOW));
    client_send(fd, buf_view(&out));
    CHECK(h2_got(client_read(fd, NULL, 700, &in)).count[H2_HEADERS] == 1); /* the slots have come back */
    close(fd);
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

static void head_limit(void) {
    TestServer *s = test_server(&(HttpServerOptions){.header_limit = 1000});
    AUTO_BUF out = {0};
    AUTO_BUF in = {0};
    AUTO_BUF block = {0};
    h2_begin(&out);
    buf_span(&block, SPAN(H2_GET_SLOW));
    for (int i = 0; i < 30; i++) buf_span(&block, SPAN("\x10\x01x\x01y"));
    h2_frame(&out, 1, 5, 1, buf_view(&block));
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
    h2_begin(&out);
    h2_frame(&out, 1, 4, 1, SPAN(H2_POST_ECHO)); /* its body never comes */
    H2Got got = h2_got(client_talk(test_server_port(s), buf_view(&out), &in));
    CHECK(got.goaway == NGHTTP2_NO_ERROR && got.count[H2_RST] == 1);
    CHECK(span_has(buf_view(&in), "/problems/request_timeout"));
    out.len = in.len = 0;
    buf_text(&out, H2_PREFACE);
    h2_frame(&out, 4, 0, 0, SPAN("\0\4\0\0\0\0")); /* a window of nothing, */
    h2_frame(&out, 1, 5, 1,
             SPAN("\x82\x86\x04\x0b/bytes?n=99\x01\x01"
                  "a")); /* and an answer that waits for it */
    got = h2_got(client_talk(test_server_port(s), buf_view(&out), &in));
    CHECK(got.goaway == NGHTTP2_NO_ERROR && got.count[H2_RST] == 1);
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

static void drain(void) {
    TestServer *s = test_server(NULL);
    AUTO_BUF out = {0};
    AUTO_BUF in = {0};
    h2_begin(&out);
    h2_frame(&out, 1, 5, 1, SPAN(H2_GET_SLOW));
    int fd = client_open(test_server_port(s));
    client_send(fd, buf_view(&out));
    client_read(fd, NULL, 50, &in);
    test_server_drain(s);
    client_read(fd, NULL, 30, &in);
    CHECK(h2_got(buf_view(&in)).count[H2_GOAWAY] == 1); /* the notice, which refuses nothing: */
    buf_clear(&out);
    h2_frame(&out, H2_HEADERS, 5, 3, SPAN(H2_GET_ECHO));
    client_send(fd, buf_view(&out));
    H2Got got = h2_got(client_read(fd, NULL, 3000, &in));
    CHECK(got.goaway == NGHTTP2_NO_ERROR && got.count[H2_GOAWAY] == 2);
    CHECK(got.count[H2_HEADERS] == 2 && got.reset == -1); /* what was in flight, and what was on its way */
    CHECK(test_server_empties(s, 3000));
    close(fd);
    test_server_stop(s);
}

SUITE("h2", TEST(curl_h2c), TEST(curl_tls), TEST(work_is_bounded), TEST(head_limit), TEST(deadlines),
      TEST(drain));
