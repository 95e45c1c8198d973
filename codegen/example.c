/* example.c - an option (field).example wins; else the pattern, the widget and the type say enough. The
 * values are the same wherever a field appears, so that the examples of the documents fit together. */
#include "example.h"

#include "schema.h"

#define EXAMPLE_UUID "0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6071"
#define EXAMPLE_ID   12345

enum { DEPTH_MAX = 4 };

static bool name_ends(const char *name, const char *end) {
    return span_ends(span_of(name), span_of(end));
}

static const char *text_example(const Field *f) {
    const char *pattern = f->rules->pattern, *widget = f->widget;
    if (*f->rules->example) return f->rules->example;
    if (strcmp(pattern, "uuid") == 0 || name_ends(f->name, "_id")) return EXAMPLE_UUID;
    if (strcmp(pattern, "email") == 0 || strcmp(widget, "email") == 0) return "ada.lovelace@example.org";
    if (strcmp(pattern, "phone") == 0 || strcmp(widget, "tel") == 0) return "+44 20 7946 0958";
    if (strcmp(widget, "textarea") == 0) return "Met at the trade fair.\nCalls back in May.";
    if (name_ends(f->name, "subject")) return "prospect/12345";
    return f->label;
}

static void write_value(const Field *f, int depth, int64_t id, JsonWriter *w);

static void write_members(const Message *m, const char *without, int depth, JsonWriter *w) {
    int64_t id = EXAMPLE_ID; /* a second id of the same message is another one */
    json_object(w);
    for (size_t i = 0; i < m->field_count; i++) {
        const Field *f = &m->fields[i];
        bool seldom = f->rules->omit_empty && (f->repeated || strcmp(f->name, "code") == 0);
        if (seldom || name_listed(without, f->name)) continue;
        json_name(w, f->json_name);
        if (f->repeated) json_array(w);
        if (!f->repeated || depth < DEPTH_MAX) write_value(f, depth, id, w);
        id += f->rules->id;
        if (f->repeated) json_array_end(w);
    }
    json_object_end(w);
}

static void write_number(const Field *f, int64_t id, JsonWriter *w) {
    if (f->rules->decimal_string)
        json_decimal_string(w, 42);
    else
        json_int(w, f->rules->id ? id : strcmp(f->name, "expires_in") == 0 ? 900 : 1);
}

static void write_value(const Field *f, int depth, int64_t id, JsonWriter *w) {
    switch (f->kind) {
    case KIND_TEXT: json_text(w, text_example(f)); break;
    case KIND_BYTES: json_text(w, "AQID"); break;
    case KIND_BOOL: json_bool(w, true); break;
    case KIND_ENUM:
        json_text(w, f->enumeration->values[f->enumeration->value_count > 2 ? 2 : 0].json_name);
        break;
    case KIND_TIMESTAMP: json_text(w, "2026-03-14T09:26:53.589793Z"); break;
    case KIND_MESSAGE:
        if (f->message && depth < DEPTH_MAX)
            write_members(f->message, "", depth + 1, w);
        else
            json_null(w);
        break;
    default: write_number(f, id, w); break;
    }
}

void example_message(const Message *m, const char *without, JsonWriter *w) {
    write_members(m, without, 0, w);
}

/* --- the envelope and its CloudEvents form --- */

static void append_field(const Message *m, Span name, Buf *to) {
    const Field *f = message_field(m, name);
    if (f && f->kind == KIND_TEXT)
        buf_text(to, text_example(f));
    else
        buf_printf(to, "%d", EXAMPLE_ID);
}

/* "prospect/{prospect_id}" becomes "prospect/12345". */
static void append_subject(const Message *m, Buf *to) {
    for (Span rest = span_of(m->rules->subject); rest.at && rest.len;) {
        buf_span(to, span_split(rest, '{', &rest));
        if (rest.at) append_field(m, span_split(rest, '}', &rest), to);
    }
}

static void write_subject(const Message *event, bool always, JsonWriter *w) {
    AUTO_BUF subject = {0};
    append_subject(event, &subject);
    if (!subject.len && !always) return;
    json_name(w, "subject");
    json_string(w, buf_view(&subject));
}

/* Both forms of an envelope tell the same: "correlationId" is the attribute "correlationid", "eventId" is
 * "id". */
static const char *attribute_example(const Field *f) {
    size_t count;
    const CloudAttribute *attributes = cloud_attributes(&count);
    const char *name = strcmp(f->name, "event_id") == 0 ? "id" : f->json_name;
    for (size_t i = 0; i < count && f->kind == KIND_TEXT; i++)
        if (*attributes[i].example && span_equal_nocase(span_of(name), span_of(attributes[i].name)))
            return attributes[i].example;
    return NULL;
}

static bool follows_event(const Field *f, const Message *event, JsonWriter *w) {
    const char *value = strcmp(f->name, "event_type") == 0       ? event->name
                        : strcmp(f->name, "schema_version") == 0 ? event->rules->schema_version
                        : strcmp(f->name, "producer") == 0       ? event->rules->producer
                                                                 : attribute_example(f);
    if (value) json_text(w, value);
    return value;
}

void example_envelope(const Contract *c, const Message *event, JsonWriter *w) {
    const Message *envelope = contract_message(c, ENVELOPE);
    json_object(w);
    for (size_t i = 0; envelope && i < envelope->field_count; i++) {
        const Field *f = &envelope->fields[i];
        if (name_listed(ENVELOPE_HIDDEN, f->name)) continue;
        if (strcmp(f->name, "subject") == 0) {
            write_subject(event, true, w);
            continue;
        }
        json_name(w, f->json_name);
        if (strcmp(f->name, "data") == 0)
            example_message(event, "", w);
        else if (!follows_event(f, event, w))
            write_value(f, 0, EXAMPLE_ID, w);
    }
    json_object_end(w);
}

void example_cloudevent(const Message *event, JsonWriter *w) {
    size_t count;
    const CloudAttribute *attributes = cloud_attributes(&count);
    AUTO_BUF source = {0};
    buf_printf(&source, "/services/%s", event->rules->producer);
    json_object(w);
    for (size_t i = 0; i < count; i++) {
        const CloudAttribute *a = &attributes[i];
        if (strcmp(a->name, "subject") == 0) {
            write_subject(event, false, w);
            continue;
        }
        json_name(w, a->name);
        if (strcmp(a->name, "data") == 0)
            example_message(event, "", w);
        else if (strcmp(a->name, "source") == 0)
            json_string(w, buf_view(&source));
        else
            json_text(w, strcmp(a->name, "type") == 0            ? event->name
                         : strcmp(a->name, "schemaversion") == 0 ? event->rules->schema_version
                                                                 : a->example);
    }
    json_object_end(w);
}
