/* call_stream.c - calls that last: kept ones, with their clock and their cancelling, and streams of answers.
 */
#include "gateway/rpc/call.h"

#include "wire/base64.h"
#include "wire/json/proto_json.h"
#include "wire/message.h"

enum { ENHANCE_YOUR_CALM = 0xb }; /* RFC 9113 section 7; to gRPC it is RESOURCE_EXHAUSTED */

/* --- the clock --- */

static void deadline_passed(Timer *timer) {
    Call *c = CONTAINER(timer, Call, timer);
    call_stop(c, RPC_DEADLINE_EXCEEDED, "the deadline has passed");
}

static void start_clock(Call *c) {
    if (!c->deadline_us) return;
    int64_t left_us = c->deadline_us - loop_now_us(c->worker->loop);
    c->timer.expired = deadline_passed;
    loop_timer_set(c->worker->loop, &c->timer, left_us > 0 ? left_us / 1000 + 1 : 0);
}

void call_stop(Call *c, RpcCode code, const char *message) {
    RpcStatus s = {.code = code, .message = message};
    CallStop *stop = c->stop;
    c->stop = NULL;
    if (stop) stop(c->user, &s);
    call_fail(c, &s);
}

/* --- kept calls --- */

static void cancelled(void *user, HttpExchange *x) {
    (void)x;
    call_stop(user, RPC_CANCELLED, "the caller has gone");
}

void call_keep(Call *c, CallStop *stop, void *user) {
    c->stop = stop;
    c->user = user;
    http_on_cancel(c->x, cancelled, c);
    start_clock(c);
}

/* --- streams --- */

static void closed(void *user, HttpExchange *x, HttpStreamEnd how) {
    (void)x, (void)how;
    Call *c = user;
    if (!c->ended) call_over(c, RPC_CANCELLED);
    grpc_reader_clear(&c->reader);
    if (c->events && c->events->gone) c->events->gone(c);
}

static void writable(void *user, HttpExchange *x) {
    (void)x;
    Call *c = user;
    if (!c->ended && c->events && c->events->writable) c->events->writable(c);
}

static void draining(void *user, HttpExchange *x) {
    (void)x;
    Call *c = user;
    if (!c->ended && c->events && c->events->draining) c->events->draining(c);
}

static void fail_frame(Call *c, GrpcStep step) {
    if (step == GRPC_TOO_LARGE)
        call_end_with(c, RPC_RESOURCE_EXHAUSTED, "a message is larger than 4 MiB");
    else
        call_end_with(c, RPC_INTERNAL, "a frame has a flag that is not known");
}

/* Pieces of a request that streams. Connect ends it with a frame of its own; the end of the body is enough.
 */
static void data(void *user, HttpExchange *x, Span bytes, bool end) {
    Call *c = user;
    GrpcMessage m;
    GrpcStep step = GRPC_MORE;
    http_stream_consumed(x, bytes.len);
    while (!c->ended && (step = grpc_read(&c->reader, &bytes, &m)) == GRPC_MESSAGE)
        if (!(m.flags & GRPC_CONNECT_END)) c->events->message(c, &m);
    if (c->ended) return;
    if (step != GRPC_MORE)
        fail_frame(c, step);
    else if (end && !grpc_reader_is_between(&c->reader))
        call_end_with(c, RPC_INTERNAL, "the last message is cut");
    else if (end && c->events->over)
        c->events->over(c);
}

void call_stream(Call *c, const CallEvents *events, void *user) {
    HttpStreamEvents stream = {.closed = closed,
                               .writable = writable,
                               .draining = draining,
                               .user = c,
                               .kernel_bytes = HTTP_STREAM_KERNEL};
    c->streams = true;
    c->events = events;
    c->user = user;
    if (events->message) {
        bool connect = c->form.media.protocol == RPC_CONNECT_STREAM;
        c->reader =
            (GrpcReader){.limit = RPC_MESSAGE, .flags = GRPC_COMPRESSED | (connect ? GRPC_CONNECT_END : 0)};
        stream.data = data;
        stream.silence_ms = -1; /* it may ask whenever it likes */
    }
    http_stream_open(c->x, &stream);
    start_clock(c);
}

