/* subscribe.c - EventStream.Subscribe: a session of the stream with one subscription, on a wire of gRPC.
 * Filters, scopes, masks, resume, the token's end and the way with slow readers are the session's, as on the
 * WebSocket. */
#include "events/v1/services.pb-c.h"
#include "gateway/rpc/call.h"
#include "gateway/stream/resume.h"
#include "gateway/stream/session.h"
#include "wire/json/proto_json.h"

enum { REQUEST_ARENA = 256 << 10, FRAME_ARENA = 8 << 20 };

/* --- the wire --- */

static Blob *binary_form(Span message, const char *epoch) {
    (void)epoch;
    return call_frame(RPC_GRPC, message);
}

static Blob *text_form(Span message, const char *epoch) {
    (void)epoch;
    return call_frame(RPC_GRPC_WEB_TEXT, message);
}

/* Our own bytes: they need no scan. */
static Blob *json_form(Span message, const char *epoch) {
    (void)epoch;
    AUTO(Arena) arena = arena_new(FRAME_ARENA);
    AUTO_BUF json = {0};
    Events__V1__ServerFrame *frame = events__v1__server_frame__unpack(
        arena_protobuf(arena), message.len, (const uint8_t *)(message.at ? message.at : ""));
    if (!frame) return NULL;
    proto_json_write(&frame->base, &json);
    return json.failed ? NULL : call_frame(RPC_CONNECT_STREAM, buf_view(&json));
}

/* A slow reader is seldom refused: above `high` it goes on from ring and log when it has read. */
static bool send_frame(void *to, Blob *frame) {
    Call *c = to;
    if (call_waiting(c) > SESSION_QUEUE) return false;
    call_write(c, frame);
    return true;
}

static size_t queued(void *to) {
    return call_waiting(to);
}

static void close_stream(void *to, int code, const char *reason) {
    static const struct {
        int close;
        RpcCode code;
    } CODES[] = {{SESSION_SHUTDOWN, RPC_UNAVAILABLE},
                 {SESSION_OVER, RPC_OK},
                 {SESSION_BROKEN, RPC_INTERNAL},
                 {SESSION_EXPIRED, RPC_UNAUTHENTICATED},
                 {SESSION_FORBIDDEN, RPC_PERMISSION_DENIED}};
    if (code == SESSION_SLOW) {
        call_cut(to);
        return;
    }
    RpcCode as = RPC_INTERNAL;
    for (size_t i = 0; i < COUNT(CODES); i++)
        if (CODES[i].close == code) as = CODES[i].code;
    call_end_with(to, as, as == RPC_OK ? NULL : reason);
}

#define WIRE(name)                                                                                           \
    {                                                                                                        \
        .form = name, .send = send_frame, .queued = queued, .close = close_stream,                           \
        .high = HTTP_STREAM_LIMIT, .single = true                                                            \
    }
static const SessionWire BINARY_WIRE = WIRE(binary_form), TEXT_WIRE = WIRE(text_form),
                         JSON_WIRE = WIRE(json_form);

static const SessionWire *wire_of(const Call *c) {
    if (c->form.media.json) return &JSON_WIRE;
    return c->form.media.protocol == RPC_GRPC_WEB_TEXT ? &TEXT_WIRE : &BINARY_WIRE;
}

/* --- the call --- */

static void writable(Call *c) {
    resume_kick(c->user);
}

static void gone(Call *c) {
    session_gone(c->user);
}

static void refuse(Call *c, const char *code) {
    static const struct {
        const char *code;
        RpcStatus status;
    } TABLE[] = {
        {"forbidden", {.code = RPC_PERMISSION_DENIED, .message = "the token does not allow these events"}},
        {"too_many",
         {.code = RPC_INVALID_ARGUMENT, .message = "at most 256 subjects (32 with presence) and 256 types"}},
        {"invalid_subject", {.code = RPC_INVALID_ARGUMENT, .message = "a subject is type/id or type/*"}},
    };
    FieldFaults faults = {0};
    for (size_t i = 0; i < COUNT(TABLE); i++) {
        if (strcmp(TABLE[i].code, code)) continue;
        RpcStatus s = TABLE[i].status;
        s.reason = TABLE[i].code;
        if (!strcmp(code, "invalid_subject")) field_fault(&faults, "subjects", code);
        s.faults = &faults;
        call_fail(c, &s);
        return;
    }
    call_fail_with(c, RPC_INVALID_ARGUMENT, "there can be no such subscription");
}

static void open_session(Call *c, const Events__V1__Subscribe *subscribe) {
    static const CallEvents EVENTS = {.writable = writable, .gone = gone};
    Session *s = session_new(c->worker, &c->claims);
    call_stream(c, &EVENTS, s);
    session_open(s, wire_of(c), c);
    session_subscribe(s, subscribe);
}

void on_events_v1_event_stream_subscribe(Call *c) {
    AUTO(Arena) arena = arena_new(REQUEST_ARENA);
    Events__V1__SubscribeRequest *request = (Events__V1__SubscribeRequest *)call_message(c, arena, false);
    if (!request) return;
    Events__V1__Subscribe everything = EVENTS__V1__SUBSCRIBE__INIT;
    const Events__V1__Subscribe *subscribe = request->subscribe ? request->subscribe : &everything;
    const char *code = NULL;
    AUTO(Filter) filter = filter_new(subscribe, &c->claims, &code);
    if (!filter)
        refuse(c, code);
    else if (!c->worker->sessions->generation || !atomic_load(&c->worker->gateway->ready))
        call_fail_with(c, RPC_UNAVAILABLE, "the stream has not begun yet, or has ended");
    else
        open_session(c, subscribe);
}
