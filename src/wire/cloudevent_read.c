/* cloudevent_read.c - request bodies of the event boundary: one CloudEvent, a batch of them, or Event Grid's own schema.
 * Promise:  the body as a whole is JSON or it is refused; one bad event of a batch is told by its index and the others
 *           go on, because a delivery has one answer and Event Grid never repeats what was answered with 400.
 * Lenient:  attributes and data members of newer versions are passed over; what is known must have its type. */
#include "wire/cloudevent.h"

#include "base/clock.h"
#include "wire/base64.h"
#include "wire/envelope.h"
#include "wire/envelope_json.h"
#include "wire/json_fields.h"

typedef struct Event {
    Events__V1__Envelope *envelope;
    char *specversion, *source, *content_type, *validation_code;
    Span data, data_base64; /* data as written */
    int64_t time;
    bool has_data, is_grid;
    const char *wrong; /* the first reason why the event is bad; static text */
} Event;

typedef struct Body {
    JsonReader reader;
    Arena *arena;
    const CloudEventVisitor *visitor;
    bool is_grid;
    size_t index;
    Err *err;
} Body;

/* An attribute: its name, and where its text goes. Names of Event Grid's schema in the second table. */
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
    static bool function(Event *e, Span text, Arena *arena) { return keep(&e->target, text, arena); }
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
    return base64_read(text, arena, &e->data_base64);
}

static const Attribute CLOUD[] = {
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
    {NULL},
};
/* Event Grid's schema has no extensions: our own fields travel in the data object's "$envelope". */
static const Attribute GRID[] = {
    {"id", take_id, "id is not a text"},
    {"eventType", take_type, "eventType is not a text"},
    {"subject", take_subject, "subject is not a text"},
    {"eventTime", take_time, "eventTime is not RFC 3339"},
    {"dataVersion", take_schema_version, "dataVersion is not a text"},
    {NULL},
};
