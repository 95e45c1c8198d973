/* forms.ts: what the browser's forms need to know of commands and events. */
#include "emit.h"

static const char TYPES[] =
    "// Made by protoc-gen-events from proto/; never edited by hand.\n"
    "\n"
    "export interface FieldRule {\n"
    "  name: string;\n"
    "  label: string;\n"
    "  widget: \"text\" | \"email\" | \"tel\" | \"textarea\" | \"hidden\";\n"
    "  type: \"string\" | \"id\" | \"int64\" | \"timestamp\" | \"bool\" | \"enum\" | \"message\";\n"
    "  required: boolean;\n"
    "  maxLength?: number;\n"
    "  pattern?: \"email\" | \"phone\" | \"uuid\" | \"version\";\n"
    "  trim: boolean;\n"
    "  multiline: boolean;\n"
    "  personal: boolean;\n"
    "  /** A list of such values. */\n"
    "  repeated?: true;\n"
    "  /** Of an enum: what may be chosen. */\n"
    "  values?: readonly string[];\n"
    "  /** Of a message: its own fields; not given where it would hold itself. */\n"
    "  fields?: readonly FieldRule[];\n"
    "}\n"
    "\n"
    "export interface MessageForm {\n"
    "  name: string;\n"
    "  kind: \"command\" | \"event\";\n"
    "  schemaVersion: string;\n"
    "  subject: string;\n"
    "  endsSubject: boolean;\n"
    "  title: string;\n"
    "  fields: readonly FieldRule[];\n"
    "}\n"
    "\n"
    "export const messageForms: Readonly<Record<string, MessageForm>> = {\n";

static void text_member(Buf *out, const char *name, const char *value) {
    buf_printf(out, "%s: ", name);
    emit_literal(out, value);
    buf_text(out, ", ");
}

static void flag(Buf *out, const char *name, bool value) {
    buf_printf(out, "%s: %s, ", name, value ? "true" : "false");
}

/* Whole numbers of every width look the same in a form, and bytes are base64 text. */
static const char *ts_type(const Field *f) {
    if (f->kind == KIND_ENUM) return "enum";
    if (f->kind == KIND_INT32 || f->kind == KIND_UINT32) return "int64";
    return f->kind == KIND_BYTES ? "string" : field_type_name(f);
}

/* The messages around a field, the innermost first. */
typedef struct Around {
    const Message *message;
    const struct Around *outer;
} Around;

static bool is_around(const Around *around, const Message *m) {
    for (; around; around = around->outer)
        if (around->message == m) return true;
    return false;
}

static void emit_values(const Enum *e, Buf *out) {
    buf_text(out, ", values: [");
    for (size_t i = 0, some = 0; i < e->value_count; i++) {
        if (!e->values[i].number) continue;
        if (some++) buf_text(out, ", ");
        emit_literal(out, e->values[i].json_name);
    }
    buf_byte(out, ']');
}

static void emit_field(const Field *f, const Around *around, Buf *out) {
    const Events__V1__FieldRules *r = f->rules;
    buf_text(out, "{ ");
    text_member(out, "name", f->json_name);
    text_member(out, "label", f->label);
    text_member(out, "widget", f->widget);
    text_member(out, "type", ts_type(f));
    flag(out, "required", r->required);
    if (r->max_length) buf_printf(out, "maxLength: %u, ", (unsigned)r->max_length);
    if (*r->pattern) text_member(out, "pattern", r->pattern);
    flag(out, "trim", r->trim);
    flag(out, "multiline", r->multiline);
    buf_printf(out, "personal: %s", r->personal ? "true" : "false");
    if (f->repeated) buf_text(out, ", repeated: true");
    if (f->kind == KIND_ENUM) emit_values(f->enumeration, out);
    if (f->message && !is_around(around, f->message)) {
        Around inner = {f->message, around};
        buf_text(out, ", fields: [");
        for (size_t i = 0; i < f->message->field_count; i++) {
            if (i) buf_text(out, ", ");
            emit_field(&f->message->fields[i], &inner, out);
        }
        buf_byte(out, ']');
    }
    buf_text(out, " }");
}

static void emit_message(const Message *m, Buf *out) {
    bool command = m->rules->kind == EVENTS__V1__MESSAGE_KIND__COMMAND;
    buf_printf(out, "  %s: {\n    ", m->name);
    text_member(out, "title", m->rules->title);
    text_member(out, "name", m->name);
    text_member(out, "kind", command ? "command" : "event");
    text_member(out, "schemaVersion", m->rules->schema_version);
    buf_text(out, "subject: ");
    emit_literal(out, m->rules->subject);
    buf_text(out, ", ");
    flag(out, "endsSubject", m->rules->ends_subject);
    buf_text(out, "\n    fields: [\n");
    for (size_t i = 0; i < m->field_count; i++) {
        buf_text(out, "      ");
        emit_field(&m->fields[i], &(Around){m, NULL}, out);
        buf_text(out, ",\n");
    }
    buf_text(out, "    ],\n  },\n");
}

void emit_ts_forms(const Contract *c, Buf *out) {
    buf_text(out, TYPES);
    for (size_t i = 0; i < c->message_count; i++)
        if (c->messages[i].wanted && c->messages[i].rules->kind) emit_message(&c->messages[i], out);
    buf_text(out, "};\n");
}
