/* cloudevent_read.c - request bodies of the event boundary: one CloudEvent, a batch of them, or Event
 * Grid's own schema.
 * Promise:   the body as a whole is JSON or it is refused; one bad event of a batch is told by its index
 *            and the others go on, because a delivery has one answer and Event Grid never repeats what was
 *            answered with 400.
 * Lenient:   attributes and data members of newer versions are passed over; what is known must have its
 *            type. */
#include "wire/cloudevents/cloudevent_parts.h"
#include "wire/envelope.h"
#include "wire/envelope_json.h"
#include "wire/json/json_fields.h"

/* Which of two tenants would be meant? */
static const char *given_twice(const CloudAttribute *a, Arena *arena) {
    const char *text = arena_printf(arena, "%.*s is given twice", SPAN_ARGS(a->name));
    return text ? text : "an attribute is given twice";
}

static const char *take_attribute(CloudBody *b, CloudParts *e, const CloudAttribute *a, JsonToken token) {
    uint32_t bit = cloud_attribute_bit(a);
    if (e->seen & bit) return given_twice(a, b->arena);
    e->seen |= bit;
    return token == JSON_STRING && a->take(e, b->reader.text, b->arena) ? NULL : a->wrong;
}

/* Behind the name of a member: NULL, or why it is bad. The whole body is known to be good JSON. */
static const char *read_member(CloudBody *b, CloudParts *e, Span name) {
    JsonReader *r = &b->reader;
    const CloudAttribute *a = cloud_attribute(name);
    bool is_data = span_is(name, "data");
    JsonToken token = json_next(r);
    size_t start = r->value_at;
    if (token == JSON_NULL && !is_data) return NULL; /* the same as absent */
    const char *wrong = a                        ? take_attribute(b, e, a, token)
                        : is_data && e->data.len ? "data is given twice"
                                                 : NULL;
    json_skip(r, token);
    if (is_data) e->data = (Span){r->in.at + start, r->at - start};
    return wrong;
}

/* Behind JSON_OBJECT: to its end in any case, so that the next event can be read. */
static const char *read_members(CloudBody *b, CloudParts *e) {
    const char *wrong = NULL;
    while (json_next(&b->reader) == JSON_NAME) {
        const char *bad = read_member(b, e, b->reader.text);
        if (!wrong) wrong = bad;
    }
    return wrong;
}

/* An event of Event Grid's schema has room for five of our fields only. The others stand in front of `data`
 * under their CloudEvents names, or `data` is the whole envelope in its own JSON form. */
static bool data_is_envelope(const CloudParts *e, Arena *arena) {
    JsonReader r = json_reader(e->data, arena);
    bool has_type = false, has_data = false;
    if (json_next(&r) != JSON_OBJECT) return false;
    while (json_next(&r) == JSON_NAME) {
        has_type = has_type || span_is(r.text, "eventType");
        has_data = has_data || span_is(r.text, "data");
        json_skip(&r, json_next(&r));
    }
    return has_type && has_data;
}

static const char *read_envelope(const CloudBody *b, CloudParts *e) {
    FieldFaults faults = {0};
    JsonReader r = json_reader(e->data, b->arena);
    r.lenient = true;
    events__v1__envelope__init(e->envelope);
    json_next(&r);
    events_v1_envelope_from_json(&r, &e->envelope->base, b->arena, &faults);
    return faults.count ? cloud_data_fault(&faults, "data is not an envelope", b->arena) : NULL;
}

static const char *finish_grid(const CloudBody *b, CloudParts *e) {
    if (!b->may_be_grid) return "specversion is missing";
    if (!*e->envelope->event_id || !*e->envelope->event_type) return "id or eventType is missing";
    if (data_is_envelope(e, b->arena)) return read_envelope(b, e);
    const MessageType *type = message_type(span_of(e->envelope->event_type));
    if (type) e->envelope->producer = message_text(type->producer);
    return cloud_data(b, e);
}

