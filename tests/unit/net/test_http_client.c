#include "kit/test.h"
#include "kit/web.h"
#include "net_kit.h"

#include "base/clock.h"
#include "net/http_client.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

static atomic_uint held_count;
static HttpExchange *held; /* a request that is never answered in time */

static void answer_fields(HttpExchange *x) {
    static const HttpField FIELDS[] = {{"retry-after", {"7", 1}},
                                       {"content-type", {"application/json", 16}},
                                       {"webhook-allowed-origin", {"*", 1}}};
    http_respond(
        x, &(HttpAnswer){.status = 503, .fields = FIELDS, .field_count = COUNT(FIELDS), .body = SPAN("{}")});
}

static void answer_echo(HttpExchange *x) {
    AUTO_BUF body = {0};
    buf_printf(&body, "%.*s|%.*s|", SPAN_ARGS(http_method(x)), SPAN_ARGS(http_header(x, "x-mine")));
    buf_span(&body, http_body(x));
    http_respond(x, &(HttpAnswer){.status = 200, .body = buf_view(&body)});
}

static void answer_large(HttpExchange *x) {
    static char bytes[100000];
    http_respond(x, &(HttpAnswer){.status = 200, .body = {bytes, sizeof bytes}});
}

static void hold(HttpExchange *x) {
    held = x;
    atomic_fetch_add(&held_count, 1);
}

/* Exchanges belong to their loop's thread. */
static void release(Task *task) {
    (void)task;
    http_respond(held, &(HttpAnswer){.status = 200});
}

static void answer_moved(HttpExchange *x) {
    const HttpField field = {"location", SPAN("/echo")};
    http_respond(x, &(HttpAnswer){.status = 302, .fields = &field, .field_count = 1});
}

static void on_request(void *user, HttpExchange *x) {
    static const struct {
        const char *path;
        void (*answer)(HttpExchange *x);
    } PATHS[] = {{"/echo", answer_echo},
                 {"/fields", answer_fields},
                 {"/large", answer_large},
                 {"/moved", answer_moved},
                 {"/hold", hold}};
    (void)user;
    for (size_t i = 0; i < COUNT(PATHS); i++)
        if (span_is(http_path(x), PATHS[i].path)) {
            PATHS[i].answer(x);
            return;
        }
    test_web_answer(x, 404, "");
}

static HttpClient *open_client(HttpClientOptions options) {
    HttpClient *client = NULL;
    Err err = {0};
    REQUIRE(CHECK_OK(http_client_open(&options, &client, &err), &err));
    return client;
}

static void carries_method_fields_body(void) {
    static const struct {
        const char *method, *body, *want;
    } CASES[] = {
        {"GET", "", "GET|yes|"},       {"POST", "abc", "POST|yes|abc"}, {"OPTIONS", "", "OPTIONS|yes|"},
        {"POST", "", "POST|yes|"},     {"PUT", "x", "PUT|yes|x"},       {"GET", "", "GET|yes|"},
        {"DELETE", "", "DELETE|yes|"},
    };
    const char *const headers[] = {"X-Mine: yes", NULL};
    TestWeb *web = test_web_start(on_request, NULL);
    AUTO(HttpClient) client = open_client((HttpClientOptions){0});
    for (size_t i = 0; i < COUNT(CASES); i++) {
        const HttpReply *reply = NULL;
        Err err = {0};
        const char *url = test_web_url(web, "/echo");
        if (!CHECK_OK(
                http_client_call(client, CASES[i].method, url, headers, span_of(CASES[i].body), &reply, &err),
                &err))
            continue;
        CHECK(reply->status == 200);
        CHECK_SPAN(buf_view(&reply->body), CASES[i].want);
    }
    test_web_stop(web);
}

