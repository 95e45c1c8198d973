/* JSON codecs: straight-line code per message, a call of wire/json/json_fields.h per member. Reading finds a
 * member by the length of its name first. */
#include "emit.h"

#include <stdio.h>

static const char *const READERS[] = {
    [KIND_TEXT] = "string",   [KIND_BYTES] = "bytes", [KIND_BOOL] = "bool",     [KIND_INT32] = "int32",
    [KIND_UINT32] = "uint32", [KIND_INT64] = "int64", [KIND_TIMESTAMP] = "time"};

static void emit_enum(const Enum *e, Buf *out) {
    buf_printf(out, "static const JsonEnum %s_names[] = {\n", e->symbol);
    for (size_t i = 0; i < e->value_count; i++)
        buf_printf(out, "    {\"%s\", %d},\n", e->values[i].json_name, e->values[i].number);
    buf_text(out, "    {NULL, 0},\n};\n\n");
}

/* What must be true of a field for omit_empty to write it. */
static void emit_presence(const Field *f, Buf *out) {
    if (f->repeated)
        buf_printf(out, "m->n_%s", f->c_name);
    else if (f->kind == KIND_TEXT)
        buf_printf(out, "m->%s && *m->%s", f->c_name, f->c_name);
    else if (f->kind == KIND_BYTES)
        buf_printf(out, "m->%s.len", f->c_name);
    else
        buf_printf(out, "m->%s", f->c_name);
}

static void emit_write_value(const Field *f, const char *value, Buf *out) {
    if (f->rules->decimal_string) {
        buf_printf(out, "json_decimal_string(w, %s);\n", value);
        return;
    }
    switch (f->kind) {
    case KIND_TEXT: buf_printf(out, "json_text(w, %s);\n", value); break;
    case KIND_BYTES: buf_printf(out, "json_base64(w, span_bytes(%s.data, %s.len));\n", value, value); break;
    case KIND_BOOL: buf_printf(out, "json_bool(w, %s);\n", value); break;
    case KIND_ENUM:
        buf_printf(out, "json_enum(w, %s_names, (int)%s);\n", f->enumeration->symbol, value);
        break;
    case KIND_TIMESTAMP: buf_printf(out, "json_timestamp(w, %s);\n", value); break;
    case KIND_MESSAGE: buf_printf(out, "%s_to_json(&%s->base, w);\n", f->message->symbol, value); break;
    default: buf_printf(out, "json_int(w, %s);\n", value); break;
    }
}

static void emit_write_list(const Field *f, Buf *out) {
    char value[128];
    snprintf(value, sizeof value, "m->%s[i]", f->c_name);
    buf_printf(out, "    json_array(w);\n    for (size_t i = 0; i < m->n_%s; i++) ", f->c_name);
    emit_write_value(f, value, out);
    buf_text(out, "    json_array_end(w);\n");
}

static void emit_write_single(const Field *f, Buf *out) {
    char value[128];
    snprintf(value, sizeof value, "m->%s", f->c_name);
    buf_text(out, "    ");
    if (f->kind == KIND_MESSAGE) buf_printf(out, "if (!m->%s) json_null(w); else ", f->c_name);
    emit_write_value(f, value, out);
}

static void emit_write_field(const Field *f, Buf *out) {
    if (f->rules->omit_empty) {
        buf_text(out, "    if (");
        emit_presence(f, out);
        buf_text(out, ") {\n");
    }
    buf_printf(out, "    json_key(w, SPAN(\"\\\"%s\\\":\"));\n", f->json_name);
    if (f->repeated)
        emit_write_list(f, out);
    else
        emit_write_single(f, out);
    if (f->rules->omit_empty) buf_text(out, "    }\n");
}

static void emit_to_json(const Message *m, Buf *out) {
    buf_printf(out, "void %s_to_json(const ProtobufCMessage *message, JsonWriter *w) {\n", m->symbol);
    if (m->field_count) buf_printf(out, "    const %s *m = (const %s *)message;\n", m->c_type, m->c_type);
    buf_text(out, "    json_object(w);\n");
    for (size_t i = 0; i < m->field_count; i++) emit_write_field(&m->fields[i], out);
    buf_text(out, "    json_unknown_fields(w, message);\n    json_object_end(w);\n}\n\n");
}

