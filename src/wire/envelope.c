/* envelope.c - the envelope's bytes and its own JSON form (REST, eventsctl).
 * Why by hand: `data` is the event's message and stands in the JSON as an object of its own, chosen by
 * eventType; the watermark is not shown. All else is as generated code would do it. */
#include "wire/envelope.h"

#include "base/clock.h"
#include "wire/base64.h"
#include "wire/envelope_json.h"
#include "wire/json/json_fields.h"
#include "wire/proto_scan.h"

enum { FIELD_SEQUENCE = 11, FIELD_WATERMARK = 13 };

static void append_number(Buf *packed, unsigned field, int64_t value) {
    proto_write_varint(packed, field << 3);
    proto_write_varint(packed, (uint64_t)value);
}

void envelope_append_numbers(Buf *packed, int64_t sequence, int64_t watermark) {
    append_number(packed, FIELD_SEQUENCE, sequence);
    append_number(packed, FIELD_WATERMARK, watermark);
}

Events__V1__Envelope *envelope_unpack(Span bytes, Arena *arena) {
    const MessageType *type = message_type_of(&events__v1__envelope__descriptor);
    return (Events__V1__Envelope *)message_unpack(type, bytes, arena);
}

int64_t timestamp_us(const Google__Protobuf__Timestamp *t) {
    if (!t || t->seconds < 0) return 0;
    if (t->seconds > CLOCK_LAST_SECOND) return CLOCK_LAST_SECOND * 1000000 + 999999;
    int32_t nanos = t->nanos < 0 ? 0 : t->nanos > CLOCK_LAST_NANO ? CLOCK_LAST_NANO : t->nanos;
    return t->seconds * 1000000 + nanos / 1000;
}

Google__Protobuf__Timestamp *timestamp_new(Arena *arena, int64_t us) {
    Google__Protobuf__Timestamp *t = arena_alloc(arena, sizeof *t);
    if (!t) return NULL;
    google__protobuf__timestamp__init(t);
    t->seconds = us / 1000000;
    t->nanos = (int32_t)(us % 1000000) * 1000;
    return t;
}

bool timestamp_read(Span text, Arena *arena, Google__Protobuf__Timestamp **ret) {
    ClockTime time;
    *ret = NULL;
    if (!clock_parse_exact(text, &time)) return true;
    if (!(*ret = timestamp_new(arena, 0))) return false;
    (*ret)->seconds = time.seconds;
    (*ret)->nanos = time.nanos;
    return true;
}

static bool write_data(JsonWriter *w, const MessageType *type, Span data) {
    ArenaRoom room;
    AUTO(Arena) arena = arena_within(&room, 0);
    ProtobufCMessage *message = type && type->to_json ? message_unpack(type, data, arena) : NULL;
    if (message) type->to_json(message, w);
    return message != NULL;
}

void envelope_data_to_json(const Events__V1__Envelope *e, JsonWriter *w) {
    Span data = span_bytes(e->data.data, e->data.len);
    if (write_data(w, message_type(span_of(e->event_type)), data)) return;
    json_object(w); /* of a newer version: nothing of it is known here */
    json_name(w, "$unknown");
    json_base64(w, data);
    json_object_end(w);
}

/* Bytes of an event that this version has no type for. */
static bool data_from_unknown(Events__V1__Envelope *e, JsonReader *r, size_t *unknown) {
    for (JsonToken token; (token = json_next(r)) == JSON_NAME;) {
        bool ours = span_is(r->text, "$unknown");
        Span bytes;
        token = json_next(r);
        if (ours && token == JSON_STRING) {
            if (!base64_read(r->text, r->arena, &bytes)) return false;
            e->data = (ProtobufCBinaryData){.len = bytes.len, .data = (uint8_t *)(uintptr_t)bytes.at};
        } else if (json_skip(r, token)) {
            ++*unknown;
        }
    }
    return true;
}

/* What an older relay did not know stands in "$unknown", and is known here: unpacked, it finds its place. */
static bool settle_put_back(Events__V1__Envelope *e, const MessageType *type, Arena *arena) {
    ProtobufCMessage *message = message_unpack(type, span_bytes(e->data.data, e->data.len), arena);
    return message && envelope_set_data(e, message, arena);
}

static bool data_from_known(Events__V1__Envelope *e, const MessageType *type, JsonReader *r,
                            FieldFaults *faults) {
    ProtobufCMessage *message = message_new(type, r->arena);
    return message && type->from_json(r, message, r->arena, faults) && faults->count == 0 &&
           envelope_set_data(e, message, r->arena) && (!r->put_back || settle_put_back(e, type, r->arena));
}

bool envelope_data_from_json(Events__V1__Envelope *e, Span json, Arena *arena, FieldFaults *faults,
                             size_t *unknown) {
    const MessageType *type = message_type(span_of(e->event_type));
    JsonReader r = json_reader(json, arena);
    r.lenient = true;
    if (json_next(&r) != JSON_OBJECT) return false;
    bool ok =
        type && type->from_json ? data_from_known(e, type, &r, faults) : data_from_unknown(e, &r, &r.unknown);
    if (unknown) *unknown += r.unknown;
    return ok && json_next(&r) == JSON_END;
}

