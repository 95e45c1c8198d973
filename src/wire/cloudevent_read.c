/* cloudevent_read.c - request bodies of the event boundary: one CloudEvent, a batch of them, or Event
 * Grid's own schema.
 * Promise:   the body as a whole is JSON or it is refused; one bad event of a batch is told by its index
 *            and the others go on, because a delivery has one answer and Event Grid never repeats what was
 *            answered with 400.
 * Lenient:   attributes and data members of newer versions are passed over; what is known must have its
 *            type. */
#include "wire/cloudevent.h"

#include "base/clock.h"
#include "wire/base64.h"
#include "wire/envelope.h"
#include "wire/envelope_json.h"
#include "wire/json_fields.h"

typedef struct Event {
    Events__V1__Envelope *envelope;
    char *specversion, *source, *content_type;
    Span data, data_base64; /* data as written */
    bool has_base64;
} Event;

typedef struct Body {
    JsonReader reader;
    Arena *arena;
    const CloudEventVisitor *visitor;
    bool may_be_grid;
} Body;

/* An attribute: its name, and where its text goes. */
typedef struct Attribute {
    const char *name;
    bool (*take)(Event *e, Span text, Arena *arena);
    const char *wrong;
} Attribute;

static bool keep(char **to, Span text, Arena *arena) {
    if (text.len && memchr(text.at, 0, text.len)) return false;
    char *copy = arena_copy(arena, text);
    if (copy) *to = copy;
    return copy != NULL;
}

#define TAKE_TEXT(function, target)                                                                          \
    static bool function(Event *e, Span text, Arena *arena) {                                                \
        return keep(&e->target, text, arena);                                                                \
    }
TAKE_TEXT(take_specversion, specversion)
TAKE_TEXT(take_source, source)
TAKE_TEXT(take_content_type, content_type)
TAKE_TEXT(take_id, envelope->event_id)
TAKE_TEXT(take_type, envelope->event_type)
TAKE_TEXT(take_subject, envelope->subject)
TAKE_TEXT(take_schema_version, envelope->schema_version)
TAKE_TEXT(take_correlation_id, envelope->correlation_id)
TAKE_TEXT(take_causation_id, envelope->causation_id)
TAKE_TEXT(take_tenant_id, envelope->tenant_id)
TAKE_TEXT(take_issued_by, envelope->issued_by)
TAKE_TEXT(take_traceparent, envelope->traceparent)
#undef TAKE_TEXT

static bool take_time(Event *e, Span text, Arena *arena) {
    int64_t us;
    if (!clock_parse(text, &us)) return false;
    e->envelope->occurred_at = timestamp_new(arena, us);
    return e->envelope->occurred_at != NULL;
}

/* At most 19 digits: zero-padded or not. */
static bool take_number(Span text, int64_t *to) {
    uint64_t value;
    if (!span_to_u64(text, INT64_MAX, &value)) return false;
    *to = (int64_t)value;
    return true;
}

static bool take_sequence(Event *e, Span text, Arena *arena) {
    (void)arena;
    return take_number(text, &e->envelope->sequence);
}
static bool take_watermark(Event *e, Span text, Arena *arena) {
    (void)arena;
    return take_number(text, &e->envelope->watermark);
}
static bool take_subject_version(Event *e, Span text, Arena *arena) {
    (void)arena;
    return take_number(text, &e->envelope->subject_version);
}
static bool take_data_base64(Event *e, Span text, Arena *arena) {
    return e->has_base64 = base64_read(text, arena, &e->data_base64);
}

/* Event Grid's own schema has other names for five of them, and no extensions of its own. */
static const Attribute ATTRIBUTES[] = {
    {"specversion", take_specversion, "specversion is not a text"},
    {"id", take_id, "id is not a text"},
    {"type", take_type, "type is not a text"},
    {"source", take_source, "source is not a text"},
    {"subject", take_subject, "subject is not a text"},
    {"time", take_time, "time is not RFC 3339"},
    {"datacontenttype", take_content_type, "datacontenttype is not a text"},
    {"schemaversion", take_schema_version, "schemaversion is not a text"},
    {"correlationid", take_correlation_id, "correlationid is not a text"},
    {"causationid", take_causation_id, "causationid is not a text"},
    {"tenantid", take_tenant_id, "tenantid is not a text"},
    {"sequence", take_sequence, "sequence is not a string of digits"},
    {"watermark", take_watermark, "watermark is not a string of digits"},
    {"subjectversion", take_subject_version, "subjectversion is not a string of digits"},
    {"issuedby", take_issued_by, "issuedby is not a text"},
    {"traceparent", take_traceparent, "traceparent is not a text"},
    {"data_base64", take_data_base64, "data_base64 is not base64"},
    {"eventType", take_type, "eventType is not a text"},
    {"eventTime", take_time, "eventTime is not RFC 3339"},
    {"dataVersion", take_schema_version, "dataVersion is not a text"},
};