/* Event Grid's question whether we want its events (azure: SubscriptionValidationEvent). */
static const char *validation(const CloudBody *b, const CloudParts *e) {
    JsonReader r = json_reader(e->data, b->arena);
    const char *code = NULL;
    if (json_next(&r) != JSON_OBJECT) return "data is not an object";
    while (json_next(&r) == JSON_NAME) {
        bool is_code = span_is(r.text, "validationCode");
        JsonToken token = json_next(&r);
        if (is_code && token == JSON_STRING) code = arena_copy(b->arena, r.text);
        json_skip(&r, token);
    }
    if (!code) return "validationCode is missing";
    if (b->visitor->validation) b->visitor->validation(b->visitor->user, code);
    return NULL;
}

/* The value that began at `start` and has just been read. */
static Span bytes_from(const CloudBody *b, size_t start) {
    return (Span){b->reader.in.at + start, b->reader.at - start};
}

/* Behind JSON_OBJECT. False where memory has ended: that is not the event's fault. */
static bool read_event(CloudBody *b, size_t index) {
    size_t start = b->reader.value_at;
    CloudParts e = {.envelope = arena_alloc(b->arena, sizeof *e.envelope)};
    if (!e.envelope) return false;
    events__v1__envelope__init(e.envelope);
    const char *wrong = read_members(b, &e);
    bool asks = !e.specversion &&
                strcmp(e.envelope->event_type, "Microsoft.EventGrid.SubscriptionValidationEvent") == 0;
    if (!wrong) wrong = asks ? validation(b, &e) : e.specversion ? cloud_finish(b, &e) : finish_grid(b, &e);
    if (arena_refused(b->arena)) return false;
    if (wrong)
        b->visitor->bad(b->visitor->user, index, bytes_from(b, start), wrong);
    else if (!asks)
        b->visitor->event(b->visitor->user, e.envelope);
    return true;
}

static bool read_batch(CloudBody *b) {
    JsonToken token;
    for (size_t index = 0; (token = json_next(&b->reader)) != JSON_ARRAY_END; index++) {
        if (token == JSON_OBJECT) {
            if (!read_event(b, index)) return false;
            continue;
        }
        size_t start = b->reader.value_at;
        if (!json_skip(&b->reader, token)) return false;
        b->visitor->bad(b->visitor->user, index, bytes_from(b, start), "is not an object");
    }
    return true;
}

/* Which media types may hold what. */
static const struct {
    const char *type;
    bool one, batch, grid;
} BODIES[] = {
    {"application/cloudevents+json", true, false, false},
    {"application/cloudevents-batch+json", false, true, false},
    {"application/json", true, true, true},
};

/* Nothing may have been handed out when a later part of the body turns out to be broken, so all of it is read
 * twice. */
static bool is_whole(Span body, JsonToken *first, Err *err) {
    JsonReader r = json_reader(body, NULL);
    *first = json_next(&r);
    if (json_skip(&r, *first) && json_next(&r) == JSON_END) return true;
    return err_set(err, &ERR_INVALID, "the body is not JSON: %s at byte %zu", r.fault, r.at);
}

bool cloudevent_read(Span content_type, Span body, Arena *arena, const CloudEventVisitor *visitor, Err *err) {
    Span ignored;
    Span media = span_trim(span_split(content_type, ';', &ignored));
    size_t kind = 0;
    while (kind < COUNT(BODIES) && !span_equal_nocase(media, span_of(BODIES[kind].type))) kind++;
    if (kind == COUNT(BODIES))
        return err_set(err, &ERR_UNSUPPORTED, "the media type is none of CloudEvents or JSON");
    JsonToken first;
    if (!is_whole(body, &first, err)) return false;
    if (!(first == JSON_OBJECT && BODIES[kind].one) && !(first == JSON_ARRAY && BODIES[kind].batch))
        return err_set(err, &ERR_INVALID, "the body is not what its media type says");
    CloudBody b = {.reader = json_reader(body, arena),
                   .arena = arena,
                   .visitor = visitor,
                   .may_be_grid = BODIES[kind].grid};
    json_next(&b.reader);
    bool ok = first == JSON_OBJECT ? read_event(&b, 0) : read_batch(&b);
    return ok || err_set(err, &ERR_TOO_LARGE, "the events do not fit into memory");
}