static void emit_read_list(const Field *f, size_t index, Buf *out) {
    if (f->kind == KIND_TEXT)
        buf_printf(out, "JsonList list = json_member_strings(o, %zu, \"%s\");\n", index, f->json_name);
    else
        buf_printf(out,
                   "static const JsonPart part = {&%s__descriptor, %s_from_json};\n            "
                   "JsonList list = json_member_messages(o, %zu, \"%s\", &part);\n",
                   f->message->c_prefix, f->message->symbol, index, f->json_name);
    buf_printf(out, "            if (list.count) m->n_%s = list.count, m->%s = (void *)list.at;\n", f->c_name,
               f->c_name);
}

static void emit_read_value(const Field *f, size_t index, Buf *out) {
    if (f->repeated) {
        emit_read_list(f, index, out);
    } else if (f->kind == KIND_ENUM) {
        buf_printf(
            out,
            "int value = (int)m->%s;\n            json_member_enum(o, %zu, \"%s\", %s_names, &value);\n"
            "            m->%s = value;\n",
            f->c_name, index, f->json_name, f->enumeration->symbol, f->c_name);
    } else if (f->kind == KIND_MESSAGE) {
        buf_printf(out,
                   "static const JsonPart part = {&%s__descriptor, %s_from_json};\n            "
                   "json_member_message(o, %zu, \"%s\", &part, (ProtobufCMessage **)&m->%s);\n",
                   f->message->c_prefix, f->message->symbol, index, f->json_name, f->c_name);
    } else {
        const char *reader = f->rules->decimal_string ? "decimal" : READERS[f->kind];
        buf_printf(out, "json_member_%s(o, %zu, \"%s\", &m->%s);\n", reader, index, f->json_name, f->c_name);
    }
}

static void emit_names_of_length(const Message *m, size_t len, Buf *out) {
    buf_printf(out, "    case %zu:\n", len);
    for (size_t i = 0; i < m->field_count; i++) {
        const Field *f = &m->fields[i];
        if (strlen(f->json_name) != len) continue;
        buf_printf(out, "        if (json_object_is(o, \"%s\", %zu)) {\n            ", f->json_name, len);
        emit_read_value(f, i, out);
        buf_text(out, "            return;\n        }\n");
    }
    buf_text(out, "        break;\n");
}

static bool first_of_length(const Message *m, size_t index) {
    for (size_t i = 0; i < index; i++)
        if (strlen(m->fields[i].json_name) == strlen(m->fields[index].json_name)) return false;
    return true;
}

static void emit_member(const Message *m, Buf *out) {
    buf_printf(out, "static void %s_member(JsonObject *o, %s *m) {\n    switch (o->name.len) {\n", m->symbol,
               m->c_type);
    for (size_t i = 0; i < m->field_count; i++)
        if (first_of_length(m, i)) emit_names_of_length(m, strlen(m->fields[i].json_name), out);
    buf_text(out, "    default: break;\n    }\n    (void)m;\n    json_member_unknown(o);\n}\n\n");
}

static void emit_from_json(const Message *m, Buf *out) {
    emit_member(m, out);
    buf_printf(
        out,
        "bool %s_from_json(JsonReader *r, ProtobufCMessage *message, Arena *arena, FieldFaults *faults) {\n"
        "    JsonObject o = {.reader = r, .message = message, .arena = arena, .faults = faults};\n"
        "    while (json_object_next(&o)) %s_member(&o, (%s *)message);\n"
        "    return !o.over;\n"
        "}\n\n",
        m->symbol, m->symbol, m->c_type);
}

void emit_json(const Contract *c, Buf *out) {
    buf_text(out, "/* Made by protoc-gen-events. */\n#include \"events/v1/contract.h\"\n"
                  "#include \"wire/json/json_fields.h\"\n\n");
    for (size_t i = 0; i < c->enum_count; i++) emit_enum(&c->enums[i], out);
    for (size_t i = 0; i < c->message_count; i++) {
        const Message *m = &c->messages[i];
        if (!m->wanted || !m->has_json || m->rules->custom_json) continue;
        emit_to_json(m, out);
        emit_from_json(m, out);
    }
}
