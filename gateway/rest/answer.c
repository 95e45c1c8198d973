#include "gateway/rest/answer.h"

#include "base/log.h"
#include "gateway/auth/origin.h"
#include "gateway/failure_log.h"
#include "gateway/rest/compress.h"
#include "gateway/tracing.h"
#include "net/http_stream.h"
#include "net/websocket/websocket.h"
#include "wire/problem.h"
#include <stdio.h>

enum { FIELDS_MAX = ANSWER_FIELDS + 12, CSP_MAX = 512 };

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
static void add_policy(Fields *f, const Request *r, const char *what) {
    char own[160] = "";
    if (is_plain_authority(r->authority))
        snprintf(own, sizeof own, " %s://%.*s", r->secure ? "wss" : "ws", SPAN_ARGS(r->authority));
    int len = snprintf(f->csp, sizeof f->csp, "%s; connect-src 'self'%s; frame-ancestors 'none'", what, own);
    add(f, "content-security-policy", (Span){f->csp, (size_t)len});
}

/* A page may load what is ours and nothing else, and no inline script or style. A script may be a worker's,
 * which obeys its own policy and not the page's: it connects and loads nothing. The rest is data, whoever may
 * take it for a page. 304 says nothing: its fields replace those of the page that the browser has stored (RFC
 * 9111 section 3.2). */
static void add_policies(Fields *f, const Request *r, const Answer *a) {
    if (a->status == 304) return;
    Span type = span_of(a->media_type ? a->media_type : "");
    if (span_starts(type, SPAN("text/html"))) {
        add_policy(f, r,
                   "default-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none';"
                   " base-uri 'none'; form-action 'self'");
        add(f, "cross-origin-opener-policy", SPAN("same-origin"));
    } else if (span_starts(type, SPAN("text/javascript"))) {
        add_policy(f, r, "default-src 'none'");
    } else {
        add(f, "content-security-policy", SPAN("default-src 'none'; frame-ancestors 'none'"));
    }
}

static void add_security(Fields *f, const Request *r, const Answer *a) {
    add_policies(f, r, a);
    add(f, "x-content-type-options", SPAN("nosniff"));
    add(f, "referrer-policy", SPAN("no-referrer"));
    if (r->secure) add(f, "strict-transport-security", SPAN("max-age=31536000"));
}

static void add_cors(Fields *f, const Request *r) {
    Span origin = http_header(r->x, "origin");
    if (!origin.len || !origin_listed(origin, r->gateway->allowed_origins)) return;
    add(f, "access-control-allow-origin", origin);
    add(f, "access-control-expose-headers",
        SPAN("Allow, ETag, Location, Retry-After, WWW-Authenticate, X-Correlation-Id, X-Events-Epoch,"
             " X-Events-Position"));
}

/* What the answer depends on besides the target, whether or not it came out differently this time. */
static void add_vary(Fields *f, const Request *r, const Answer *a) {
    static const char *const LISTS[] = {
        "",       "Accept",         "Accept-Encoding",         "Accept, Accept-Encoding",
        "Origin", "Accept, Origin", "Accept-Encoding, Origin", "Accept, Accept-Encoding, Origin"};
    unsigned vary = a->vary;
    if (r->route && r->route->offers) vary |= VARY_ACCEPT;
    if (r->route && r->route->flags & ROUTE_COMPRESSES) vary |= VARY_ENCODING;
    if (*r->gateway->allowed_origins) vary |= VARY_ORIGIN;
    if (vary) add(f, "vary", span_of(LISTS[vary]));
}

/* The route's own path: what the caller put into the path and behind the '?' may be a name. */
static void log_answer(Request *r, int status) {
    tracing_answered(r, status);
    counts_answered(r->worker->counts, status, r->began_us, loop_now_us(r->worker->loop));
    log_debug("request answered", LOG_TEXT("method", r->route ? r->route->method : ""),
              LOG_TEXT("route", r->route ? r->route->path : ""), LOG_INT("status", status));
}

static void add_all(Fields *f, const Request *r, const Answer *a) {
    f->at[0] = (HttpField){"x-correlation-id", span_of(r->correlation_id), .unique = true};
    f->count = 1;
    if (a->media_type) add(f, "content-type", span_of(a->media_type));
    if (!a->cacheable) add(f, "cache-control", SPAN("no-store"));
    for (size_t i = 0; i < a->field_count; i++) add(f, a->fields[i].name, a->fields[i].value);
    add_security(f, r, a);
    add_cors(f, r);
    add_vary(f, r, a);
}