bool envelope_set_data(Events__V1__Envelope *e, const ProtobufCMessage *message, Arena *arena) {
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = arena_alloc(arena, size + 1);
    if (!bytes) return false;
    e->data = (ProtobufCBinaryData){.len = protobuf_c_message_pack(message, bytes), .data = bytes};
    return true;
}

void envelope_to_json(const Events__V1__Envelope *envelope, Buf *out) {
    JsonWriter w = json_writer(out);
    events_v1_envelope_to_json(&envelope->base, &w);
}

void events_v1_envelope_to_json(const ProtobufCMessage *message, JsonWriter *w) {
    const Events__V1__Envelope *e = (const Events__V1__Envelope *)message;
    const struct {
        const char *name, *value;
    } BEFORE[] = {{"eventId", e->event_id},
                  {"eventType", e->event_type},
                  {"schemaVersion", e->schema_version}},
      BETWEEN[] = {{"producer", e->producer},
                   {"correlationId", e->correlation_id},
                   {"causationId", e->causation_id},
                   {"subject", e->subject}};
    json_object(w);
    for (size_t i = 0; i < COUNT(BEFORE); i++) json_name(w, BEFORE[i].name), json_text(w, BEFORE[i].value);
    json_name(w, "occurredAt");
    json_timestamp(w, e->occurred_at);
    for (size_t i = 0; i < COUNT(BETWEEN); i++) json_name(w, BETWEEN[i].name), json_text(w, BETWEEN[i].value);
    json_name(w, "data");
    envelope_data_to_json(e, w);
    json_name(w, "tenantId");
    json_text(w, e->tenant_id);
    json_name(w, "sequence");
    json_decimal_string(w, e->sequence);
    json_name(w, "subjectVersion");
    json_int(w, e->subject_version);
    json_name(w, "issuedBy");
    json_text(w, e->issued_by);
    json_name(w, "traceparent");
    json_text(w, e->traceparent);
    json_unknown_fields(w, message);
    json_object_end(w);
}

typedef struct EnvelopeReader {
    JsonObject object;
    Events__V1__Envelope *e;
    Span data; /* as written; read when the event's type is known */
} EnvelopeReader;

static bool text_member(EnvelopeReader *r) {
    Events__V1__Envelope *e = r->e;
    const struct {
        const char *name;
        char **to;
    } TEXTS[] = {{"eventId", &e->event_id},
                 {"eventType", &e->event_type},
                 {"schemaVersion", &e->schema_version},
                 {"producer", &e->producer},
                 {"correlationId", &e->correlation_id},
                 {"causationId", &e->causation_id},
                 {"subject", &e->subject},
                 {"tenantId", &e->tenant_id},
                 {"issuedBy", &e->issued_by},
                 {"traceparent", &e->traceparent}};
    for (unsigned i = 0; i < COUNT(TEXTS); i++) {
        if (!span_is(r->object.name, TEXTS[i].name)) continue;
        json_member_string(&r->object, i, TEXTS[i].name, TEXTS[i].to);
        return true;
    }
    return false;
}

static void data_member(EnvelopeReader *r) {
    r->data = json_member_raw(&r->object, 10, "data");
    if (r->data.len && *r->data.at != '{') {
        field_fault(r->object.faults, "data", "wrong_type");
        r->data = SPAN_NONE;
    }
}

static void envelope_member(EnvelopeReader *r) {
    JsonObject *o = &r->object;
    if (text_member(r)) return;
    if (span_is(o->name, "data"))
        data_member(r);
    else if (span_is(o->name, "sequence"))
        json_member_decimal(o, 11, "sequence", &r->e->sequence);
    else if (span_is(o->name, "subjectVersion"))
        json_member_int64(o, 12, "subjectVersion", &r->e->subject_version);
    else if (span_is(o->name, "occurredAt"))
        json_member_time(o, 13, "occurredAt", &r->e->occurred_at);
    else
        json_member_unknown(o);
}

/* The envelope's own fields decide who may see an event: there is one way in for them. */
static bool smuggles(const ProtobufCMessage *envelope) {
    for (unsigned i = 0; i < envelope->n_unknown_fields; i++)
        if (protobuf_c_message_descriptor_get_field(envelope->descriptor, envelope->unknown_fields[i].tag))
            return true;
    return false;
}

bool events_v1_envelope_from_json(JsonReader *reader, ProtobufCMessage *message, Arena *arena,
                                  FieldFaults *faults) {
    EnvelopeReader r = {.object = {.reader = reader, .message = message, .arena = arena, .faults = faults},
                        .e = (Events__V1__Envelope *)message};
    while (json_object_next(&r.object)) envelope_member(&r);
    if (r.object.over) return false;
    if (smuggles(message)) field_fault(faults, "$unknown", "wrong_type");
    FieldPart part = field_part_begins(faults, "data", FIELD_SINGLE);
    if (r.data.len && !envelope_data_from_json(r.e, r.data, arena, faults, &reader->unknown) &&
        field_part_is_good(faults))
        field_fault(faults, "", "wrong_type");
    field_part_ends(faults, &part, arena);
    return true;
}
