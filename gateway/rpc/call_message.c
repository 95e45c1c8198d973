/* call_message.c - what a caller sends: out of frames, base64 or a query, inflated up to the limit, decoded
 * from protobuf or JSON. Every fault becomes a status; none of them quotes what was sent. */
#include "gateway/rpc/call.h"

#include "wire/base64.h"
#include "wire/gzip.h"
#include "wire/json/proto_json.h"
#include "wire/proto_scan.h"

static bool fault(RpcStatus *s, RpcCode code, const char *message) {
    *s = (RpcStatus){.code = code, .message = message};
    return false;
}

/* --- one message --- */

static ProtobufCMessage *unpack(Call *c, Span bytes, bool strict, Arena *arena, FieldFaults *faults) {
    const ProtobufCMessageDescriptor *type = c->method->request;
    if (c->form.media.json) return proto_json_read(type, bytes, strict, arena, faults);
    if (!proto_scan(type, bytes, strict, arena, faults)) return NULL;
    ProtobufCMessage *m = protobuf_c_message_unpack(type, arena_protobuf(arena), bytes.len,
                                                    (const uint8_t *)(bytes.at ? bytes.at : ""));
    if (!m) field_fault(faults, "", "too_large"); /* the scan has passed: only memory can have ended */
    return m;
}

/* Into memory of the arena: the message may point to it. */
static bool inflate(Call *c, Span *bytes, Arena *arena, RpcStatus *s) {
    AUTO_BUF plain = {.limit = RPC_MESSAGE + (64 << 10)};
    if (c->encoding != RPC_GZIP)
        return fault(s, RPC_INTERNAL, "a message is marked as compressed, but the call names no encoding");
    Gunzip done = gzip_unpack(*bytes, RPC_MESSAGE, &plain);
    if (done == GUNZIP_TOO_LARGE) return fault(s, RPC_RESOURCE_EXHAUSTED, "a message is larger than 4 MiB");
    if (done == GUNZIP_MALFORMED) return fault(s, RPC_INTERNAL, "a message cannot be decompressed");
    char *kept = arena_copy(arena, buf_view(&plain));
    if (!kept) return fault(s, RPC_RESOURCE_EXHAUSTED, "a message is larger than there is memory for");
    *bytes = (Span){kept, plain.len};
    return true;
}

/* Of a command the fields are told as the command's own, as REST tells them. */
static void tell_as_command(FieldFaults *faults) {
    Span part = SPAN("command.");
    for (size_t i = 0; i < faults->count; i++)
        if (span_starts(span_of(faults->at[i].field), part)) faults->at[i].field += part.len;
}

ProtobufCMessage *call_decode(Call *c, const GrpcMessage *m, bool strict, Arena *arena, RpcStatus *s,
                              FieldFaults *faults) {
    Span bytes = m->bytes;
    if (m->flags & GRPC_COMPRESSED && !inflate(c, &bytes, arena, s)) return NULL;
    ProtobufCMessage *message = unpack(c, bytes, strict, arena, faults);
    if (message) return message;
    if (c->method->command) tell_as_command(faults);
    *s = (RpcStatus){
        .code = RPC_INVALID_ARGUMENT, .message = "the message cannot be read", .reason = "invalid"};
    s->faults = faults;
    return NULL;
}

/* --- the one message of a request --- */

static const char *const WRONG_COUNT = "this call takes exactly one message";

static bool framed(Span body, GrpcMessage *ret, RpcStatus *s) {
    GrpcReader r = {.limit = RPC_MESSAGE, .flags = GRPC_COMPRESSED};
    switch (grpc_read(&r, &body, ret)) {
    case GRPC_MESSAGE: return !body.len || fault(s, RPC_UNIMPLEMENTED, WRONG_COUNT);
    case GRPC_TOO_LARGE: return fault(s, RPC_RESOURCE_EXHAUSTED, "a message is larger than 4 MiB");
    case GRPC_MALFORMED: return fault(s, RPC_INTERNAL, "a frame has a flag that is not known");
    case GRPC_MORE: break;
    }
    bool none = grpc_reader_is_between(&r);
    grpc_reader_clear(&r);
    return none ? fault(s, RPC_UNIMPLEMENTED, WRONG_COUNT)
                : fault(s, RPC_INTERNAL, "the last message is cut");
}

/* base64 of a body or of a query's value, kept in memory of the exchange or the arena. */
static bool decode_base64(Span text, Arena *arena, Span *ret) {
    AUTO_BUF bytes = {0};
    char *kept = base64_read_any(text, &bytes) ? arena_copy(arena, buf_view(&bytes)) : NULL;
    if (kept) *ret = (Span){kept, bytes.len};
    return kept;
}

static bool from_query(Call *c, Arena *arena, GrpcMessage *ret, RpcStatus *s) {
    Span flag, text;
    if (!http_query_value(c->x, "message", &text))
        return fault(s, RPC_INVALID_ARGUMENT, "the query lacks a message");
    ret->bytes = text;
    bool in_base64 = http_query_value(c->x, "base64", &flag) && span_is(flag, "1");
    if (in_base64 && !decode_base64(text, arena, &ret->bytes))
        return fault(s, RPC_INVALID_ARGUMENT, "the query's message is not base64");
    return true;
}

static bool find_message(Call *c, Arena *arena, GrpcMessage *ret, RpcStatus *s) {
    Span body = http_body(c->x);
    *ret = (GrpcMessage){.bytes = body};
    switch (c->form.media.protocol) {
    case RPC_CONNECT:
        ret->flags = c->encoding == RPC_GZIP ? GRPC_COMPRESSED : 0;
        if (c->get && !from_query(c, arena, ret, s)) return false;
        return ret->bytes.len <= RPC_MESSAGE ||
               fault(s, RPC_RESOURCE_EXHAUSTED, "a message is larger than 4 MiB");
    case RPC_GRPC_WEB_TEXT:
        if (!decode_base64(body, arena, &body)) return fault(s, RPC_INTERNAL, "the body is not base64");
        return framed(body, ret, s);
    default: return framed(body, ret, s);
    }
}

ProtobufCMessage *call_message(Call *c, Arena *arena, bool strict) {
    RpcStatus s = {0};
    FieldFaults faults = {0};
    GrpcMessage m;
    ProtobufCMessage *message =
        find_message(c, arena, &m, &s) ? call_decode(c, &m, strict, arena, &s, &faults) : NULL;
    if (!message) call_fail(c, &s);
    return message;
}

bool call_min_position(Call *c, int64_t *ret) {
    Span text = http_header(c->x, "x-events-min-position");
    uint64_t value = 0;
    bool fine = !text.at || span_to_u64(text, INT64_MAX, &value);
    *ret = (int64_t)value;
    if (fine) return true;
    FieldFaults faults = {0};
    field_fault(&faults, "x-events-min-position", "out_of_range");
    call_fail_faults(c, "a value in the metadata is wrong", &faults);
    return false;
}
