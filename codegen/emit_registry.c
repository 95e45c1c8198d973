/* The registry: a table of all messages, and a perfect hash from their names to it. The seed is searched for
 * here, so that at run time a look-up is one hash and one comparison. */
#include "emit.h"

enum { SEEDS_MAX = 1 << 20 };

void emit_literal(Buf *out, const char *text) {
    buf_byte(out, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') buf_byte(out, '\\');
        if (*text == '\n')
            buf_text(out, "\\n");
        else
            buf_byte(out, *text);
    }
    buf_byte(out, '"');
}

const char *field_type_name(const Field *f) {
    static const char *const NAMES[] = {
        [KIND_TEXT] = "string", [KIND_BYTES] = "bytes",         [KIND_BOOL] = "bool",
        [KIND_INT32] = "int32", [KIND_UINT32] = "uint32",       [KIND_INT64] = "int64",
        [KIND_ENUM] = "string", [KIND_TIMESTAMP] = "timestamp", [KIND_MESSAGE] = "message",
        [KIND_OTHER] = "other"};
    if (f->rules->id) return "id";
    return f->rules->decimal_string ? "string" : NAMES[f->kind];
}

/* FNV-1a. The same lines stand in the generated message_type(). */
static uint32_t name_hash(const char *name, uint32_t seed) {
    uint32_t hash = 2166136261u ^ seed;
    for (; *name; name++) hash = (hash ^ (uint8_t)*name) * 16777619u;
    return hash ^ hash >> 15;
}

static bool fits(const Contract *c, uint32_t seed, size_t slots, int *slot_of) {
    for (size_t i = 0; i < slots; i++) slot_of[i] = -1;
    for (size_t i = 0; i < c->message_count; i++) {
        if (!c->messages[i].wanted) continue;
        int *slot = &slot_of[name_hash(c->messages[i].name, seed) & (slots - 1)];
        if (*slot >= 0) return false;
        *slot = (int)i;
    }
    return true;
}

static uint32_t find_seed(const Contract *c, size_t *slots, int **slot_of) {
    for (*slots = 16; *slots < c->message_count * 2; *slots *= 2) continue;
    for (;; *slots *= 2) {
        *slot_of = must(arena_alloc(c->arena, *slots * sizeof **slot_of));
        for (uint32_t seed = 0; seed < SEEDS_MAX / *slots; seed++)
            if (fits(c, seed, *slots, *slot_of)) return seed;
    }
}

static void text_member(Buf *out, const char *name, const char *value) {
    buf_printf(out, ".%s = ", name);
    emit_literal(out, value);
    buf_text(out, ", ");
}

static void emit_field(const Field *f, Buf *out) {
    const Events__V1__FieldRules *r = f->rules;
    buf_text(out, "    {");
    text_member(out, "json_name", f->json_name);
    text_member(out, "proto_name", f->name);
    text_member(out, "label", f->label);
    text_member(out, "widget", f->widget);
    text_member(out, "type", field_type_name(f));
    if (*r->pattern) text_member(out, "pattern", r->pattern);
    if (r->max_length) buf_printf(out, ".max_length = %u, ", (unsigned)r->max_length);
    if (r->required) buf_text(out, ".required = true, ");
    if (r->trim) buf_text(out, ".trim = true, ");
    if (r->multiline) buf_text(out, ".multiline = true, ");
    if (r->personal) buf_text(out, ".personal = true, ");
    if (f->repeated) buf_text(out, ".repeated = true, ");
    if (f->kind == KIND_ENUM) buf_printf(out, ".values = %s_values, ", f->enumeration->symbol);
    if (f->kind == KIND_MESSAGE && f->message && f->message->wanted)
        buf_printf(out, ".part = &%s_type, ", f->message->symbol);
    buf_printf(out, ".number = %u},\n", f->number);
}

static void emit_fields(const Message *m, Buf *out) {
    if (!m->field_count) return;
    buf_printf(out, "static const FieldInfo %s_fields[] = {\n", m->symbol);
    for (size_t i = 0; i < m->field_count; i++) emit_field(&m->fields[i], out);
    buf_text(out, "};\n");
}

static void emit_type(const Message *m, Buf *out) {
    static const char *const KINDS[] = {"MESSAGE_OTHER", "MESSAGE_COMMAND", "MESSAGE_EVENT"};
    buf_printf(out, "static const MessageType %s_type = {\n    ", m->symbol);
    text_member(out, "name", m->name);
    buf_printf(out, ".kind = %s,\n    ", KINDS[m->rules->kind]);
    text_member(out, "schema_version", m->rules->schema_version);
    text_member(out, "subject", m->rules->subject);
    text_member(out, "producer", m->rules->producer);
    buf_text(out, "\n    ");
    text_member(out, "title", m->rules->title);
    text_member(out, "topic", m->rules->topic);
    buf_printf(out, ".descriptor = &%s__descriptor,\n", m->c_prefix);
    if (m->field_count)
        buf_printf(out, "    .fields = %s_fields, .field_count = %zu,\n", m->symbol, m->field_count);
    if (m->has_json)
        buf_printf(out, "    .to_json = %s_to_json, .from_json = %s_from_json,\n", m->symbol, m->symbol);
    buf_printf(out, "    .validate = %s_validate,\n};\n", m->symbol);
}

