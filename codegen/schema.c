/* schema.c - a message as JSON Schema. Answers and events may grow (additive changes), so they allow members
 * that they do not name; what callers send is checked strictly, as the gateway does. */
#include "schema.h"

#define ID_MAX                ((INT64_C(1) << 53) - 1)
#define LABEL                 "[\\p{L}\\p{M}\\p{N}](?:[\\p{L}\\p{M}\\p{N}\\-]{0,61}[\\p{L}\\p{M}\\p{N}])?"
#define EMAIL                 "\\s*[^\\s@]{1,64}@(?:" LABEL "\\.)+" LABEL "\\s*$"
#define PHONE                 "\\s*(?=(?:[^0-9]*[0-9]){5})[0-9 +().\\-]{5,32}\\s*$"
#define UUID_TEXT             "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
#define NO_CONTROLS           "^(?![\\s\\S]*\\p{Cc})"
#define NO_CONTROLS_BUT_LINES "^(?![\\s\\S]*(?![\\t\\n\\r])\\p{Cc})"

bool is_event(const Message *m) {
    return m->wanted && m->rules->kind == EVENTS__V1__MESSAGE_KIND__EVENT;
}
bool is_command(const Message *m) {
    return m->wanted && m->rules->kind == EVENTS__V1__MESSAGE_KIND__COMMAND;
}

bool name_listed(const char *list, const char *name) {
    for (Span rest = span_of(list); rest.at;)
        if (span_is(span_split(rest, ',', &rest), name)) return true;
    return false;
}

void member_text(JsonWriter *w, const char *name, const char *value) {
    json_name(w, name);
    json_text(w, value);
}

void member_raw(JsonWriter *w, const char *name, const char *json) {
    json_name(w, name);
    json_raw(w, span_of(json));
}

void member_ref(JsonWriter *w, const char *refs, const char *name) {
    AUTO_BUF target = {0};
    Span rest;
    buf_span(&target, span_split(span_of(refs), '*', &rest));
    buf_text(&target, name);
    buf_span(&target, rest);
    json_name(w, "$ref");
    json_string(w, buf_view(&target));
}

/* --- one field --- */

/* Behind the start of the text; "" where anything may follow. */
static const char *pattern_of(const Field *f) {
    const char *name = f->rules->pattern;
    if (strcmp(name, "email") == 0) return EMAIL;
    if (strcmp(name, "phone") == 0) return PHONE;
    if (strcmp(name, "uuid") == 0) return UUID_TEXT;
    return f->rules->required ? "[\\s\\S]*\\S" : "";
}

/* An empty text is as good as an absent one. */
static void write_pattern(const Field *f, JsonWriter *w) {
    const char *pattern = pattern_of(f), *empty = f->rules->trim ? "\\s*$|" : "$|";
    AUTO_BUF text = {0};
    buf_text(&text, f->rules->multiline ? NO_CONTROLS_BUT_LINES : NO_CONTROLS);
    if (*pattern) buf_printf(&text, "(?:%s%s)", f->rules->required ? "" : empty, pattern);
    json_name(w, "pattern");
    json_string(w, buf_view(&text));
}

static void write_text_rules(const Field *f, JsonWriter *w) {
    if (f->rules->required) member_raw(w, "minLength", "1");
    if (f->rules->max_length) {
        json_name(w, "maxLength");
        json_int(w, f->rules->max_length);
    }
    write_pattern(f, w);
}

static void write_integer(const Field *f, const SchemaStyle *style, JsonWriter *w) {
    if (f->rules->decimal_string && !style->frames) {
        member_text(w, "type", "string");
        member_text(w, "pattern", "^[0-9]+$");
        return;
    }
    member_text(w, "type", "integer");
    if (f->kind == KIND_UINT32) {
        member_raw(w, "minimum", "0");
        member_raw(w, "maximum", "4294967295");
        return;
    }
    member_text(w, "format", f->kind == KIND_INT32 ? "int32" : "int64");
    if (f->rules->id) {
        json_name(w, "minimum");
        json_int(w, style->input && !f->rules->required ? 0 : 1);
        json_name(w, "maximum");
        json_int(w, ID_MAX);
    }
    if (style->input && strcmp(f->rules->pattern, "version") == 0) {
        member_raw(w, "minimum", "-1");
        if (f->rules->required) member_raw(w, "not", "{\"const\":0}");
    }
}

/* Nothing chosen is a value, too, unless one must be chosen. */
static void write_enum(const Enum *e, bool chosen, JsonWriter *w) {
    member_text(w, "type", "string");
    json_name(w, "enum");
    json_array(w);
    for (size_t i = 0; i < e->value_count; i++)
        if (e->values[i].number || !chosen) json_text(w, e->values[i].json_name);
    json_array_end(w);
}