static void send_head(Call *c) {
    CallFields f = {.count = 0};
    if (c->headed) return;
    c->headed = true;
    call_head(c, &f);
    http_stream_head(c->x, &(HttpAnswer){.status = 200, .fields = f.at, .field_count = f.count});
}

Blob *call_frame(RpcProtocol protocol, Span message) {
    if (protocol != RPC_GRPC_WEB_TEXT) {
        Blob *blob = blob_new(GRPC_HEAD + message.len);
        if (!blob) return NULL;
        grpc_write_head(blob->bytes, 0, message.len);
        if (message.len) memcpy(blob->bytes + GRPC_HEAD, message.at, message.len);
        return blob;
    }
    AUTO_BUF frame = {0}, text = {0};
    grpc_write(&frame, 0, message);
    base64_write(&text, buf_view(&frame));
    return frame.failed || text.failed ? NULL : blob_copy(buf_view(&text));
}

bool call_write(Call *c, Blob *frame) {
    if (c->ended) return true;
    send_head(c);
    return http_stream_write_blob(c->x, frame);
}

bool call_write_message(Call *c, const ProtobufCMessage *message) {
    AUTO_BUF bytes = {.limit = RPC_MESSAGE};
    if (c->form.media.json)
        proto_json_write(message, &bytes);
    else
        message_pack(message, &bytes);
    AUTO(Blob) frame = bytes.failed ? NULL : call_frame(c->form.media.protocol, buf_view(&bytes));
    if (frame) return call_write(c, frame);
    call_end_with(c, RPC_RESOURCE_EXHAUSTED, "a message does not fit");
    return false;
}

size_t call_waiting(const Call *c) {
    return http_stream_waiting(c->x);
}

static void end_grpc(Call *c, const RpcStatus *s) {
    CallFields f = {.count = 0};
    Buf room[2] = {{0}, {0}};
    call_trailers(s, &f, room);
    http_stream_end(c->x, f.at, f.count);
    buf_free(&room[0]);
    buf_free(&room[1]);
}

static void end_in_body(Call *c, const RpcStatus *s) {
    AUTO_BUF text = {0}, frame = {0}, coded = {0};
    RpcProtocol protocol = c->form.media.protocol;
    bool connect = protocol == RPC_CONNECT_STREAM;
    if (connect)
        rpc_end_json(s, &text);
    else
        rpc_web_trailers(s, &text);
    grpc_write(&frame, connect ? GRPC_CONNECT_END : GRPC_WEB_TRAILERS, buf_view(&text));
    if (protocol == RPC_GRPC_WEB_TEXT) base64_write(&coded, buf_view(&frame));
    http_stream_write(c->x, protocol == RPC_GRPC_WEB_TEXT ? buf_view(&coded) : buf_view(&frame));
    http_stream_end(c->x, NULL, 0);
}

void call_end(Call *c, const RpcStatus *status) {
    RpcStatus s = *status;
    if (c->ended) return;
    if (rpc_status_has_details(&s) && !s.correlation_id) s.correlation_id = call_correlation(c);
    send_head(c);
    call_over(c, s.code);
    if (c->form.media.protocol == RPC_GRPC)
        end_grpc(c, &s);
    else
        end_in_body(c, &s);
}

void call_end_with(Call *c, RpcCode code, const char *message) {
    call_end(c, &(RpcStatus){.code = code, .message = message});
}

void call_cut(Call *c) {
    if (c->ended) return;
    call_over(c, RPC_RESOURCE_EXHAUSTED);
    http_stream_reset(c->x, ENHANCE_YOUR_CALM);
}
