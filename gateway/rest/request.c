#include "gateway/rest/request.h"

#include "base/clock.h"
#include "base/uuid.h"
#include "gateway/rest/answer.h"
#include <stdio.h>

bool is_visible_ascii(Span text, size_t most) {
    if (!text.len || text.len > most) return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < 0x21 || text.at[i] > 0x7e) return false;
    return true;
}

static bool is_hex(Span text) {
    bool some = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
        some |= c != '0';
    }
    return some; /* all zero is invalid */
}

bool traceparent_is_valid(Span t) {
    return t.len == TRACEPARENT - 1 && !memcmp(t.at, "00-", 3) && t.at[35] == '-' && t.at[52] == '-' &&
           is_hex((Span){t.at + 3, 32}) && is_hex((Span){t.at + 36, 16}) &&
           (is_hex((Span){t.at + 53, 2}) || !memcmp(t.at + 53, "00", 2));
}

static void make_traceparent(char out[TRACEPARENT]) {
    unsigned char bytes[24];
    do random_bytes(bytes, sizeof bytes);
    while (!bytes[0] || !bytes[16]); /* never all zero */
    char hex[49];
    for (size_t i = 0; i < sizeof bytes; i++) snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    snprintf(out, TRACEPARENT, "00-%.32s-%.16s-01", hex, hex + 32);
}

static Span media_type(Span header) {
    Span parameters;
    return span_trim(span_split(header, ';', &parameters));
}

static bool accepts_protobuf(const HttpExchange *x) {
    for (Span rest = http_header(x, "accept"); rest.at;)
        if (span_equal_nocase(media_type(span_split(rest, ',', &rest)), SPAN("application/x-protobuf")))
            return true;
    return false;
}

Request *request_new(Worker *worker, HttpExchange *x) {
    Request *r = http_alloc(x, sizeof *r);
    if (!r) return NULL;
    *r = (Request){.x = x, .worker = worker, .gateway = worker->gateway};
    r->wants_protobuf = accepts_protobuf(x);
    r->if_none_match = http_header(x, "if-none-match");
    Span given = http_header(x, "x-correlation-id");
    if (is_visible_ascii(given, CORRELATION_ID - 1)) {
        span_copy(given, r->correlation_id, sizeof r->correlation_id);
    } else {
        Uuid made = uuid_v7();
        uuid_format(&made, r->correlation_id);
    }
    Span trace = http_header(x, "traceparent");
    if (traceparent_is_valid(trace))
        span_copy(trace, r->traceparent, sizeof r->traceparent);
    else
        make_traceparent(r->traceparent);
    return r;
}

Span request_bearer(const HttpExchange *x) {
    Span token, scheme = span_split(http_header(x, "authorization"), ' ', &token);
    return span_equal_nocase(scheme, SPAN("Bearer")) ? span_trim(token) : SPAN_NONE;
}

bool request_authorise(Request *r) {
    if (r->route->access & ACCESS_PUBLIC) return true;
    Span token = request_bearer(r->x);
    Err err = {0};
    if (!token.len) {
        answer_problem(r, &ERR_UNAUTHENTICATED, "a bearer token is needed");
        return false;
    }
    if (!token_check(r->worker->tokens, token, clock_now_us(), &r->claims, &err)) {
        answer_err(r, &err);
        return false;
    }
    if ((r->claims.scope_bits & r->route->access) == r->route->access) return true;
    answer_problem(r, &ERR_FORBIDDEN, "the token lacks a scope that this call needs");
    return false;
}

bool request_is_protobuf(const Request *r) {
    return span_equal_nocase(media_type(http_header(r->x, "content-type")), SPAN("application/x-protobuf"));
}

static bool is_json(const Request *r) {
    return span_equal_nocase(media_type(http_header(r->x, "content-type")), SPAN("application/json"));
}

bool request_body_fits(Request *r) {
    size_t len = http_body(r->x).len;
    if (r->route->body == BODY_MESSAGE && !is_json(r) && !request_is_protobuf(r)) {
        answer_problem(r, &ERR_UNSUPPORTED, "the body is application/json or application/x-protobuf");
        return false;
    }
    if (r->route->body == BODY_NONE || len <= r->route->body_limit) return true;
    answer_problem(r, &ERR_TOO_LARGE, "the body is longer than this call allows");
    return false;
}

bool request_prospect_id(Request *r, int64_t *ret) {
    uint64_t id;
    if (span_to_u64(r->param, ((uint64_t)1 << 53) - 1, &id) && id && r->param.at[0] != '0') {
        *ret = (int64_t)id;
        return true;
    }
    answer_problem(r, &ERR_NOT_FOUND, "no such prospect");
    return false;
}

bool request_limit(Request *r, size_t most, size_t fallback, size_t *ret) {
    Span text;
    uint64_t value = fallback;
    bool given = http_query_value(r->x, "limit", &text);
    if (given && (!span_to_u64(text, most, &value) || !value)) return false;
    *ret = value;
    return true;
}

bool request_accepts_gzip(const Request *r) {
    for (Span rest = http_header(r->x, "accept-encoding"); rest.at;) {
        Span quality, one = span_trim(span_split(span_split(rest, ',', &rest), ';', &quality));
        if (span_equal_nocase(one, SPAN("gzip"))) return !span_is(span_trim(quality), "q=0");
    }
    return false;
}

/* If-None-Match: a list of entity tags, compared weakly (RFC 9110, section 13.1.2). */
bool tag_listed(Span list, Span tag) {
    for (Span rest = list; rest.at;) {
        Span one = span_trim(span_split(rest, ',', &rest));
        if (span_starts(one, SPAN("W/"))) one.at += 2, one.len -= 2;
        if (span_equal(one, tag) || span_is(one, "*")) return true;
    }
    return false;
}
