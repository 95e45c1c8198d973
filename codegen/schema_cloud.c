/* The CloudEvents form of events as JSON Schema. */
#include "schema.h"

static const CloudAttribute ATTRIBUTES[] = {
    {"specversion", "The version of CloudEvents.", "^1\\.0$", "1.0", false},
    {"id", "The event's id (UUID, version 7); the same across resends.", NULL,
     "0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6069", false},
    {"type", "The event's type, in the past tense.", NULL, "", false},
    {"source", "/services/ and the producer.", "^/services/.", "", false},
    {"subject", "What the event is about; never personal data.", NULL, "", true},
    {"time", "When it happened (RFC 3339, UTC).", "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$",
     "2026-03-14T09:26:53.589793Z", true},
    {"datacontenttype", "The form of data.", "^application/json$", "application/json", false},
    {"schemaversion", "The version of the event's schema.", NULL, "", true},
    {"correlationid", "Ties together all that one request has caused.", NULL,
     "0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6070", true},
    {"causationid", "The id of the command that caused it.", NULL, "0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071",
     true},
    {"tenantid", "Whose event it is.", NULL, "demo", true},
    {"sequence", "The event's number, dense, padded to 19 digits.", "^[0-9]{19}$", "0000000000000000042",
     false},
    {"watermark", "The highest number so far given; measures lag only.", "^[0-9]{19}$", "0000000000000000042",
     false},
    {"subjectversion", "1, 2, 3 ... within a subject; 0 where a subject has a single event.", "^[0-9]+$", "1",
     false},
    {"issuedby", "Opaque id of the user who sent the command.", NULL, "0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6072",
     true},
    {"traceparent", "The trace that the command started (W3C Trace Context).",
     "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
     "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true},
    {"data", "The event itself.", NULL, "", false},
};

const CloudAttribute *cloud_attributes(size_t *count) {
    *count = COUNT(ATTRIBUTES);
    return ATTRIBUTES;
}

static bool is_data(const CloudAttribute *a) {
    return strcmp(a->name, "data") == 0;
}

static void write_value(const CloudAttribute *a, const Message *event, const char *refs, JsonWriter *w) {
    if (is_data(a) && event) {
        member_ref(w, refs, event->name);
        return;
    }
    member_text(w, "type", is_data(a) ? "object" : "string");
    if (event && strcmp(a->name, "type") == 0)
        member_text(w, "const", event->name);
    else if (a->pattern)
        member_text(w, "pattern", a->pattern);
    else if (!is_data(a))
        member_raw(w, "minLength", "1");
}

static void write_required(JsonWriter *w) {
    json_name(w, "required");
    json_array(w);
    for (size_t i = 0; i < COUNT(ATTRIBUTES); i++)
        if (!ATTRIBUTES[i].optional) json_text(w, ATTRIBUTES[i].name);
    json_array_end(w);
}

static void write_case(const Message *event, const char *refs, JsonWriter *w) {
    json_object(w);
    AUTO_BUF condition = {0};
    buf_printf(&condition, "{\"properties\":{\"type\":{\"const\":\"%s\"}}}", event->name);
    json_name(w, "if");
    json_raw(w, buf_view(&condition));
    json_name(w, "then");
    json_object(w);
    json_name(w, "properties");
    json_object(w);
    json_name(w, "data");
    json_object(w);
    member_ref(w, refs, event->name);
    for (int open = 0; open < 4; open++) json_object_end(w);
}

void schema_cloudevent(const Contract *c, const Message *event, const char *refs, JsonWriter *w) {
    member_text(w, "title", event ? event->rules->title : "CloudEvent");
    member_text(w, "type", "object");
    write_required(w);
    json_name(w, "properties");
    json_object(w);
    for (size_t i = 0; i < COUNT(ATTRIBUTES); i++) {
        json_name(w, ATTRIBUTES[i].name);
        json_object(w);
        member_text(w, "description", ATTRIBUTES[i].about);
        write_value(&ATTRIBUTES[i], event, refs, w);
        json_object_end(w);
    }
    json_object_end(w);
    if (event) return;
    json_name(w, "allOf");
    json_array(w);
    for (size_t i = 0; i < c->message_count; i++)
        if (is_event(&c->messages[i])) write_case(&c->messages[i], refs, w);
    json_array_end(w);
}
