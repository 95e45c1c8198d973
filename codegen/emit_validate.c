/* Validation: straight-line code per message, a call of wire/check.h per field, in the order of the .proto
 * file. */
#include "emit.h"

static const char *pattern_constant(const char *pattern) {
    static const struct {
        const char *name, *constant;
    } PATTERNS[] = {{"email", "PATTERN_EMAIL"}, {"phone", "PATTERN_PHONE"}, {"uuid", "PATTERN_UUID"}};
    for (size_t i = 0; i < COUNT(PATTERNS); i++)
        if (strcmp(pattern, PATTERNS[i].name) == 0) return PATTERNS[i].constant;
    return "PATTERN_NONE";
}

static const char *truth(bool value) {
    return value ? "true" : "false";
}

static void emit_rule(const Field *f, Buf *out) {
    const Events__V1__FieldRules *r = f->rules;
    buf_printf(out, "    static const TextRule %s_rule = {.field = \"%s\"", f->c_name,
               f->repeated ? "" : f->json_name); /* of an item its place in the list says which it is */
    if (r->max_length) buf_printf(out, ", .max_length = %u", (unsigned)r->max_length);
    if (*r->pattern) buf_printf(out, ", .pattern = %s", pattern_constant(r->pattern));
    if (r->required) buf_text(out, ", .required = true");
    if (r->trim) buf_text(out, ", .trim = true");
    if (r->multiline) buf_text(out, ", .multiline = true");
    if (f->has_rules) buf_text(out, ", .normalize = true");
    buf_text(out, "};\n");
}

/* What follows the condition is done for an item, or the one message that there is. */
static void emit_begin_part(const Field *f, Buf *out) {
    if (f->repeated)
        buf_printf(out, "    for (size_t i = 0; i < m->n_%s; i++) {\n", f->c_name);
    else
        buf_printf(out, "    if (m->%s) {\n", f->c_name);
    buf_printf(out, "        FieldPart part = field_part_begins(faults, \"%s\", %s);\n", f->json_name,
               f->repeated ? "i" : "FIELD_SINGLE");
}

static void emit_end_part(Buf *out) {
    buf_text(out, "        field_part_ends(faults, &part, arena);\n    }\n");
}

static void emit_text(const Field *f, Buf *out) {
    emit_rule(f, out);
    if (!f->repeated) {
        buf_printf(out, "    check_text(&m->%s, &%s_rule, arena, faults);\n", f->c_name, f->c_name);
        return;
    }
    emit_begin_part(f, out);
    buf_printf(out, "        check_text(&m->%s[i], &%s_rule, arena, faults);\n", f->c_name, f->c_name);
    emit_end_part(out);
}

static void emit_required(const Field *f, Buf *out) {
    if (f->rules->required)
        buf_printf(out, "    if (!m->%s) field_fault(faults, \"%s\", \"required\");\n", f->c_name,
                   f->json_name);
}

static void emit_part(const Field *f, Buf *out) {
    emit_required(f, out);
    emit_begin_part(f, out);
    buf_printf(out, "        %s_validate(&m->%s%s->base, arena, faults);\n", f->message->symbol, f->c_name,
               f->repeated ? "[i]" : "");
    emit_end_part(out);
}

/* Which fields have anything to check. */
static bool is_checked(const Field *f) {
    if (f->in_oneof) return false; /* frames: their receiver knows which one is set */
    return f->kind == KIND_TEXT || f->rules->required || f->rules->id ||
           strcmp(f->rules->pattern, "version") == 0 || f->kind == KIND_TIMESTAMP ||
           (f->kind == KIND_MESSAGE && f->message);
}

static void emit_check(const Field *f, const char *check, Buf *out) {
    buf_printf(out, "    %s(\"%s\", m->%s, %s, faults);\n", check, f->json_name, f->c_name,
               truth(f->rules->required));
}

static void emit_field(const Field *f, Buf *out) {
    switch (f->kind) {
    case KIND_TEXT: emit_text(f, out); break;
    case KIND_MESSAGE: emit_part(f, out); break;
    case KIND_TIMESTAMP: emit_check(f, "check_time", out); break;
    case KIND_INT64: emit_check(f, f->rules->id ? "check_id" : "check_version", out); break;
    default: emit_required(f, out); break;
    }
}

static void emit_message(const Message *m, Buf *out) {
    bool any = false;
    buf_printf(out, "void %s_validate(ProtobufCMessage *message, Arena *arena, FieldFaults *faults) {\n",
               m->symbol);
    for (size_t i = 0; i < m->field_count; i++) {
        if (!is_checked(&m->fields[i])) continue;
        if (!any) buf_printf(out, "    %s *m = (%s *)message;\n", m->c_type, m->c_type);
        any = true;
        emit_field(&m->fields[i], out);
    }
    buf_text(out, any ? "    (void)arena;\n}\n\n" : "    (void)message, (void)arena, (void)faults;\n}\n\n");
}

void emit_validate(const Contract *c, Buf *out) {
    buf_text(
        out,
        "/* Made by protoc-gen-events. */\n#include \"events/v1/contract.h\"\n#include \"wire/check.h\"\n\n");
    for (size_t i = 0; i < c->message_count; i++)
        if (c->messages[i].wanted) emit_message(&c->messages[i], out);
}
