/* call_answer.c - how a call ends, in the words of its protocol:
 *
 *   gRPC            one message, then trailers; or, where there is none, a head that is the trailers, too
 *   gRPC-Web        one message, then the trailers as a last frame; the whole in base64 as -text
 *   Connect         the message alone; an error is an HTTP status and JSON
 *   Connect stream  a last frame of JSON */
#include "gateway/rpc/call.h"

#include "base/log.h"
#include "gateway/auth/origin.h"
#include "gateway/failure_log.h"
#include "observe/metric.h"
#include "wire/base64.h"
#include "wire/gzip.h"
#include "wire/json/proto_json.h"
#include "wire/message.h"
#include "wire/problem.h"
#include <stdio.h>

enum { COMPRESS_LEAST = 1 << 10, SMALL = 1 << 10 };

/* --- counting --- */

static Metric *answered[RPC_CODE_COUNT];

void call_counters(void) {
    for (int code = 0; code < RPC_CODE_COUNT; code++) {
        char name[96];
        snprintf(name, sizeof name, "events_gateway_rpcs_total{code=\"%s\"}", rpc_code_name((RpcCode)code));
        answered[code] = metric_counter(name, "calls of gRPC, gRPC-Web and Connect by their status");
    }
}

void call_over(Call *c, RpcCode code) {
    if (c->timer.slot) loop_timer_stop(c->worker->loop, &c->timer);
    c->stop = NULL;
    c->ended = true;
    metric_add(answered[code], 1);
    trace_number(c->span, "rpc.grpc.status_code", code);
    bool ours =
        code == RPC_UNKNOWN || code == RPC_INTERNAL || code == RPC_UNAVAILABLE || code == RPC_DATA_LOSS;
    if (c->span && ours) trace_failed(c->span, rpc_code_connect(code));
    trace_end(c->span);
    c->span = NULL;
    log_debug("call answered", LOG_TEXT("call", c->method ? c->method->path : ""),
              LOG_TEXT("code", rpc_code_name(code)));
}

/* --- fields --- */

void call_field(CallFields *f, const char *name, Span value) {
    if (f->count == CALL_FIELDS) abort(); /* a mistake of ours */
    f->at[f->count++] = (HttpField){name, value};
}

static void add_cors(const Worker *worker, const HttpExchange *x, CallFields *f) {
    Span origin = http_header(x, "origin");
    if (!*worker->gateway->allowed_origins) return;
    call_field(f, "vary", SPAN("Origin"));
    if (!origin.len || !origin_listed(origin, worker->gateway->allowed_origins)) return;
    call_field(f, "access-control-allow-origin", origin);
    call_field(
        f, "access-control-expose-headers",
        SPAN("Grpc-Status, Grpc-Message, Grpc-Status-Details-Bin, Grpc-Encoding, Grpc-Accept-Encoding, "
             "X-Correlation-Id, X-Events-Epoch, X-Events-Position"));
}

/* What may be sent compressed to us (PROTOCOL-HTTP2, "Message-Accept-Encoding"). */
static const char *accepts_field(RpcProtocol protocol) {
    if (protocol == RPC_CONNECT) return "accept-encoding";
    return protocol == RPC_CONNECT_STREAM ? "connect-accept-encoding" : "grpc-accept-encoding";
}

void call_head(Call *c, CallFields *f) {
    call_field(f, "content-type", span_of(c->form.media.name));
    call_field(f, accepts_field(c->form.media.protocol), SPAN("identity,gzip"));
    if (*c->correlation_id) call_field(f, "x-correlation-id", span_of(c->correlation_id));
    if (c->form.media.protocol == RPC_GRPC) return;
    call_field(f, "cache-control", SPAN("no-store"));
    call_field(f, "x-content-type-options", SPAN("nosniff"));
    add_cors(c->worker, c->x, f);
}

