/* tracing.c - the collector's address and headers from the settings, and the HTTP client for observe/otlp,
 * which knows no sockets. */
#include "service/tracing.h"

#include "base/log.h"
#include "net/http_client.h"
#include "observe/otlp.h"
#include <stdio.h>

enum {
    URL_MAX = 512,
    HEADERS_MAX = 16,
    CONNECT_MS = 3000,
    ANSWER_MS = 10000,
    ANSWER_MAX = 64 << 10,
    FLUSH_MS = 2000
};
static const char PATH[] = "/v1/traces";

struct Tracing {
    HttpClient *client;
    Otlp *otlp;
    char url[URL_MAX];
    char *headers[HEADERS_MAX + 2]; /* Content-Type first, NULL at the end */
    size_t header_count;
};

static OtlpReply send_traces(void *user, Span body) {
    Tracing *t = user;
    const HttpReply *reply = NULL;
    Err ignored = {0}; /* its status tells enough */
    if (!http_client_call(t->client, "POST", t->url, (const char *const *)t->headers, body, &reply, &ignored))
        return (OtlpReply){0};
    return (OtlpReply){reply->status, reply->retry_after_ms, buf_view(&reply->body)};
}

static void interrupt(void *user) {
    Tracing *t = user;
    http_client_interrupt(t->client);
}

/* --- settings --- */

/* A password in the address would be shown with the settings and in messages. */
static bool make_url(Tracing *t, const char *endpoint, Err *err) {
    Span base = span_of(endpoint), rest;
    while (base.len && base.at[base.len - 1] == '/') base.len--;
    size_t scheme = span_starts(base, SPAN("http://")) ? 7 : span_starts(base, SPAN("https://")) ? 8 : 0;
    Span authority = span_split((Span){base.at + scheme, base.len - scheme}, '/', &rest);
    if (!scheme || !authority.len || memchr(authority.at, '@', authority.len) ||
        strpbrk(endpoint, "?# \t\r\n"))
        return err_set(err, &ERR_CONFIG,
                       "OTEL_EXPORTER_OTLP_ENDPOINT is not http://host:port or https://host:port");
    int len = snprintf(t->url, sizeof t->url, "%.*s%s", SPAN_ARGS(base), PATH);
    return len < (int)sizeof t->url || err_set(err, &ERR_CONFIG, "OTEL_EXPORTER_OTLP_ENDPOINT is too long");
}

static void add_header(Tracing *t, Span name, Span value) {
    char *line = NULL;
    if (asprintf(&line, "%.*s: %.*s", SPAN_ARGS(name), SPAN_ARGS(value)) < 0) abort();
    t->headers[t->header_count++] = line;
}

static bool make_headers(Tracing *t, const char *list, Err *err) {
    add_header(t, SPAN("Content-Type"), SPAN("application/x-protobuf"));
    for (Span rest = span_of(list); rest.len;) {
        Span value, one = span_split(rest, ',', &rest), name = span_trim(span_split(one, '=', &value));
        bool full = t->header_count > HEADERS_MAX;
        if (full || !name.len || !value.at || memchr(one.at, '\r', one.len) || memchr(one.at, '\n', one.len))
            return err_set(err, &ERR_CONFIG, "OTEL_EXPORTER_OTLP_HEADERS is not name=value,name=value");
        add_header(t, name, span_trim(value));
    }
    return true;
}

static bool read_ratio(const Config *config, double *ret, Err *err) {
    const char *text = config_text(config, "OTEL_TRACES_SAMPLER_ARG");
    char *end;
    *ret = strtod(text, &end);
    if (end != text && !*end && *ret >= 0 && *ret <= 1) return true;
    return err_set(err, &ERR_CONFIG, "OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1");
}

/* --- life --- */

static bool open_otlp(Tracing *t, const Config *config, const char *program, Err *err) {
    char own_name[64];
    snprintf(own_name, sizeof own_name, "events-%s", program);
    const char *name = config_text(config, "OTEL_SERVICE_NAME");
    const HttpClientOptions client = {
        .connect_ms = CONNECT_MS, .total_ms = ANSWER_MS, .answer_limit = ANSWER_MAX};
    OtlpOptions options = {.service_name = *name ? name : own_name,
                           .resource_attributes = config_text(config, "OTEL_RESOURCE_ATTRIBUTES"),
                           .send = send_traces,
                           .interrupt = interrupt,
                           .user = t};
    return read_ratio(config, &options.ratio, err) &&
           config_number(config, "OTEL_BSP_SCHEDULE_DELAY", 1, 60000, &options.gather_ms, err) &&
           http_client_open(&client, &t->client, err) && otlp_open(&options, &t->otlp, err);
}

bool tracing_open(const Config *config, const char *program, Tracing **ret, Err *err) {
    const char *endpoint = config_text(config, "OTEL_EXPORTER_OTLP_ENDPOINT");
    *ret = NULL;
    if (!*endpoint || config_flag(config, "OTEL_SDK_DISABLED")) return true;
    AUTO(Tracing) t = must(calloc(1, sizeof *t));
    if (!make_url(t, endpoint, err) ||
        !make_headers(t, config_text(config, "OTEL_EXPORTER_OTLP_HEADERS"), err) ||
        !open_otlp(t, config, program, err))
        return false;
    log_info("tracing");
    *ret = t;
    t = NULL;
    return true;
}

Tracing *tracing_free(Tracing *t) {
    if (!t) return NULL;
    otlp_close(t->otlp, FLUSH_MS);
    http_client_free(t->client);
    for (size_t i = 0; i < t->header_count; i++) free(t->headers[i]);
    free(t);
    return NULL;
}
