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
    buf_printf(out, "    static const TextRule %s_rule = {.field = \"%s\"", f->name, f->json_name);
    if (r->max_length) buf_printf(out, ", .max_length = %u", (unsigned)r->max_length);
    if (*r->pattern) buf_printf(out, ", .pattern = %s", pattern_constant(r->pattern));
    if (r->required) buf_text(out, ", .required = true");
    if (r->trim) buf_text(out, ", .trim = true");
    if (r->multiline) buf_text(out, ", .multiline = true");
    if (f->has_rules) buf_text(out, ", .normalize = true");
    buf_text(out, "};\n");
}

static void emit_text(const Field *f, Buf *out) {
    emit_rule(f, out);
    if (f->repeated)
        buf_printf(
            out, "    for (size_t i = 0; i < m->n_%s; i++) check_text(&m->%s[i], &%s_rule, arena, faults);\n",
            f->name, f->name, f->name);
    else
        buf_printf(out, "    check_text(&m->%s, &%s_rule, arena, faults);\n", f->name, f->name);
}

static void emit_part(const Field *f, Buf *out) {
    if (f->repeated)
        buf_printf(out,
                   "    for (size_t i = 0; i < m->n_%s; i++) %s_validate(&m->%s[i]->base, arena, faults);\n",
                   f->name, f->message->symbol, f->name);
    else
        buf_printf(out, "    if (m->%s) %s_validate(&m->%s->base, arena, faults);\n", f->name,
                   f->message->symbol, f->name);
}

/* Which fields have anything to check. */
static bool is_checked(const Field *f) {
    if (f->in_oneof) return false; /* frames: their receiver knows which one is set */
    return f->kind == KIND_TEXT || f->rules->id || strcmp(f->rules->pattern, "version") == 0 ||
           (f->kind == KIND_MESSAGE && f->message);
}

static void emit_field(const Field *f, Buf *out) {
    if (f->kind == KIND_TEXT)
        emit_text(f, out);
    else if (f->kind == KIND_MESSAGE)
        emit_part(f, out);
    else
        buf_printf(out, "    %s(\"%s\", m->%s, %s, faults);\n", f->rules->id ? "check_id" : "check_version",
                   f->json_name, f->name, truth(f->rules->required));
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
