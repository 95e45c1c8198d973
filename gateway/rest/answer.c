#include "gateway/rest/answer.h"

#include "base/log.h"
#include "gateway/auth/origin.h"
#include "gateway/tracing.h"
#include "wire/problem.h"
#include <stdio.h>

enum { FIELDS_MAX = ANSWER_FIELDS + 12, CSP_MAX = 512, FAILURES_PER_SECOND = 20 };

void answer_field(Answer *a, const char *name, Span value) {
    if (a->field_count == ANSWER_FIELDS) abort();
    a->fields[a->field_count++] = (HttpField){name, value};
}

typedef struct Fields {
    HttpField at[FIELDS_MAX];
    size_t count;
    char csp[CSP_MAX];
} Fields;

static void add(Fields *f, const char *name, Span value) {
    f->at[f->count++] = (HttpField){name, value};
}

/* The authority comes from the client and goes into a header that lists sources: only what a host and port
 * are made of. */
static bool is_plain_authority(Span authority) {
    for (size_t i = 0; i < authority.len; i++) {
        char c = authority.at[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && (!c || !strchr(".-:[]", c))) return false;
    }
    return authority.len > 0 && authority.len < 128;
}

/* 'self' covers the stream's ws: and wss: in today's browsers but not in those of 2021; so its own address is
 * named. */
static void add_security(Fields *f, const HttpExchange *x) {
    Span authority = http_authority(x);
    char own[160] = "";
    if (is_plain_authority(authority))
        snprintf(own, sizeof own, " %s://%.*s", http_is_tls(x) ? "wss" : "ws", SPAN_ARGS(authority));
    int len = snprintf(f->csp, sizeof f->csp,
                       "default-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'%s;"
                       " object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
                       own);
    add(f, "content-security-policy", (Span){f->csp, (size_t)len});
    add(f, "x-content-type-options", SPAN("nosniff"));
    add(f, "referrer-policy", SPAN("no-referrer"));
    if (http_is_tls(x)) add(f, "strict-transport-security", SPAN("max-age=31536000"));
}

static void add_cors(Fields *f, const Request *r) {
    Span origin = http_header(r->x, "origin");
    if (!origin_listed(origin, r->gateway->allowed_origins)) return;
    add(f, "access-control-allow-origin", origin);
    add(f, "access-control-expose-headers",
        SPAN("ETag, Location, Retry-After, X-Correlation-Id, X-Events-Epoch, X-Events-Position"));
    add(f, "vary", SPAN("Origin"));
}

/* The route's own path: what the caller put into the path and behind the '?' may be a name. */
static void log_answer(Request *r, int status) {
    tracing_answered(r, status);
    log_debug("request answered", LOG_TEXT("method", r->route ? r->route->method : ""),
              LOG_TEXT("route", r->route ? r->route->path : ""), LOG_INT("status", status));
}

void answer_send(Request *r, Answer *a) {
    Fields f = {0};
    add(&f, "x-correlation-id", span_of(r->correlation_id));
    if (a->media_type) add(&f, "content-type", span_of(a->media_type));
    if (!a->cacheable) add(&f, "cache-control", SPAN("no-store"));
    for (size_t i = 0; i < a->field_count; i++) add(&f, a->fields[i].name, a->fields[i].value);
    add_security(&f, r->x);
    add_cors(&f, r);
    HttpAnswer answer = {
        .status = a->status ? a->status : 200, .fields = f.at, .field_count = f.count, .blob = a->blob};
    if (!a->blob) answer.body = buf_view(&a->body);
    if (a->body.failed) answer = (HttpAnswer){.status = 500, .fields = f.at, .field_count = f.count};
    log_answer(r, answer.status);
    http_respond(r->x, &answer);
    buf_free(&a->body);
}

void answer_status(Request *r, int status) {
    answer_send(r, &(Answer){.status = status});
}

void answer_message(const Request *r, Answer *a, const ProtobufCMessage *message) {
    bool binary = r->wants_protobuf;
    a->media_type = binary ? "application/x-protobuf" : "application/json";
    if (binary)
        message_pack(message, &a->body);
    else
        message_to_json(message, &a->body);
}

void answer_faults(Request *r, int status, const char *code, const char *detail, const FieldFaults *faults) {
    Answer a = {.status = status, .media_type = "application/problem+json"};
    problem_write(&a.body, code, status, detail, r->correlation_id, faults);
    if (status == 401) answer_field(&a, "www-authenticate", SPAN("Bearer"));
    if (status == 503) answer_field(&a, "retry-after", SPAN("1"));
    answer_send(r, &a);
}

void answer_problem(Request *r, const ErrKind *kind, const char *detail) {
    answer_faults(r, kind->http, kind->code, detail, NULL);
}

void answer_bad_field(Request *r, const char *field, const char *code) {
    FieldFaults faults = {0};
    field_fault(&faults, field, code);
    answer_faults(r, 400, code, "a parameter is wrong", &faults);
}

/* Whoever sends more than there is room for must not fill the disk besides: a few lines a second tell as much
 * as thousands. */
static void log_failure(const Request *r, const Err *err) {
    FailureLog *log = &r->worker->failures;
    int64_t now = loop_now_us(r->worker->loop);
    if (now - log->second_us >= 1000000) {
        if (log->unsaid) log_warn("more requests failed", LOG_INT("requests", log->unsaid));
        *log = (FailureLog){.second_us = now};
    }
    if (log->said == FAILURES_PER_SECOND) {
        log->unsaid++;
        return;
    }
    log->said++;
    log_warn("request failed", LOG_TEXT("route", r->route ? r->route->path : "none"),
             LOG_TEXT("correlationId", r->correlation_id), LOG_ERR(err));
}

void answer_err(Request *r, const Err *err) {
    if (err->kind->http < 500) {
        answer_problem(r, err->kind, err->why);
        return;
    }
    log_failure(r, err);
    const ErrKind *told = err->kind->retry ? &ERR_UNAVAILABLE : &ERR_INTERNAL;
    answer_problem(r, told, err->kind->retry ? "a part of the system is not available; try again" : "");
}
