/* call_begin.c - from the head of a request to a call: which one, in which protocol, until when, and whose.
 * Nothing of the body is taken before the token has been looked at. */
#include "gateway/rpc/call.h"

#include "base/clock.h"
#include "base/uuid.h"
#include "gateway/rest/request.h"
#include "gateway/tracing.h"

#define ENCODINGS "identity,gzip"

/* A deadline further away is as good as none, and keeps the arithmetic small. */
enum { DEADLINE_MAX_S = 7 * 86400 };

const char *call_correlation(Call *c) {
    if (*c->correlation_id) return c->correlation_id;
    Uuid made = uuid_v7();
    uuid_format(&made, c->correlation_id);
    return c->correlation_id;
}

const char *call_traceparent(Call *c) {
    if (!*c->traceparent) traceparent_continue(http_header(c->x, "traceparent"), c->traceparent);
    return c->traceparent;
}

/* --- the protocol --- */

/* Connect's GET has its media type in the query. */
static RpcMedia media_of_get(HttpExchange *x) {
    Span encoding;
    if (!http_query_value(x, "encoding", &encoding)) return (RpcMedia){0};
    if (span_is(encoding, "json")) return rpc_media_read(SPAN("application/json"));
    return rpc_media_read(span_is(encoding, "proto") ? SPAN("application/proto") : SPAN_NONE);
}

/* Where the answer is one message, Connect has no frames, and where it is a stream it has. */
static bool media_fits(const RpcMethod *m, RpcProtocol protocol) {
    bool stream = m && (m->client_streaming || m->server_streaming);
    if (protocol == RPC_NONE) return false;
    return protocol == RPC_CONNECT ? !stream : protocol != RPC_CONNECT_STREAM || stream;
}

static bool begin_media(Call *c) {
    HttpExchange *x = c->x;
    Span method = http_method(x);
    c->get = c->method && c->method->no_side_effects && span_is(method, "GET");
    c->form.media = c->get ? media_of_get(x) : rpc_media_read(http_header(x, "content-type"));
    if (!c->get && !span_is(method, "POST")) {
        HttpField allow = {"allow", c->method && c->method->no_side_effects ? SPAN("OPTIONS, GET, POST")
                                                                            : SPAN("OPTIONS, POST")};
        call_refuse_http(c, 405, "method_not_allowed", allow);
        return false;
    }
    if (!media_fits(c->method, c->form.media.protocol)) {
        HttpField understood = {"accept-post",
                                SPAN("application/grpc, application/grpc-web, application/grpc-web-text, "
                                     "application/proto, application/json, application/connect+proto, "
                                     "application/connect+json")};
        call_refuse_http(c, 415, "unsupported_media_type", understood);
        return false;
    }
    if (c->form.media.protocol != RPC_GRPC || http_is_h2(x)) return true;
    call_refuse_http(c, 505, "version_not_supported", (HttpField){"upgrade", SPAN("h2c")});
    return false;
}

/* --- encodings --- */

static Span encoding_of(Call *c) {
    Span text = SPAN_NONE;
    switch (c->form.media.protocol) {
    case RPC_CONNECT:
        if (!c->get) return http_header(c->x, "content-encoding");
        http_query_value(c->x, "compression", &text);
        return text;
    case RPC_CONNECT_STREAM: return http_header(c->x, "connect-content-encoding");
    default: return http_header(c->x, "grpc-encoding");
    }
}

static const char *accept_field(const Call *c) {
    switch (c->form.media.protocol) {
    case RPC_CONNECT: return "accept-encoding";
    case RPC_CONNECT_STREAM: return "connect-accept-encoding";
    default: return "grpc-accept-encoding";
    }
}

static bool begin_encoding(Call *c) {
    c->encoding = rpc_encoding_read(encoding_of(c));
    c->form.gzip = rpc_accepts_gzip(http_header(c->x, accept_field(c)));
    if (c->encoding != RPC_ENCODING_UNKNOWN) return true;
    call_fail_with(c, RPC_UNIMPLEMENTED, "messages may come in these encodings: " ENCODINGS);
    return false;
}

/* --- the deadline --- */

static bool begin_deadline(Call *c) {
    bool connect = c->form.media.protocol == RPC_CONNECT || c->form.media.protocol == RPC_CONNECT_STREAM;
    Span text = http_header(c->x, connect ? "connect-timeout-ms" : "grpc-timeout");
    int64_t us = 0, most = (int64_t)DEADLINE_MAX_S * 1000000;
    if (!text.at) return true;
    if (!(connect ? rpc_timeout_ms_read(text, &us) : rpc_timeout_read(text, &us))) {
        call_fail_with(c, RPC_INVALID_ARGUMENT, "the time limit is malformed");
        return false;
    }
    c->deadline_us = loop_now_us(c->worker->loop) + (us < most ? us : most);
    if (us > 0) return true;
    call_fail_with(c, RPC_DEADLINE_EXCEEDED, "the deadline has passed");
    return false;
}

/* --- who --- */

bool call_admit(Call *c) {
    if (!c->method->scope) return true; /* health and reflection tell nothing that is secret */
    Span token = request_bearer(c->x);
    Err err = {0};
    unsigned scope = scopes_parse(span_of(c->method->scope), NULL);
    if (!token.len)
        call_fail_with(c, RPC_UNAUTHENTICATED, "a bearer token is needed");
    else if (!token_check(c->worker->tokens, token, clock_now_us(), &c->claims, &err))
        call_fail_err(c, &err);
    else if ((c->claims.scope_bits & scope) != scope)
        call_fail_with(c, RPC_PERMISSION_DENIED, "the token lacks a scope that this call needs");
    else
        return true;
    return false;
}

static void begin_trace(Call *c) {
    TraceSpan *room = trace_on() ? http_alloc(c->x, sizeof *room) : NULL;
    if (!room) return;
    const char *name = c->method->path + 1; /* "events.v1.ProspectQueries/GetProspect" */
    c->span =
        trace_begin_edge(room, TRACE_SERVER, name, NULL, http_header(c->x, "traceparent"), c->traceparent);
    bool connect = c->form.media.protocol == RPC_CONNECT || c->form.media.protocol == RPC_CONNECT_STREAM;
    trace_word(c->span, "rpc.system", connect ? "connect_rpc" : "grpc");
    trace_word(c->span, "rpc.service", c->method->service);
    trace_word(c->span, "rpc.method", c->method->name);
    trace_word(c->span, "url.scheme", http_is_tls(c->x) ? "https" : "http");
    trace_word(c->span, "network.protocol.version", http_is_h2(c->x) ? "2" : "1.1");
    trace_id(c->span, "events.correlation_id", span_of(call_correlation(c)));
}

bool call_begin(Call *c) {
    Span given = http_header(c->x, "x-correlation-id");
    if (is_visible_ascii(given, CALL_CORRELATION - 1))
        span_copy(given, c->correlation_id, sizeof c->correlation_id);
    if (!begin_media(c)) return false;
    if (!c->method) {
        call_fail_with(c, RPC_UNIMPLEMENTED, "there is no such call");
        return false;
    }
    begin_trace(c);
    return begin_encoding(c) && begin_deadline(c) && call_admit(c);
}
