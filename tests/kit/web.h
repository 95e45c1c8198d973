/* A real HTTP server on a free port of loopback, with a loop and thread of its own, for tests of what talks
 * to one. */
#pragma once
#include "net/http_server.h"

typedef struct TestWeb TestWeb;
TestWeb *test_web_start(void (*on_request)(void *user, HttpExchange *x), void *user);
TestWeb *test_web_start_at(unsigned port, void (*on_request)(void *user, HttpExchange *x), void *user);
TestWeb *test_web_start_tls(HttpTls *tls, void (*on_request)(void *user, HttpExchange *x), void *user);
void test_web_stop(TestWeb *web);
unsigned test_web_port(const TestWeb *web);
int64_t test_web_connections(const TestWeb *web);         /* that are open */
const char *test_web_url(TestWeb *web, const char *path); /* overwritten by the next call */
Loop *test_web_loop(TestWeb *web);
void test_web_answer(HttpExchange *x, int status, const char *body);
