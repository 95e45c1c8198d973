#include "kit/web.h"

#include <pthread.h>
#include <stdio.h>

struct TestWeb {
    Loop *loop;
    HttpServer *server;
    pthread_t thread;
    unsigned port;
    bool tls;
    _Atomic int64_t connections;
    char url[256];
};

static void *web_thread(void *user) {
    TestWeb *web = user;
    loop_run(web->loop);
    web->server = http_server_free(web->server);
    return NULL;
}

static TestWeb *start(unsigned port, HttpTls *tls, void (*on_request)(void *user, HttpExchange *x),
                      void *user) {
    TestWeb *web = must(calloc(1, sizeof *web));
    Err err = {0};
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    const HttpServerOptions options = {.on_request = on_request,
                                       .user = user,
                                       .tls = tls,
                                       .body_limit = 4 << 20,
                                       .connections = &web->connections};
    if (!loop_open(&web->loop, &err) ||
        !http_server_open(web->loop, address, HTTP_ALONE, &options, &web->server, &err)) {
        fprintf(stderr, "test web: %s\n", err.why);
        abort();
    }
    web->tls = tls != NULL;
    web->port = http_server_port(web->server);
    if (pthread_create(&web->thread, NULL, web_thread, web)) abort();
    return web;
}

TestWeb *test_web_start_at(unsigned port, void (*on_request)(void *user, HttpExchange *x), void *user) {
    return start(port, NULL, on_request, user);
}

TestWeb *test_web_start_tls(HttpTls *tls, void (*on_request)(void *user, HttpExchange *x), void *user) {
    return start(0, tls, on_request, user);
}

TestWeb *test_web_start(void (*on_request)(void *user, HttpExchange *x), void *user) {
    return test_web_start_at(0, on_request, user);
}

void test_web_stop(TestWeb *web) {
    loop_stop(web->loop);
    pthread_join(web->thread, NULL);
    loop_free(web->loop);
    free(web);
}

unsigned test_web_port(const TestWeb *web) {
    return web->port;
}
int64_t test_web_connections(const TestWeb *web) {
    return web->connections;
}
Loop *test_web_loop(TestWeb *web) {
    return web->loop;
}

const char *test_web_url(TestWeb *web, const char *path) {
    snprintf(web->url, sizeof web->url, "%s:%u%s", web->tls ? "https://localhost" : "http://127.0.0.1",
             web->port, path);
    return web->url;
}

void test_web_answer(HttpExchange *x, int status, const char *body) {
    http_respond(x, &(HttpAnswer){.status = status, .body = span_of(body)});
}