static const Attribute *attribute(Span name) {
    for (size_t i = 0; i < COUNT(ATTRIBUTES); i++)
        if (span_is(name, ATTRIBUTES[i].name)) return &ATTRIBUTES[i];
    return NULL;
}

/* Behind the name of a member: NULL, or why it is bad. The whole body is known to be good JSON. */
static const char *read_member(Body *b, Event *e, Span name) {
    JsonReader *r = &b->reader;
    const Attribute *a = attribute(name);
    JsonToken token = json_next(r);
    size_t start = r->value_at;
    const char *wrong = NULL;
    if (token == JSON_NULL && !span_is(name, "data")) return NULL; /* the same as absent */
    if (a && (token != JSON_STRING || !a->take(e, r->text, b->arena))) wrong = a->wrong;
    json_skip(r, token);
    if (span_is(name, "data")) e->data = (Span){r->in.at + start, r->at - start};
    return wrong;
}

/* Behind JSON_OBJECT: to its end in any case, so that the next event can be read. */
static const char *read_members(Body *b, Event *e) {
    const char *wrong = NULL;
    while (json_next(&b->reader) == JSON_NAME) {
        const char *bad = read_member(b, e, b->reader.text);
        if (!wrong) wrong = bad;
    }
    return wrong;
}

static bool media_type_is(const char *content_type, Span want) {
    Span ignored;
    return content_type &&
           span_equal_nocase(span_trim(span_split(span_of(content_type), ';', &ignored)), want);
}

/* application/json, or any type with the suffix +json; without a type it is JSON, too (CloudEvents JSON
 * format 3.1). */
static bool is_json(const char *content_type) {
    Span ignored;
    if (!content_type) return true;
    Span type = span_trim(span_split(span_of(content_type), ';', &ignored));
    for (const char *const *end = (const char *const[]){"/json", "+json", NULL}; *end; end++) {
        Span suffix = span_of(*end);
        if (type.len > suffix.len &&
            span_equal_nocase((Span){type.at + type.len - suffix.len, suffix.len}, suffix))
            return true;
    }
    return false;
}

static const char *data_from_protobuf(Event *e, Arena *arena) {
    const MessageType *type = message_type(span_of(e->envelope->event_type));
    if (type && !message_unpack(type, e->data_base64, arena)) return "data_base64 is not the event's message";
    e->envelope->data.len = e->data_base64.len;
    e->envelope->data.data = (uint8_t *)(uintptr_t)e->data_base64.at;
    return NULL;
}

static const char *data_from_json(const Body *b, Event *e, Span json) {
    FieldFaults faults = {0};
    bool ok = envelope_data_from_json(e->envelope, json, b->arena, &faults, b->visitor->unknown_members);
    return ok ? NULL : "data does not fit the event's type";
}

static const char *read_data(const Body *b, Event *e) {
    if (e->data.len && e->has_base64) return "data and data_base64 exclude each other";
    if (e->data.len)
        return is_json(e->content_type) ? data_from_json(b, e, e->data) : "datacontenttype is not JSON";
    if (!e->has_base64) return "data is missing";
    if (media_type_is(e->content_type, SPAN("application/x-protobuf")))
        return data_from_protobuf(e, b->arena);
    if (e->content_type && is_json(e->content_type)) return data_from_json(b, e, e->data_base64);
    return "datacontenttype is neither JSON nor application/x-protobuf";
}

static void set_producer(Event *e) {
    static const char PREFIX[] = "/services/";
    bool ours = strncmp(e->source, PREFIX, sizeof PREFIX - 1) == 0;
    e->envelope->producer = e->source + (ours ? sizeof PREFIX - 1 : 0);
}