static void write_any_event(const Contract *c, const char *refs, JsonWriter *w) {
    json_name(w, "anyOf");
    json_array(w);
    for (size_t i = 0; i < c->message_count; i++) {
        if (!is_event(&c->messages[i])) continue;
        json_object(w);
        member_ref(w, refs, c->messages[i].name);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_type(const Field *f, const SchemaStyle *style, JsonWriter *w) {
    switch (f->kind) {
    case KIND_TEXT:
        member_text(w, "type", "string");
        if (style->input) write_text_rules(f, w);
        break;
    case KIND_BYTES:
        member_text(w, "type", "string");
        member_text(w, "contentEncoding", "base64");
        break;
    case KIND_BOOL: member_text(w, "type", "boolean"); break;
    case KIND_ENUM: write_enum(f->enumeration, style->input && f->rules->required, w); break;
    case KIND_TIMESTAMP:
        member_text(w, "type", "string");
        member_text(w, "format", "date-time");
        break;
    case KIND_MESSAGE: member_ref(w, style->refs, f->message->name); break;
    default: write_integer(f, style, w); break;
    }
}

/* What we write of a part that is not there is null; who sends leaves it out. */
static bool may_be_null(const Field *f, const SchemaStyle *style) {
    return !style->input && !style->frames && (f->kind == KIND_MESSAGE || f->kind == KIND_TIMESTAMP);
}

static void write_or_null(const Field *f, const SchemaStyle *style, JsonWriter *w) {
    json_name(w, "anyOf");
    json_array(w);
    json_object(w);
    write_type(f, style, w);
    json_object_end(w);
    json_raw(w, SPAN("{\"type\":\"null\"}"));
    json_array_end(w);
}

static void write_about(const Field *f, JsonWriter *w) {
    member_text(w, "title", f->label);
    if (*f->comment) member_text(w, "description", f->comment);
    if (f->rules->personal) member_raw(w, "x-personal-data", "true");
}

static void write_property(const Contract *c, const Field *f, const SchemaStyle *style, bool event_data,
                           JsonWriter *w) {
    json_name(w, style->frames ? f->name : f->json_name);
    json_object(w);
    write_about(f, w);
    if (style->frames) {
        json_name(w, "x-protobuf-field");
        json_int(w, f->number);
    }
    if (event_data) {
        write_any_event(c, style->refs, w);
    } else if (f->repeated) {
        member_text(w, "type", "array");
        json_name(w, "items");
        json_object(w);
        write_type(f, style, w);
        json_object_end(w);
    } else if (may_be_null(f, style)) {
        write_or_null(f, style, w);
    } else {
        write_type(f, style, w);
    }
    json_object_end(w);
}

/* --- one message --- */

typedef struct Shape {
    const Contract *contract;
    const Message *message;
    const SchemaStyle *style;
    bool by_hand; /* the envelope's own JSON form: `data` is the event's object, the watermark is not shown */
} Shape;

static bool has_member(const Shape *s, const Field *f) {
    return f->kind != KIND_OTHER && !name_listed(s->style->without, f->name) &&
           !(s->by_hand && name_listed(ENVELOPE_HIDDEN, f->name));
}

static bool must_have(const Shape *s, const Field *f) {
    if (s->style->frames) return false; /* protobuf leaves out what is empty */
    return s->style->input ? f->rules->required : !f->rules->omit_empty && !f->in_oneof;
}

static void write_required(const Shape *s, JsonWriter *w) {
    size_t count = 0;
    for (size_t i = 0; i < s->message->field_count; i++) {
        const Field *f = &s->message->fields[i];
        if (!has_member(s, f) || !must_have(s, f)) continue;
        if (!count++) {
            json_name(w, "required");
            json_array(w);
        }
        json_text(w, f->json_name);
    }
    if (count) json_array_end(w);
}

void schema_members(const Contract *c, const Message *m, const SchemaStyle *style, JsonWriter *w) {
    Shape s = {c, m, style, m->rules->custom_json && !style->frames};
    member_text(w, "title", *m->rules->title ? m->rules->title : m->name);
    if (*m->comment) member_text(w, "description", m->comment);
    member_text(w, "type", "object");
    write_required(&s, w);
    json_name(w, "properties");
    json_object(w);
    for (size_t i = 0; i < m->field_count; i++) {
        const Field *f = &m->fields[i];
        if (has_member(&s, f)) write_property(c, f, style, s.by_hand && f->kind == KIND_BYTES, w);
    }
    if (is_event(m) && !style->frames)
        member_raw(w, "$unknown",
                   "{\"type\":\"string\",\"contentEncoding\":\"base64\",\"description\":\"Fields of a newer "
                   "version, as protobuf.\"}");
    json_object_end(w);
    if (style->input) member_raw(w, "additionalProperties", "false");
}

void schema_object(const Contract *c, const Message *m, const SchemaStyle *style, JsonWriter *w) {
    json_object(w);
    schema_members(c, m, style, w);
    json_object_end(w);
}

const Message **schema_parts_room(const Contract *c) {
    return must(arena_alloc(c->arena, (c->message_count + 1) * sizeof(const Message *)));
}

size_t schema_parts(const Message *m, const Message **parts, size_t count, size_t room) {
    for (size_t i = 0; i < m->field_count; i++) {
        const Message *part = m->fields[i].message;
        bool known = !part;
        for (size_t k = 0; k < count; k++) known |= parts[k] == part;
        if (known || count == room) continue;
        parts[count++] = part;
        count = schema_parts(part, parts, count, room);
    }
    return count;
}
