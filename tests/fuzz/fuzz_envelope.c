/* Protobuf bytes: as an envelope, and strictly as each message. The peek agrees with the full unpack, and
 * what is unpacked has a JSON form that is JSON. */
#include "fuzz.h"

#include "wire/envelope.h"
#include "wire/message.h"

static void is_json(Span text) {
    JsonReader r = json_reader(text, NULL);
    PROMISE(json_skip(&r, json_next(&r)) && json_next(&r) == JSON_END, "our JSON is JSON");
}

static void peeks_the_same(Span bytes, const Events__V1__Envelope *e) {
    EnvelopePeek p;
    PROMISE(envelope_peek(bytes, &p), "what can be unpacked can be peeked into");
    PROMISE(span_is(p.event_id, e->event_id) && span_is(p.event_type, e->event_type) &&
                span_is(p.subject, e->subject) && span_is(p.tenant_id, e->tenant_id) &&
                span_is(p.issued_by, e->issued_by),
            "the same texts");
    PROMISE(p.sequence == e->sequence && p.watermark == e->watermark &&
                p.subject_version == e->subject_version,
            "the same numbers");
    PROMISE(p.data.len == e->data.len, "the same data");
}

static void as_envelope(Span bytes) {
    AUTO(Arena) arena = arena_new(8 << 20);
    EnvelopePeek ignored;
    envelope_peek(bytes, &ignored);
    Events__V1__Envelope *e = envelope_unpack(bytes, arena);
    if (!e) return;
    AUTO_BUF json = {0};
    peeks_the_same(bytes, e);
    envelope_to_json(e, &json);
    is_json(buf_view(&json));
}

static void as_each(Span bytes) {
    size_t count;
    const MessageType *const *types = message_types(&count);
    for (size_t i = 0; i < count; i++) {
        AUTO(Arena) arena = arena_new(8 << 20);
        FieldFaults faults = {0};
        ProtobufCMessage *message;
        bool ok = message_from_protobuf(types[i], bytes, arena, &message, &faults);
        PROMISE(ok == (faults.count == 0), "a refusal has its reasons");
        if (!ok || !types[i]->to_json) continue;
        AUTO_BUF json = {0};
        message_to_json(message, &json);
        is_json(buf_view(&json));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    as_envelope(span_bytes(data, size));
    as_each(span_bytes(data, size));
    return 0;
}