static const char *finish_cloud(const Body *b, Event *e) {
    if (strcmp(e->specversion, "1.0") != 0) return "specversion is not 1.0";
    if (!*e->envelope->event_id || !*e->envelope->event_type) return "id or type is missing";
    if (!e->source || !*e->source) return "source is missing";
    set_producer(e);
    return read_data(b, e);
}

/* An event of Event Grid's schema has room for five of our fields only. The others stand in front of `data`
 * under their CloudEvents names, or `data` is the whole envelope in its own JSON form. */
static bool data_is_envelope(const Event *e, Arena *arena) {
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

static const char *read_envelope(const Body *b, Event *e) {
    FieldFaults faults = {0};
    JsonReader r = json_reader(e->data, b->arena);
    r.lenient = true;
    events__v1__envelope__init(e->envelope);
    json_next(&r);
    events_v1_envelope_from_json(&r, &e->envelope->base, b->arena, &faults);
    return faults.count ? "data is not an envelope" : NULL;
}

static const char *finish_grid(const Body *b, Event *e) {
    if (!b->may_be_grid) return "specversion is missing";
    if (!*e->envelope->event_id || !*e->envelope->event_type) return "id or eventType is missing";
    if (data_is_envelope(e, b->arena)) return read_envelope(b, e);
    const MessageType *type = message_type(span_of(e->envelope->event_type));
    if (type) e->envelope->producer = message_text(type->producer);
    return read_data(b, e);
}

/* Event Grid's question whether we want its events (azure: SubscriptionValidationEvent). */
static const char *validation(const Body *b, const Event *e) {
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
static Span bytes_from(const Body *b, size_t start) {
    return (Span){b->reader.in.at + start, b->reader.at - start};
}

/* Behind JSON_OBJECT. False where memory has ended: that is not the event's fault. */
static bool read_event(Body *b, size_t index) {
    size_t start = b->reader.value_at;
    Event e = {.envelope = arena_alloc(b->arena, sizeof *e.envelope)};
    if (!e.envelope) return false;
    events__v1__envelope__init(e.envelope);
    const char *wrong = read_members(b, &e);
    bool asks = !e.specversion &&
                strcmp(e.envelope->event_type, "Microsoft.EventGrid.SubscriptionValidationEvent") == 0;
    if (!wrong) wrong = asks ? validation(b, &e) : e.specversion ? finish_cloud(b, &e) : finish_grid(b, &e);
    if (arena_refused(b->arena)) return false;
    if (wrong)
        b->visitor->bad(b->visitor->user, index, bytes_from(b, start), wrong);
    else if (!asks)
        b->visitor->event(b->visitor->user, e.envelope);
    return true;
}

static bool read_batch(Body *b) {
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
static bool is_whole(Span body, JsonToken *first, const char **fault) {
    JsonReader r = json_reader(body, NULL);
    *first = json_next(&r);
    bool whole = json_skip(&r, *first) && json_next(&r) == JSON_END;
    *fault = r.fault;
    return whole;
}

bool cloudevent_read(Span content_type, Span body, Arena *arena, const CloudEventVisitor *visitor, Err *err) {
    Span ignored;
    Span media = span_trim(span_split(content_type, ';', &ignored));
    size_t kind = 0;
    while (kind < COUNT(BODIES) && !span_equal_nocase(media, span_of(BODIES[kind].type))) kind++;
    if (kind == COUNT(BODIES))
        return err_set(err, &ERR_UNSUPPORTED, "the media type is none of CloudEvents or JSON");
    JsonToken first;
    const char *fault;
    if (!is_whole(body, &first, &fault)) return err_set(err, &ERR_INVALID, "the body is not JSON: %s", fault);
    if (!(first == JSON_OBJECT && BODIES[kind].one) && !(first == JSON_ARRAY && BODIES[kind].batch))
        return err_set(err, &ERR_INVALID, "the body is not what its media type says");
    Body b = {.reader = json_reader(body, arena),
              .arena = arena,
              .visitor = visitor,
              .may_be_grid = BODIES[kind].grid};
    json_next(&b.reader);
    bool ok = first == JSON_OBJECT ? read_event(&b, 0) : read_batch(&b);
    return ok || err_set(err, &ERR_TOO_LARGE, "the events do not fit into memory");
}
