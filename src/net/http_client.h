/* A blocking HTTP client over libcurl, for the worker programs: one connection kept alive per client, one
 * thread. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

typedef struct HttpClient HttpClient;
typedef struct HttpClientOptions {
    const char *ca_file; /* trusted besides the system's; NULL: the system's only */
    int64_t connect_ms;  /* 0: 3000 */
    int64_t total_ms;    /* 0: 30000 */
    size_t answer_limit; /* bytes; 0: 1 MiB */
    /* Calls that are made together share one connection, by HTTP/2, where TLS agrees on it. In the clear, and
     * where false, each has a connection of HTTP/1.1. */
    bool multiplex;
} HttpClientOptions;
typedef struct HttpReply {
    int status;
    Buf body;               /* owned by the client, valid until its next call */
    int64_t retry_after_ms; /* from Retry-After, 0 where absent */
    char content_type[96];
    char allowed_origin[256]; /* WebHook-Allowed-Origin */
} HttpReply;

bool http_client_open(const HttpClientOptions *options, HttpClient **ret, Err *err);
HttpClient *http_client_free(HttpClient *client);
AUTO_FREE(HttpClient, http_client_free)
/* headers: "Name: value" lines, ended by NULL. An answer of any status is true; ERR_UNAVAILABLE where none
 * came. */
bool http_client_call(HttpClient *client, const char *method, const char *url, const char *const *headers,
                      Span body, const HttpReply **ret, Err *err);

enum { HTTP_CALLS = 8 };
typedef struct HttpCall {
    const char *method, *url;
    const char *const *headers; /* as above */
    Span body;
    const HttpReply *reply; /* NULL where no answer came, which `why` then tells */
    Err why;
} HttpCall;
/* Up to HTTP_CALLS calls at the same time; returns when each has its answer or will have none. */
void http_client_calls(HttpClient *client, HttpCall *calls, size_t count);
/* Any thread: the calls in flight and every later one end at once with ERR_UNAVAILABLE. For shutting down. */
void http_client_interrupt(HttpClient *client);