static void large_bodies_pass(void) {
    TestWeb *web = test_web_start(on_request, NULL);
    AUTO(HttpClient) client = open_client((HttpClientOptions){.answer_limit = 4 << 20});
    AUTO_BUF body = {0};
    for (size_t i = 0; i < 200000; i++) buf_text(&body, "0123456789");
    const HttpReply *reply = NULL;
    int64_t fastest = INT64_MAX;
    for (int i = 0; i < 4; i++) { /* on a loaded machine one alone may take long for another reason */
        Err err = {0};
        int64_t began = clock_mono_us();
        if (CHECK_OK(http_client_call(client, "POST", test_web_url(web, "/echo"), NULL, buf_view(&body),
                                      &reply, &err),
                     &err))
            CHECK(reply->body.len == body.len + 6);
        if (clock_mono_us() - began < fastest) fastest = clock_mono_us() - began;
    }
    CHECK(fastest < 900000); /* no wait for "100 Continue", which is a second */
    test_web_stop(web);
}

static void reads_fields(void) {
    TestWeb *web = test_web_start(on_request, NULL);
    AUTO(HttpClient) client = open_client((HttpClientOptions){0});
    const HttpReply *reply = NULL;
    Err err = {0};
    REQUIRE(CHECK_OK(
        http_client_call(client, "GET", test_web_url(web, "/fields"), NULL, SPAN_NONE, &reply, &err), &err));
    CHECK(reply->status == 503 && reply->retry_after_ms == 7000);
    CHECK_SPAN(span_of(reply->content_type), "application/json");
    CHECK_SPAN(span_of(reply->allowed_origin), "*");
    REQUIRE(CHECK_OK(
        http_client_call(client, "GET", test_web_url(web, "/moved"), NULL, SPAN_NONE, &reply, &err), &err));
    CHECK(reply->status == 302 && reply->retry_after_ms == 0 && !*reply->allowed_origin);
    test_web_stop(web);
}

static void failures_are_errors(void) {
    TestWeb *web = test_web_start(on_request, NULL);
    const char *const urls[] = {"http://127.0.0.1:1/", "ftp://127.0.0.1/", "not a url", NULL, NULL};
    char hold_url[64], large_url[64];
    snprintf(hold_url, sizeof hold_url, "%s", test_web_url(web, "/hold"));
    snprintf(large_url, sizeof large_url, "%s", test_web_url(web, "/large"));
    const struct {
        const char *url;
        const ErrKind *kind;
    } CASES[] = {{urls[0], &ERR_UNAVAILABLE},
                 {urls[1], &ERR_CONFIG},
                 {urls[2], &ERR_CONFIG},
                 {hold_url, &ERR_UNAVAILABLE}, /* the total time is over */
                 {large_url, &ERR_UNAVAILABLE}};
    AUTO(HttpClient) client = open_client((HttpClientOptions){.total_ms = 150, .answer_limit = 1000});
    for (size_t i = 0; i < COUNT(CASES); i++) {
        const HttpReply *reply = NULL;
        Err err = {0};
        CHECK(!http_client_call(client, "GET", CASES[i].url, NULL, SPAN_NONE, &reply, &err));
        CHECK(err.kind == CASES[i].kind);
    }
    const HttpReply *reply = NULL; /* and the client works on */
    Err err = {0};
    CHECK_OK(http_client_call(client, "GET", test_web_url(web, "/echo"), NULL, SPAN_NONE, &reply, &err),
             &err);
    Task task = {.run = release};
    loop_post(test_web_loop(web), &task);
    test_web_stop(web);
}

static unsigned held_before;

static void *interrupt_soon(void *client) {
    for (int i = 0; i < 4000 && atomic_load(&held_count) == held_before; i++) clock_sleep_ms(5);
    http_client_interrupt(client);
    return NULL;
}

