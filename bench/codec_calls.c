#include "bench/codec.h"
#include "wire/cloudevents/cloudevent.h"
#include "wire/envelope.h"
#include "wire/envelope_json.h"

static const char COMMAND_ID[] = "01932c5e-7b1a-7c3d-9e4f-5a6b7c8d9e0f";

static void fill_created(Events__V1__ProspectCreated *m) {
    events__v1__prospect_created__init(m);
    m->prospect_id = 123456;
    m->first_name = message_text("Grace");
    m->last_name = message_text("Hopper");
    m->email = message_text("grace.hopper@example.org");
    m->phone = message_text("+1 555 010 0199");
    m->notes = message_text("Asked for \"nanoseconds\".\nCall back on Monday, in the morning.");
    m->version = 1;
}

static void fill_create(Events__V1__CreateProspect *m, const Events__V1__ProspectCreated *from) {
    events__v1__create_prospect__init(m);
    m->command_id = message_text(COMMAND_ID);
    m->first_name = from->first_name;
    m->last_name = from->last_name;
    m->email = from->email;
    m->phone = from->phone;
    m->notes = from->notes;
}

static void fill_envelope(Sample *s) {
    Events__V1__Envelope *e = &s->envelope;
    events__v1__envelope__init(e);
    google__protobuf__timestamp__init(&s->occurred_at);
    s->occurred_at.seconds = 1795479630;
    s->occurred_at.nanos = 123456000;
    e->occurred_at = &s->occurred_at;
    e->event_id = message_text("01932c5e-7b1a-7c3d-9e4f-5a6b7c8d9e10");
    e->event_type = message_text("ProspectCreated");
    e->schema_version = message_text("1.0");
    e->producer = message_text("ProspectService");
    e->correlation_id = message_text("01932c5e-7b1a-7c3d-9e4f-5a6b7c8d9e11");
    e->causation_id = message_text(COMMAND_ID);
    e->subject = message_text("prospect/123456");
    e->tenant_id = message_text("demo");
    e->sequence = 987654;
    e->watermark = 987660;
    e->subject_version = 1;
    e->issued_by = message_text("01932c5e-7b1a-7c3d-9e4f-5a6b7c8d9e12");
    e->traceparent = message_text("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    envelope_set_data(e, &s->created.base, s->arena);
}

static Span kept(Sample *s) {
    return (Span){must(arena_copy(s->arena, buf_view(&s->out))), s->out.len};
}

void sample_init(Sample *s) {
    *s = (Sample){.arena = arena_new(0), .scratch = arena_new(0)};
    fill_created(&s->created);
    fill_create(&s->create, &s->created);
    fill_envelope(s);
    s->created_bytes = span_bytes(s->envelope.data.data, s->envelope.data.len);
    message_pack(&s->envelope.base, &s->out);
    s->envelope_bytes = kept(s);
    buf_clear(&s->out);
    message_to_json(&s->created.base, &s->out);
    s->created_json = kept(s);
    buf_clear(&s->out);
    message_to_json(&s->create.base, &s->out);
    s->create_json = kept(s);
    buf_clear(&s->out);
    cloudevent_write(&s->envelope, &s->out, NULL);
    s->cloudevent = kept(s);
}

void sample_clear(Sample *s) {
    buf_free(&s->out);
    arena_free(s->scratch);
    arena_free(s->arena);
}

/* ---- ours ---- */

static bool envelope_encode(Sample *s) {
    buf_clear(&s->out);
    message_pack(&s->envelope.base, &s->out);
    return s->out.len == s->envelope_bytes.len;
}

static bool envelope_decode(Sample *s) {
    arena_reset(s->scratch);
    return envelope_unpack(s->envelope_bytes, s->scratch) != NULL;
}

static bool peek(Sample *s) {
    EnvelopePeek p;
    return envelope_peek(s->envelope_bytes, &p) && p.sequence == 987654;
}

static bool json_encode(Sample *s) {
    buf_clear(&s->out);
    message_to_json(&s->created.base, &s->out);
    return s->out.len == s->created_json.len;
}

static bool decode_json(Sample *s, const MessageType *type, Span json) {
    FieldFaults faults = {0};
    ProtobufCMessage *message;
    arena_reset(s->scratch);
    return message_from_json(type, json, s->scratch, &message, &faults);
}

static bool json_decode(Sample *s) {
    return decode_json(s, message_type_of(s->created.base.descriptor), s->created_json);
}

static bool command_decode(Sample *s) {
    return decode_json(s, message_type_of(s->create.base.descriptor), s->create_json);
}

static bool cloud_write(Sample *s) {
    buf_clear(&s->out);
    return cloudevent_write(&s->envelope, &s->out, NULL) && s->out.len == s->cloudevent.len;
}

static void on_event(void *user, Events__V1__Envelope *envelope) {
    *(size_t *)user += envelope->data.len;
}
static void on_bad(void *user, size_t index, Span bytes, const char *reason) {
    (void)user, (void)index, (void)bytes, (void)reason;
}

static bool cloud_read(Sample *s) {
    size_t bytes = 0;
    arena_reset(s->scratch);
    const CloudEventVisitor visitor = {.event = on_event, .bad = on_bad, .user = &bytes};
    return cloudevent_read(SPAN("application/cloudevents+json"), s->cloudevent, s->scratch, &visitor, NULL) &&
           bytes == s->envelope.data.len;
}

static bool validate(Sample *s) {
    FieldFaults faults = {0};
    arena_reset(s->scratch);
    return message_validate(&s->create.base, s->scratch, &faults);
}

/* ---- others ---- */

static bool plain_pack(Sample *s) {
    buf_clear(&s->out);
    char *to = buf_reserve(&s->out, events__v1__envelope__get_packed_size(&s->envelope));
    return to && events__v1__envelope__pack(&s->envelope, (uint8_t *)to) == s->envelope_bytes.len;
}

static bool plain_unpack(Sample *s) {
    Events__V1__Envelope *e =
        events__v1__envelope__unpack(NULL, s->envelope_bytes.len, (const uint8_t *)s->envelope_bytes.at);
    events__v1__envelope__free_unpacked(e, NULL);
    return e != NULL;
}

const CodecCall CODEC_CALLS[] = {
    {"envelope_encode", "envelope, encode", envelope_encode},
    {"envelope_encode_protobuf_c", "  protobuf-c, pack", plain_pack},
    {"envelope_decode", "envelope, check and decode", envelope_decode},
    {"envelope_decode_protobuf_c", "  protobuf-c, unpack and free", plain_unpack},
    {"envelope_peek", "envelope, peek", peek},
    {"json_encode", "ProspectCreated, JSON encode", json_encode},
    {"json_encode_jansson", "  jansson, pack and dump", jansson_encode},
    {"json_decode", "ProspectCreated, JSON decode", json_decode},
    {"json_decode_jansson", "  jansson, load and unpack", jansson_decode},
    {"command_decode", "CreateProspect, JSON decode", command_decode},
    {"command_validate", "CreateProspect, validate", validate},
    {"cloudevent_write", "CloudEvent, write", cloud_write},
    {"cloudevent_read", "CloudEvent, read", cloud_read},
};
const size_t CODEC_CALL_COUNT = COUNT(CODEC_CALLS);
