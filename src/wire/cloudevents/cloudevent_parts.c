/* cloudevent_parts.c - the attributes of an event and its data, whether they came as members of JSON or as
 * header fields. */
#include "wire/cloudevents/cloudevent_parts.h"

#include "base/clock.h"
#include "wire/base64.h"
#include "wire/envelope.h"
#include "wire/envelope_json.h"

static bool keep(char **to, Span text, Arena *arena) {
    if (text.len && memchr(text.at, 0, text.len)) return false;
    char *copy = arena_copy(arena, text);
    if (copy) *to = copy;
    return copy != NULL;
}

#define TAKE_TEXT(function, target)                                                                          \
    static bool function(CloudParts *e, Span text, Arena *arena) {                                           \
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

static bool take_time(CloudParts *e, Span text, Arena *arena) {
    return timestamp_read(text, arena, &e->envelope->occurred_at) && e->envelope->occurred_at;
}

/* At most 19 digits: zero-padded or not. */
static bool take_number(Span text, int64_t *to) {
    uint64_t value;
    if (!span_to_u64(text, INT64_MAX, &value)) return false;
    *to = (int64_t)value;
    return true;
}

static bool take_sequence(CloudParts *e, Span text, Arena *arena) {
    (void)arena;
    return take_number(text, &e->envelope->sequence);
}
static bool take_watermark(CloudParts *e, Span text, Arena *arena) {
    (void)arena;
    return take_number(text, &e->envelope->watermark);
}
static bool take_subject_version(CloudParts *e, Span text, Arena *arena) {
    (void)arena;
    return take_number(text, &e->envelope->subject_version);
}
static bool take_data_base64(CloudParts *e, Span text, Arena *arena) {
    return e->has_base64 = base64_read(text, arena, &e->data_base64);
}

static const CloudAttribute ATTRIBUTES[] = {
    {{"specversion", sizeof "specversion" - 1}, take_specversion, "specversion is not a text"},
    {{"id", sizeof "id" - 1}, take_id, "id is not a text"},
    {{"type", sizeof "type" - 1}, take_type, "type is not a text"},
    {{"source", sizeof "source" - 1}, take_source, "source is not a text"},
    {{"subject", sizeof "subject" - 1}, take_subject, "subject is not a text"},
    {{"time", sizeof "time" - 1}, take_time, "time is not RFC 3339"},
    {{"datacontenttype", sizeof "datacontenttype" - 1}, take_content_type, "datacontenttype is not a text"},
    {{"schemaversion", sizeof "schemaversion" - 1}, take_schema_version, "schemaversion is not a text"},
    {{"correlationid", sizeof "correlationid" - 1}, take_correlation_id, "correlationid is not a text"},
    {{"causationid", sizeof "causationid" - 1}, take_causation_id, "causationid is not a text"},
    {{"tenantid", sizeof "tenantid" - 1}, take_tenant_id, "tenantid is not a text"},
    {{"sequence", sizeof "sequence" - 1}, take_sequence, "sequence is not a string of digits"},
    {{"watermark", sizeof "watermark" - 1}, take_watermark, "watermark is not a string of digits"},
    {{"subjectversion", sizeof "subjectversion" - 1},
     take_subject_version,
     "subjectversion is not a string of digits"},
    {{"issuedby", sizeof "issuedby" - 1}, take_issued_by, "issuedby is not a text"},
    {{"traceparent", sizeof "traceparent" - 1}, take_traceparent, "traceparent is not a text"},
};

/* Members of the JSON format that are no attributes. Event Grid's own schema has other names for five of
 * them, and no extensions of its own. */
static const CloudAttribute MEMBERS[] = {
    {{"data_base64", sizeof "data_base64" - 1}, take_data_base64, "data_base64 is not base64"},
    {{"eventType", sizeof "eventType" - 1}, take_type, "eventType is not a text"},
    {{"eventTime", sizeof "eventTime" - 1}, take_time, "eventTime is not RFC 3339"},
    {{"dataVersion", sizeof "dataVersion" - 1}, take_schema_version, "dataVersion is not a text"},
};

const CloudAttribute *cloud_attributes(size_t *count) {
    *count = COUNT(ATTRIBUTES);
    return ATTRIBUTES;
}

static const CloudAttribute *find(const CloudAttribute *table, size_t count, Span name) {
    for (size_t i = 0; i < count; i++)
        if (span_equal(name, table[i].name)) return &table[i];
    return NULL;
}

const CloudAttribute *cloud_attribute(Span name) {
    const CloudAttribute *found = find(ATTRIBUTES, COUNT(ATTRIBUTES), name);
    return found ? found : find(MEMBERS, COUNT(MEMBERS), name);
}

uint32_t cloud_attribute_bit(const CloudAttribute *attribute) {
    size_t i = 0;
    while (i < COUNT(ATTRIBUTES) && ATTRIBUTES[i].take != attribute->take) i++;
    return UINT32_C(1) << i; /* data_base64, the only one that is not among them, has the last bit */
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

const char *cloud_data_fault(const FieldFaults *faults, const char *otherwise, Arena *arena) {
    if (!faults->count) return otherwise;
    const char *field = faults->at[0].field;
    const char *text = arena_printf(arena, "data%s%s: %s", *field ? "." : "", field, faults->at[0].code);
    return text ? text : otherwise;
}

static const char *data_from_protobuf(CloudParts *e, Arena *arena) {
    const MessageType *type = message_type(span_of(e->envelope->event_type));
    FieldFaults faults = {0};
    if (type && !message_unpack_told(type, e->data_base64, arena, &faults))
        return cloud_data_fault(&faults, "data is not the event's message", arena);
    e->envelope->data.len = e->data_base64.len;
    e->envelope->data.data = (uint8_t *)(uintptr_t)e->data_base64.at;
    return NULL;
}

static const char *data_from_json(const CloudBody *b, CloudParts *e, Span json) {
    FieldFaults faults = {0};
    bool ok = envelope_data_from_json(e->envelope, json, b->arena, &faults, b->visitor->unknown_members);
    return ok ? NULL : cloud_data_fault(&faults, "data does not fit the event's type", b->arena);
}

const char *cloud_data(const CloudBody *b, CloudParts *e) {
    if (e->data.len && e->has_base64) return "data and data_base64 exclude each other";
    if (e->data.len)
        return is_json(e->content_type) ? data_from_json(b, e, e->data) : "datacontenttype is not JSON";
    if (!e->has_base64) return "data is missing";
    if (media_type_is(e->content_type, SPAN("application/x-protobuf")))
        return data_from_protobuf(e, b->arena);
    if (e->content_type && is_json(e->content_type)) return data_from_json(b, e, e->data_base64);
    return "datacontenttype is neither JSON nor application/x-protobuf";
}

static void set_producer(CloudParts *e) {
    static const char PREFIX[] = "/services/";
    bool ours = strncmp(e->source, PREFIX, sizeof PREFIX - 1) == 0;
    e->envelope->producer = e->source + (ours ? sizeof PREFIX - 1 : 0);
}

const char *cloud_finish(const CloudBody *b, CloudParts *e) {
    if (!e->specversion || strcmp(e->specversion, "1.0") != 0) return "specversion is not 1.0";
    if (!*e->envelope->event_id || !*e->envelope->event_type) return "id or type is missing";
    if (!e->source || !*e->source) return "source is missing";
    set_producer(e);
    return cloud_data(b, e);
}