static void an_interrupt_ends_the_wait(void) {
    TestWeb *web = test_web_start(on_request, NULL);
    AUTO(HttpClient) client = open_client((HttpClientOptions){0});
    pthread_t thread;
    held_before = atomic_load(&held_count);
    pthread_create(&thread, NULL, interrupt_soon, client);
    const HttpReply *reply = NULL;
    Err err = {0};
    int64_t began = clock_mono_us();
    CHECK(!http_client_call(client, "GET", test_web_url(web, "/hold"), NULL, SPAN_NONE, &reply, &err));
    CHECK(err.kind == &ERR_UNAVAILABLE);
    CHECK(clock_mono_us() - began < 25000000); /* it would have given up by itself after 30 s */
    pthread_join(thread, NULL);
    Task task = {.run = release};
    loop_post(test_web_loop(web), &task);
    test_web_stop(web);
}

static void reconnects_after_a_restart(void) {
    TestWeb *web = test_web_start(on_request, NULL);
    unsigned port = test_web_port(web);
    AUTO(HttpClient) client = open_client((HttpClientOptions){0});
    const HttpReply *reply = NULL;
    Err err = {0};
    CHECK_OK(http_client_call(client, "POST", test_web_url(web, "/echo"), NULL, SPAN("1"), &reply, &err),
             &err);
    test_web_stop(web);
    web = test_web_start_at(port, on_request, NULL);
    CHECK_OK(http_client_call(client, "POST", test_web_url(web, "/echo"), NULL, SPAN("2"), &reply, &err),
             &err);
    test_web_stop(web);
}

/* Answers nobody until all are there. */
typedef struct Crowd {
    HttpExchange *waiting[HTTP_CALLS];
    size_t count;
} Crowd;

static void on_crowd(void *user, HttpExchange *x) {
    Crowd *crowd = user;
    crowd->waiting[crowd->count++] = x;
    if (crowd->count < HTTP_CALLS) return;
    while (crowd->count) {
        HttpExchange *first = crowd->waiting[--crowd->count];
        int length = (int)http_body(first).len;
        test_web_answer(first, length == 1003 ? 503 : 200, length == 1003 ? "" : "taken");
    }
}

static void check_crowd(TestWeb *web, HttpClient *client, int64_t connections) {
    static const char BYTES[1000 + HTTP_CALLS];
    char url[256];
    HttpCall calls[HTTP_CALLS];
    REQUIRE(span_copy(span_of(test_web_url(web, "/")), url, sizeof url));
    for (size_t i = 0; i < HTTP_CALLS; i++)
        calls[i] = (HttpCall){.method = "POST", .url = url, .body = {BYTES, 1000 + i}};
    for (int round = 0; round < 3; round++) {
        http_client_calls(client, calls, HTTP_CALLS);
        for (size_t i = 0; i < HTTP_CALLS; i++) {
            if (!CHECK_OK(calls[i].reply != NULL, &calls[i].why)) continue;
            CHECK(calls[i].reply->status == (i == 3 ? 503 : 200));
            CHECK_SPAN(buf_view(&calls[i].reply->body), i == 3 ? "" : "taken");
        }
        CHECK(test_web_connections(web) == connections);
    }
}

static void calls_are_made_together(void) {
    char certificate[256], key[256];
    Err err = {0};
    AUTO(HttpTls) tls = NULL;
    test_certificate(test_folder(), "localhost", certificate, key);
    REQUIRE(CHECK_OK(http_tls_open(&(HttpTlsOptions){certificate, key}, &tls, &err), &err));
    for (int secure = 0; secure < 2; secure++) {
        Crowd crowd = {0};
        AUTO(HttpClient) client = open_client((HttpClientOptions){.ca_file = certificate, .multiplex = true});
        TestWeb *web = test_web_start_tls(secure ? tls : NULL, on_crowd, &crowd);
        check_crowd(web, client, secure ? 1 : HTTP_CALLS);
        test_web_stop(web);
    }
}

SUITE("http_client", TEST(carries_method_fields_body), TEST(large_bodies_pass), TEST(reads_fields),
      TEST(failures_are_errors), TEST(an_interrupt_ends_the_wait), TEST(reconnects_after_a_restart),
      TEST(calls_are_made_together));
