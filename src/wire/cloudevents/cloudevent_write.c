/* cloudevent_write.c - an envelope as one CloudEvent 1.0 (JSON format, structured mode).
 * Names of attributes are lower case without separators (CloudEvents section 3.1). The 64-bit numbers are
 * strings, since CloudEvents integers have 32 bits; sequence and watermark are padded, so that comparing them
 * as text (extension "sequence") gives their order. `source` is "/services/" and the producer, and stays the
 * same when an event is resent. */
#include "wire/cloudevents/cloudevent.h"

#include "wire/envelope.h"
#include "wire/envelope_json.h"
#include "wire/json/json_fields.h"

static void padded(JsonWriter *w, const char *name, int64_t value) {
    char text[19];
    uint64_t left = value > 0 ? (uint64_t)value : 0;
    for (size_t i = sizeof text; i-- > 0; left /= 10) text[i] = (char)('0' + left % 10);
    json_name(w, name);
    json_string(w, (Span){text, sizeof text});
}

/* Optional attributes must not be empty (CloudEvents section 3.1), so they are left out. */
static void optional(JsonWriter *w, const char *name, const char *value) {
    if (!value || !*value) return;
    json_name(w, name);
    json_text(w, value);
}

static void source(JsonWriter *w, const char *producer) {
    json_name(w, "source");
    json_string_of(w, SPAN("/services/"), span_of(producer));
}

static void extensions(JsonWriter *w, const Events__V1__Envelope *e) {
    optional(w, "schemaversion", e->schema_version);
    optional(w, "correlationid", e->correlation_id);
    optional(w, "causationid", e->causation_id);
    optional(w, "tenantid", e->tenant_id);
    padded(w, "sequence", e->sequence);
    padded(w, "watermark", e->watermark);
    json_name(w, "subjectversion");
    json_decimal_string(w, e->subject_version);
    optional(w, "issuedby", e->issued_by);
    optional(w, "traceparent", e->traceparent);
}

bool cloudevent_write(const Events__V1__Envelope *e, Buf *out, Err *err) {
    if (!*e->event_id || !*e->event_type || !*e->producer)
        return err_set(err, &ERR_INVALID, "an event without id, type or producer cannot be a CloudEvent");
    JsonWriter w = json_writer(out);
    json_object(&w);
    json_name(&w, "specversion");
    json_text(&w, "1.0");
    json_name(&w, "id");
    json_text(&w, e->event_id);
    json_name(&w, "type");
    json_text(&w, e->event_type);
    source(&w, e->producer);
    optional(&w, "subject", e->subject);
    if (e->occurred_at) {
        json_name(&w, "time");
        json_timestamp(&w, e->occurred_at);
    }
    json_name(&w, "datacontenttype");
    json_text(&w, "application/json");
    extensions(&w, e);
    json_name(&w, "data");
    envelope_data_to_json(e, &w);
    json_object_end(&w);
    return !out->failed || err_set(err, &ERR_TOO_LARGE, "the event does not fit into the buffer");
}