void call_trailers(const RpcStatus *s, CallFields *f, Buf room[2]) {
    static const char *const NUMBERS[RPC_CODE_COUNT] = {"0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                                        "9", "10", "11", "12", "13", "14", "15", "16"};
    call_field(f, "grpc-status", span_of(NUMBERS[s->code]));
    if (s->message) {
        rpc_percent_encode(span_of(s->message), &room[0]);
        call_field(f, "grpc-message", buf_view(&room[0]));
    }
    if (!rpc_status_has_details(s)) return;
    rpc_status_base64(s, &room[1]);
    call_field(f, "grpc-status-details-bin", buf_view(&room[1]));
}

/* --- bodies --- */

/* Makes it smaller where that is wanted and worth it. */
static bool compress(const CallForm *form, Buf *bytes, bool *gzip) {
    Buf packed = {0};
    *gzip = form->gzip && bytes->len >= COMPRESS_LEAST && gzip_pack(buf_view(bytes), &packed) &&
            packed.len < bytes->len;
    if (*gzip) {
        Buf plain = *bytes;
        *bytes = packed;
        packed = plain;
    }
    buf_free(&packed);
    return !bytes->failed;
}

static void web_end(const RpcStatus *s, RpcProtocol protocol, Buf *out) {
    AUTO_BUF trailers = {0};
    rpc_web_trailers(s, &trailers);
    if (protocol == RPC_GRPC_WEB) {
        grpc_write(out, GRPC_WEB_TRAILERS, buf_view(&trailers));
        return;
    }
    AUTO_BUF frame = {0};
    grpc_write(&frame, GRPC_WEB_TRAILERS, buf_view(&trailers));
    base64_write(out, buf_view(&frame));
}

static void frame_message(const CallForm *form, Span message, bool gzip, Buf *out) {
    const RpcStatus fine = {.code = RPC_OK};
    AUTO_BUF frame = {0};
    uint8_t flags = gzip ? GRPC_COMPRESSED : 0;
    switch (form->media.protocol) {
    case RPC_CONNECT: buf_span(out, message); break;
    case RPC_GRPC_WEB_TEXT:
        grpc_write(&frame, flags, message);
        base64_write(out, buf_view(&frame));
        web_end(&fine, RPC_GRPC_WEB_TEXT, out);
        break;
    case RPC_GRPC_WEB:
        grpc_write(out, flags, message);
        web_end(&fine, RPC_GRPC_WEB, out);
        break;
    default: grpc_write(out, flags, message); break;
    }
}

bool call_pack(const CallForm *form, const ProtobufCMessage *message, CallBody *out) {
    AUTO_BUF bytes = {.limit = RPC_MESSAGE};
    *out = (CallBody){0};
    if (form->media.json)
        proto_json_write(message, &bytes);
    else
        message_pack(message, &bytes);
    if (!compress(form, &bytes, &out->gzip)) return false;
    frame_message(form, buf_view(&bytes), out->gzip, &out->bytes);
    return !out->bytes.failed;
}

/* --- the good end --- */

static void add_position(const ReplayHead *head, char text[24], CallFields *f) {
    int len = snprintf(text, 24, "%lld", (long long)head->head);
    call_field(f, "x-events-position", (Span){text, (size_t)len});
    call_field(f, "x-events-epoch", span_of(head->epoch));
}

static void send_bytes(Call *c, Span body, bool gzip, const ReplayHead *position) {
    static const HttpField OK = {"grpc-status", {"0", 1}};
    RpcProtocol protocol = c->form.media.protocol;
    CallFields f = {.count = 0};
    char text[24];
    call_head(c, &f);
    if (gzip) call_field(&f, protocol == RPC_CONNECT ? "content-encoding" : "grpc-encoding", SPAN("gzip"));
    if (position) add_position(position, text, &f);
    HttpAnswer answer = {.status = 200, .fields = f.at, .field_count = f.count, .body = body};
    if (protocol == RPC_GRPC) {
        answer.trailers = &OK;
        answer.trailer_count = 1;
        answer.no_length = true;
    }
    call_over(c, RPC_OK);
    http_respond(c->x, &answer);
}

void call_send(Call *c, const CallBody *body, const ReplayHead *position) {
    send_bytes(c, buf_view(&body->bytes), body->gzip, position);
}

void call_reply(Call *c, const ProtobufCMessage *message) {
    char small[GRPC_HEAD + SMALL];
    size_t size = protobuf_c_message_get_packed_size(message);
    if (c->form.media.protocol == RPC_GRPC && !c->form.media.json && size < SMALL) {
        grpc_write_head(small, 0, size);
        protobuf_c_message_pack(message, (uint8_t *)small + GRPC_HEAD);
        send_bytes(c, (Span){small, GRPC_HEAD + size}, false, NULL);
        return;
    }
    CallBody body;
    if (call_pack(&c->form, message, &body))
        call_send(c, &body, NULL);
    else
        call_fail_with(c, RPC_RESOURCE_EXHAUSTED, "the answer is larger than 4 MiB");
    buf_free(&body.bytes);
}

/* --- the bad end --- */

static void fail_grpc(Call *c, const RpcStatus *s) {
    CallFields f = {.count = 0};
    Buf room[2] = {{0}, {0}};
    call_head(c, &f);
    call_trailers(s, &f, room);
    http_respond(c->x,
                 &(HttpAnswer){.status = 200, .fields = f.at, .field_count = f.count, .no_length = true});
    buf_free(&room[0]);
    buf_free(&room[1]);
}

static void fail_other(Call *c, const RpcStatus *s) {
    CallFields f = {.count = 0};
    AUTO_BUF body = {0}, end = {0};
    RpcProtocol protocol = c->form.media.protocol;
    int status = 200;
    call_head(c, &f);
    if (protocol == RPC_CONNECT) {
        f.at[0].value = SPAN("application/json");
        status = rpc_code_http(s->code);
        rpc_status_json(s, &body);
    } else if (protocol == RPC_CONNECT_STREAM) {
        rpc_end_json(s, &end);
        grpc_write(&body, GRPC_CONNECT_END, buf_view(&end));
    } else {
        web_end(s, protocol, &body);
    }
    http_respond(
        c->x,
        &(HttpAnswer){.status = status, .fields = f.at, .field_count = f.count, .body = buf_view(&body)});
}

void call_fail(Call *c, const RpcStatus *status) {
    RpcStatus s = *status;
    if (c->streams) {
        call_end(c, status);
        return;
    }
    if (rpc_status_has_details(&s) && !s.correlation_id) s.correlation_id = call_correlation(c);
    call_over(c, s.code);
    if (c->form.media.protocol == RPC_GRPC)
        fail_grpc(c, &s);
    else
        fail_other(c, &s);
}

void call_fail_with(Call *c, RpcCode code, const char *message) {
    call_fail(c, &(RpcStatus){.code = code, .message = message});
}

void call_fail_faults(Call *c, const char *message, const FieldFaults *faults) {
    call_fail(c,
              &(RpcStatus){
                  .code = RPC_INVALID_ARGUMENT, .message = message, .reason = "invalid", .faults = faults});
}

void call_fail_err(Call *c, const Err *err) {
    const ErrKind *kind = err->kind;
    const char *message = err->why;
    if (kind->http >= 500) {
        failure_log(c->worker, c->method ? c->method->path : "none", call_correlation(c), err);
        kind = kind->retry ? &ERR_UNAVAILABLE : &ERR_INTERNAL;
        message = kind->retry ? "a part of the system is not available; try again" : "internal error";
    }
    call_fail(c, &(RpcStatus){.code = (RpcCode)kind->grpc, .message = message, .reason = kind->code});
}

/* --- no protocol of calls --- */

void call_refuse_http(Call *c, int status, const char *code, HttpField field) {
    CallFields f = {.count = 0};
    AUTO_BUF body = {0};
    call_field(&f, "content-type", SPAN("application/problem+json"));
    call_field(&f, "x-correlation-id", span_of(call_correlation(c)));
    call_field(&f, "cache-control", SPAN("no-store"));
    call_field(&f, field.name, field.value);
    add_cors(c->worker, c->x, &f);
    problem_write(&body, code, status, "this is no way to call it", c->correlation_id, NULL);
    http_respond(
        c->x,
        &(HttpAnswer){.status = status, .fields = f.at, .field_count = f.count, .body = buf_view(&body)});
}

void call_preflight(Worker *worker, HttpExchange *x) {
    CallFields f = {.count = 0};
    call_field(&f, "allow", SPAN("OPTIONS, GET, POST"));
    add_cors(worker, x, &f);
    if (origin_listed(http_header(x, "origin"), worker->gateway->allowed_origins)) {
        call_field(&f, "access-control-allow-methods", SPAN("GET, POST"));
        call_field(
            &f, "access-control-allow-headers",
            SPAN("Authorization, Content-Type, Content-Encoding, Connect-Protocol-Version, "
                 "Connect-Timeout-Ms, "
                 "Connect-Content-Encoding, Connect-Accept-Encoding, Grpc-Timeout, Grpc-Encoding, "
                 "Grpc-Accept-Encoding, X-Grpc-Web, X-User-Agent, Idempotency-Key, traceparent, tracestate, "
                 "X-Correlation-Id, X-Events-Min-Position"));
        call_field(&f, "access-control-max-age", SPAN("7200"));
    }
    http_respond(x, &(HttpAnswer){.status = 204, .fields = f.at, .field_count = f.count});
}