void answer_send(Request *r, Answer *a) {
    Fields f;
    add_all(&f, r, a);
    HttpAnswer answer = {
        .status = a->status ? a->status : 200, .fields = f.at, .field_count = f.count, .blob = a->blob};
    if (!a->blob) answer.body = buf_view(&a->body);
    if (a->body.failed) answer = (HttpAnswer){.status = 500, .fields = f.at, .field_count = f.count};
    log_answer(r, answer.status);
    http_respond(r->x, &answer);
    buf_free(&a->body);
}

void answer_stream(Request *r, const Answer *a) {
    Fields f;
    add_all(&f, r, a);
    HttpAnswer answer = {.status = a->status ? a->status : 200, .fields = f.at, .field_count = f.count};
    log_answer(r, answer.status);
    http_stream_head(r->x, &answer);
}

void answer_status(Request *r, int status) {
    answer_send(r, &(Answer){.status = status});
}

void answer_message(const Request *r, Answer *a, const ProtobufCMessage *message) {
    a->media_type = r->wants_protobuf ? "application/x-protobuf" : "application/json";
    if (r->wants_protobuf)
        message_pack(message, &a->body);
    else
        message_to_json(message, &a->body);
}

void answer_compress(const Request *r, Answer *a) {
    Buf packed = {0};
    bool done = !r->coding || a->status || a->body.failed || a->body.len < COMPRESS_LEAST;
    if (!done && compress_bytes(r->coding, buf_view(&a->body), &packed) && packed.len < a->body.len) {
        Buf plain = a->body;
        a->body = packed;
        packed = plain;
        answer_field(a, "content-encoding", span_of(coding_name(r->coding)));
    }
    buf_free(&packed);
}

void answer_fill_problem(const Request *r, Answer *a, int status, const char *code, const char *detail,
                         const FieldFaults *faults) {
    a->status = status;
    a->media_type = "application/problem+json";
    problem_write(&a->body, code, status, detail, r->correlation_id, faults);
    if (status == 401) answer_field(a, "www-authenticate", SPAN("Bearer"));
    if (status == 503) answer_field(a, "retry-after", SPAN("1"));
}

bool answer_conditions(const Request *r, Answer *a, Span tag) {
    answer_field(a, "etag", tag);
    bool met = !r->if_match.at || tag_listed_strongly(r->if_match, tag);
    if (met && !tag_listed(r->if_none_match, tag)) return true;
    a->blob = NULL;
    a->media_type = NULL;
    if (met)
        a->status = 304;
    else
        answer_fill_problem(r, a, 412, "precondition_failed", "If-Match names another version", NULL);
    return false;
}

void answer_faults(Request *r, int status, const char *code, const char *detail, const FieldFaults *faults) {
    Answer a = {0};
    answer_fill_problem(r, &a, status, code, detail, faults);
    answer_send(r, &a);
}

void answer_refusal(Request *r, const ErrKind *kind, const char *detail, HttpField field) {
    Answer a = {0};
    answer_fill_problem(r, &a, kind->http, kind->code, detail, NULL);
    answer_field(&a, field.name, field.value);
    answer_send(r, &a);
}

void answer_no_websocket(Request *r, const Err *err) {
    Answer a = {0};
    WebSocketRefusal refusal = websocket_refusal(r->x);
    answer_fill_problem(r, &a, refusal.status, http_problem_code(refusal.status), err->why, NULL);
    for (size_t i = 0; i < refusal.field_count; i++)
        answer_field(&a, refusal.fields[i].name, refusal.fields[i].value);
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

void answer_err(Request *r, const Err *err) {
    if (err->kind->http < 500) {
        answer_problem(r, err->kind, err->why);
        return;
    }
    failure_log(r->worker, r->route ? r->route->path : "none", r->correlation_id, err);
    const ErrKind *told = err->kind->retry ? &ERR_UNAVAILABLE : &ERR_INTERNAL;
    answer_problem(r, told, err->kind->retry ? "a part of the system is not available; try again" : "");
}
