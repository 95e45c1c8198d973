/* schemas/<Name>.json: a JSON Schema (2020-12) for each event, each command, and the two forms of the
 * envelope. Each stands alone: what it refers to lies in its own $defs, but for the events that an envelope
 * may carry. */
#include "emit.h"
#include "example.h"
#include "schema.h"

#define SCHEMA_FILES "/schemas/*.json"

static void write_head(const char *name, JsonWriter *w) {
    AUTO_BUF id = {0};
    buf_printf(&id, "/schemas/%s.json", name);
    json_object(w);
    member_text(w, "$schema", "https://json-schema.org/draft/2020-12/schema");
    json_name(w, "$id");
    json_string(w, buf_view(&id));
}

static void write_parts(const Contract *c, const Message *m, const SchemaStyle *style, JsonWriter *w) {
    const Message **parts = schema_parts_room(c);
    size_t count = schema_parts(m, parts, 0, c->message_count);
    if (!count) return;
    json_name(w, "$defs");
    json_object(w);
    for (size_t i = 0; i < count; i++) {
        json_name(w, parts[i]->name);
        schema_object(c, parts[i], style, w);
    }
    json_object_end(w);
}

void emit_json_schema(const Contract *c, const Message *m, Buf *out) {
    JsonWriter w = json_writer(out);
    SchemaStyle style = {.refs = "#/$defs/*", .input = is_command(m)};
    write_head(m->name, &w);
    member_text(&w, "x-schema-version", m->rules->schema_version);
    schema_members(c, m, &style, &w);
    write_parts(c, m, &style, &w);
    json_name(&w, "examples");
    json_array(&w);
    example_message(m, "", &w);
    json_array_end(&w);
    json_object_end(&w);
}

void emit_schema_cloudevent(const Contract *c, Buf *out) {
    JsonWriter w = json_writer(out);
    write_head("CloudEvent", &w);
    schema_cloudevent(c, NULL, SCHEMA_FILES, &w);
    json_object_end(&w);
}

void emit_schema_envelope(const Contract *c, Buf *out) {
    const Message *m = contract_message(c, ENVELOPE);
    JsonWriter w = json_writer(out);
    write_head("Envelope", &w);
    if (m) schema_members(c, m, &(SchemaStyle){.refs = SCHEMA_FILES}, &w);
    json_object_end(&w);
}