static void emit_lookup(const Contract *c, Buf *out) {
    size_t slots;
    int *slot_of;
    uint32_t seed = find_seed(c, &slots, &slot_of);
    buf_printf(out, "\nstatic const MessageType *const SLOTS[%zu] = {\n", slots);
    for (size_t i = 0; i < slots; i++)
        if (slot_of[i] >= 0) buf_printf(out, "    [%zu] = &%s_type,\n", i, c->messages[slot_of[i]].symbol);
    buf_printf(out,
               "};\n\n"
               "const MessageType *message_type(Span name) {\n"
               "    uint32_t hash = 2166136261u ^ %uu;\n"
               "    for (size_t i = 0; i < name.len; i++) hash = (hash ^ (uint8_t)name.at[i]) * 16777619u;\n"
               "    const MessageType *found = SLOTS[(hash ^ hash >> 15) & %zuu];\n"
               "    return found && span_is(name, found->name) ? found : NULL;\n"
               "}\n",
               (unsigned)seed, slots - 1);
}

/* The first value of an enum is what a field holds in which nothing was chosen. */
static void emit_values(const Enum *e, Buf *out) {
    buf_printf(out, "static const char *const %s_values[] = {", e->symbol);
    for (size_t i = 0; i < e->value_count; i++) {
        if (!e->values[i].number) continue;
        emit_literal(out, e->values[i].json_name);
        buf_text(out, ", ");
    }
    buf_text(out, "NULL};\n");
}

static bool is_used(const Contract *c, const Enum *e) {
    for (size_t i = 0; i < c->message_count; i++)
        for (size_t k = 0; c->messages[i].wanted && k < c->messages[i].field_count; k++)
            if (c->messages[i].fields[k].enumeration == e) return true;
    return false;
}

void emit_registry(const Contract *c, Buf *out) {
    buf_text(out, "/* Made by protoc-gen-events. */\n#include \"events/v1/contract.h\"\n\n");
    for (size_t i = 0; i < c->enum_count; i++)
        if (is_used(c, &c->enums[i])) emit_values(&c->enums[i], out);
    for (size_t i = 0; i < c->message_count; i++)
        if (c->messages[i].wanted)
            buf_printf(out, "static const MessageType %s_type;\n", c->messages[i].symbol);
    for (size_t i = 0; i < c->message_count; i++) {
        if (!c->messages[i].wanted) continue;
        emit_fields(&c->messages[i], out);
        emit_type(&c->messages[i], out);
    }
    size_t count = 0;
    buf_text(out, "\nstatic const MessageType *const TYPES[] = {\n");
    for (size_t i = 0; i < c->message_count; i++)
        if (c->messages[i].wanted) buf_printf(out, "    &%s_type,\n", c->messages[i].symbol), count++;
    buf_printf(out,
               "};\n\nconst MessageType *const *message_types(size_t *count) {\n    *count = %zu;\n    "
               "return TYPES;\n}\n",
               count);
    emit_lookup(c, out);
}

static void emit_includes(const Contract *c, Buf *out) {
    const char *last = "";
    for (size_t i = 0; i < c->message_count; i++) {
        const char *file = c->messages[i].file;
        if (!c->messages[i].wanted || strcmp(file, last) == 0) continue;
        buf_printf(out, "#include \"%.*s.pb-c.h\"\n", (int)(strlen(file) - strlen(".proto")), file);
        last = file;
    }
}

void emit_header(const Contract *c, Buf *out) {
    buf_text(out, "/* Made by protoc-gen-events. */\n#pragma once\n#include \"wire/message.h\"\n");
    emit_includes(c, out);
    for (size_t i = 0; i < c->message_count; i++) {
        const Message *m = &c->messages[i];
        if (!m->wanted) continue;
        if (m->has_json)
            buf_printf(out,
                       "\nvoid %s_to_json(const ProtobufCMessage *message, JsonWriter *w);\n"
                       "bool %s_from_json(JsonReader *r, ProtobufCMessage *message, Arena *arena, "
                       "FieldFaults *faults);",
                       m->symbol, m->symbol);
        buf_printf(out, "\nvoid %s_validate(ProtobufCMessage *message, Arena *arena, FieldFaults *faults);\n",
                   m->symbol);
    }
}
