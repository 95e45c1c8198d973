#include "gateway/rest/request.h"

#include "base/clock.h"
#include "base/uuid.h"
#include "gateway/rest/answer.h"
#include "gateway/tracing.h"

bool is_visible_ascii(Span text, size_t most) {
    if (!text.len || text.len > most) return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < 0x21 || text.at[i] > 0x7e) return false;
    return true;
}

const char *request_traceparent(Request *r) {
    if (!*r->traceparent) traceparent_continue(http_header(r->x, "traceparent"), r->traceparent);
    return r->traceparent;
}

static Span media_type(Span header) {
    Span parameters;
    return span_trim(span_split(header, ';', &parameters));
}

static Span first_of(Span list) {
    Span rest;
    return span_trim(span_split(list, ',', &rest));
}

static void look_behind_proxy(Request *r) {
    const Proxies *proxies = r->gateway->proxies;
    r->peer = http_peer(r->x);
    r->authority = http_authority(r->x);
    r->secure = http_is_tls(r->x);
    if (!proxies_trust(proxies, r->peer)) return;
    r->peer = proxies_client(proxies, r->peer, http_header_list(r->x, "x-forwarded-for"));
    Span scheme = first_of(http_header_list(r->x, "x-forwarded-proto"));
    Span authority = first_of(http_header_list(r->x, "x-forwarded-host"));
    if (scheme.len) r->secure = span_equal_nocase(scheme, SPAN("https"));
    if (authority.len) r->authority = authority;
}

Request *request_new(Worker *worker, HttpExchange *x) {
    Request *r = http_alloc(x, sizeof *r);
    if (!r) return NULL;
    *r = (Request){
        .x = x, .worker = worker, .gateway = worker->gateway, .began_us = loop_now_us(worker->loop)};
    look_behind_proxy(r);
    r->if_match = http_header_list(x, "if-match");
    r->if_none_match = http_header_list(x, "if-none-match");
    Span given = http_header(x, "x-correlation-id");
    if (is_visible_ascii(given, CORRELATION_ID - 1)) {
        span_copy(given, r->correlation_id, sizeof r->correlation_id);
    } else {
        Uuid made = uuid_v7();
        uuid_format(&made, r->correlation_id);
    }
    return r;
}

Span request_bearer(const HttpExchange *x) {
    Span token, scheme = span_split(http_header(x, "authorization"), ' ', &token);
    return span_equal_nocase(scheme, SPAN("Bearer")) ? span_trim(token) : SPAN_NONE;
}

bool request_authorise(Request *r) {
    unsigned scopes = r->route->access & ~(unsigned)ACCESS_OPTIONAL;
    if (scopes & ACCESS_PUBLIC) return true;
    if (scopes != r->route->access && !http_header(r->x, "authorization").at) return true;
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
    if ((r->claims.scope_bits & scopes) == scopes) return true;
    answer_problem(r, &ERR_FORBIDDEN, "the token lacks a scope that this call needs");
    return false;
}

bool request_negotiate(Request *r) {
    const Route *route = r->route;
    if (route->offers) {
        r->media_type = accept_choose(http_header_list(r->x, "accept"), route->offers);
        r->wants_protobuf = r->media_type && !strcmp(r->media_type, "application/x-protobuf");
    }
    bool ok = !route->offers || r->media_type;
    if (ok && route->flags & ROUTE_COMPRESSES)
        ok = coding_choose(http_header_list(r->x, "accept-encoding"), CODINGS_ALL, &r->coding);
    if (!ok)
        answer_problem(r, &ERR_NOT_ACCEPTABLE, "there is nothing here that Accept and Accept-Encoding allow");
    return ok;
}

bool request_is_protobuf(const Request *r) {
    return span_equal_nocase(media_type(http_header(r->x, "content-type")), SPAN("application/x-protobuf"));
}

static bool is_json(const Request *r) {
    return span_equal_nocase(media_type(http_header(r->x, "content-type")), SPAN("application/json"));
}

/* What would have been understood stands in the answer (RFC 9110 section 15.5.16). Bodies are small and
 * inflating them would take a loop's time, so none is taken compressed. */
static bool refuse_media(Request *r, const char *field, const char *understood, const char *why) {
    answer_refusal(r, &ERR_UNSUPPORTED, why, (HttpField){field, span_of(understood)});
    return false;
}

bool request_body_fits(Request *r) {
    size_t len = http_body(r->x).len;
    if (r->route->body == BODY_NONE) return true;
    Span coding = http_header_list(r->x, "content-encoding");
    if (r->route->body == BODY_MESSAGE && !is_json(r) && !request_is_protobuf(r))
        return refuse_media(r, "accept", "application/json, application/x-protobuf",
                            "the body is application/json or application/x-protobuf");
    if (coding.len && !span_equal_nocase(coding, SPAN("identity")))
        return refuse_media(r, "accept-encoding", "identity", "the body comes without a content coding");
    if (len <= r->route->body_limit) return true;
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
