#include "gateway/stream/session_frames.h"

#include "base/buf.h"
#include "base/clock.h"
#include "wire/envelope.h"
#include "wire/proto_scan.h"

enum { HEAD_MAX = 11, TAG_EVENTS = 2 << 3 | 2, TAG_POSITION = 2 << 3, TAG_IDS = 3 << 3 | 2 };

/* An EventBatch is a message of few fields: entries (made by event.c), position, ids. Its bytes are put
 * together here, because packing by protobuf-c would encode every event again for every reader. */
Blob *frame_batch(FrameForm form, const BatchParts *p) {
    AUTO_BUF tail = {0}, ids = {0}, frame = {0};
    size_t entries = 0;
    for (size_t i = 0; i < p->count; i++) {
        Span entry = event_entry(p->events[i], p->personal);
        if (!entry.at) return NULL;
        entries += entry.len;
    }
    buf_byte(&tail, TAG_POSITION);
    proto_write_varint(&tail, (uint64_t)p->position);
    if (p->id) {
        proto_write_varint(&ids, *p->id);
        buf_byte(&tail, TAG_IDS);
        proto_write_varint(&tail, ids.len);
        buf_span(&tail, buf_view(&ids));
    }
    buf_reserve(&frame, HEAD_MAX + entries + tail.len); /* at once: it may be a quarter of a mebibyte */
    buf_byte(&frame, TAG_EVENTS);
    proto_write_varint(&frame, entries + tail.len);
    for (size_t i = 0; i < p->count; i++) buf_span(&frame, event_entry(p->events[i], p->personal));
    buf_span(&frame, buf_view(&tail));
    return frame.failed ? NULL : form.make(buf_view(&frame), form.epoch);
}

static Blob *pack(FrameForm form, const Events__V1__ServerFrame *frame) {
    AUTO_BUF bytes = {0};
    size_t size = events__v1__server_frame__get_packed_size(frame);
    char *to = buf_reserve(&bytes, size + 1);
    if (!to) return NULL;
    bytes.len = events__v1__server_frame__pack(frame, (uint8_t *)to);
    return form.make(buf_view(&bytes), form.epoch);
}

#define FRAME(Case)                                                                                          \
    {                                                                                                        \
        .base = PROTOBUF_C_MESSAGE_INIT(&events__v1__server_frame__descriptor),                              \
        .frame_case = EVENTS__V1__SERVER_FRAME__FRAME_##Case                                                 \
    }

Blob *frame_welcome(FrameForm form, const char *connection_id, int64_t position, const char *epoch,
                    uint32_t heartbeat_seconds) {
    Google__Protobuf__Timestamp now = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    Events__V1__Welcome welcome = EVENTS__V1__WELCOME__INIT;
    int64_t us = clock_now_us();
    now.seconds = us / 1000000;
    now.nanos = (int32_t)(us % 1000000) * 1000;
    welcome.connection_id = (char *)connection_id;
    welcome.server_time = &now;
    welcome.position = position;
    welcome.heartbeat_seconds = heartbeat_seconds;
    welcome.epoch = (char *)epoch;
    Events__V1__ServerFrame frame = FRAME(WELCOME);
    frame.welcome = &welcome;
    return pack(form, &frame);
}

Blob *frame_subscribed(FrameForm form, uint32_t id, int64_t position, bool caught_up) {
    Events__V1__Subscribed subscribed = EVENTS__V1__SUBSCRIBED__INIT;
    subscribed.id = id;
    subscribed.position = position;
    subscribed.caught_up = caught_up;
    Events__V1__ServerFrame frame = FRAME(SUBSCRIBED);
    frame.subscribed = &subscribed;
    return pack(form, &frame);
}

Blob *frame_resync(FrameForm form, uint32_t id, int64_t position, const char *reason) {
    Events__V1__ResyncRequired resync = EVENTS__V1__RESYNC_REQUIRED__INIT;
    resync.id = id;
    resync.position = position;
    resync.reason = (char *)reason;
    Events__V1__ServerFrame frame = FRAME(RESYNC_REQUIRED);
    frame.resync_required = &resync;
    return pack(form, &frame);
}

Blob *frame_pong(FrameForm form, int64_t nonce) {
    Events__V1__Pong pong = EVENTS__V1__PONG__INIT;
    pong.nonce = nonce;
    Events__V1__ServerFrame frame = FRAME(PONG);
    frame.pong = &pong;
    return pack(form, &frame);
}

Blob *frame_error(FrameForm form, uint32_t id, const char *code, const char *message) {
    Events__V1__Error error = EVENTS__V1__ERROR__INIT;
    error.id = id;
    error.code = (char *)code;
    error.message = (char *)message;
    Events__V1__ServerFrame frame = FRAME(ERROR);
    frame.error = &error;
    return pack(form, &frame);
}

Blob *frame_reconnect(FrameForm form, uint32_t retry_after_ms, const char *reason) {
    Events__V1__Reconnect reconnect = EVENTS__V1__RECONNECT__INIT;
    reconnect.retry_after_ms = retry_after_ms;
    reconnect.reason = (char *)reason;
    Events__V1__ServerFrame frame = FRAME(RECONNECT);
    frame.reconnect = &reconnect;
    return pack(form, &frame);
}

/* protobuf-c keeps the last one of several members of a oneof and says nothing: count the fields of the
 * outermost level, which are all of the form tag, length, bytes (the scan has seen to it that they are
 * well-formed). */
static size_t count_fields(Span bytes) {
    size_t at = 0, count = 0;
    uint64_t tag, length;
    while (at < bytes.len && proto_varint(bytes, &at, &tag) && (tag & 7) == 2 &&
           proto_varint(bytes, &at, &length) && length <= bytes.len - at) {
        at += length;
        count++;
    }
    return at == bytes.len ? count : 0;
}

FrameFault frame_read(Span bytes, Arena *arena, Events__V1__ClientFrame **ret, FieldFaults *faults) {
    const MessageType *type = message_type_of(&events__v1__client_frame__descriptor);
    *ret = (Events__V1__ClientFrame *)message_unpack_told(type, bytes, arena, faults);
    if (!*ret) return FRAME_UNDECODABLE;
    bool known = (*ret)->frame_case != EVENTS__V1__CLIENT_FRAME__FRAME__NOT_SET;
    return known && count_fields(bytes) == 1 ? FRAME_GOOD : FRAME_UNKNOWN;
}
