/* compare.c - messages, fields and enums: what the bytes and the JSON of a release are made of.
 * Additions are always fine; nothing that a release had may go, move or change. No version helps here, since
 * stored events and clients of the release live on beside the new ones. What must be broken all the same gets
 * a new message, or a new package (events.v2) beside this one. */
#include "compat.h"

static const Field *field_numbered(const Message *m, unsigned number) {
    for (size_t i = 0; i < m->field_count; i++)
        if (m->fields[i].number == number) return &m->fields[i];
    return NULL;
}

static const Field *field_named(const Message *m, const char *name) {
    return message_field(m, span_of(name));
}

/* The number tells who it is, unless the name has moved to another one. NULL where it is told what has become
 * of it. */
static const Field *still_there(const Message *now, const Field *was, Findings *f) {
    const Field *same_number = field_numbered(now, was->number), *same_name = field_named(now, was->name);
    if (same_name && same_name != same_number)
        finding(f, RULE_FIELD_RENUMBERED, "%s.%s: was field %u, is field %u", now->name, was->name,
                was->number, same_name->number);
    else if (!same_number)
        finding(f, RULE_FIELD_REMOVED, "%s.%s: was field %u, is gone", now->name, was->name, was->number);
    else if (!same_name || strcmp(was->json_name, same_number->json_name) != 0)
        finding(f, RULE_FIELD_RENAMED, "%s.%s: field %u is now called %s (in JSON %s)", now->name, was->name,
                was->number, same_number->name, same_number->json_name);
    else
        return same_number;
    return NULL;
}

/* "string", "int64", ".events.v1.FieldError" */
static const char *type_text(const Field *f) {
    static const char *const NAMES[] = {
        "?",     "double",  "float", "int64",  "uint64", "int32",    "fixed64",  "fixed32", "bool",  "string",
        "group", "message", "bytes", "uint32", "enum",   "sfixed32", "sfixed64", "sint32",  "sint64"};
    if (*f->type_name) return f->type_name;
    return f->type > 0 && (size_t)f->type < COUNT(NAMES) ? NAMES[f->type] : NAMES[0];
}

static const char *cardinality(const Field *f) {
    if (f->repeated) return "repeated";
    return f->in_oneof ? f->oneof : "single";
}

static void compare_types(const Message *m, const Field *was, const Field *is, Findings *f) {
    if (was->type != is->type || strcmp(was->type_name, is->type_name) != 0)
        finding(f, RULE_FIELD_TYPE, "%s.%s: was %s, is %s", m->name, was->name, type_text(was),
                type_text(is));
    if (was->repeated != is->repeated || strcmp(was->oneof, is->oneof) != 0)
        finding(f, RULE_FIELD_CARDINALITY, "%s.%s: was %s, is %s", m->name, was->name, cardinality(was),
                cardinality(is));
    if (was->rules->decimal_string != is->rules->decimal_string)
        finding(f, RULE_FIELD_TYPE, "%s.%s: was a %s in JSON, is a %s", m->name, was->name,
                was->rules->decimal_string ? "string" : "number",
                is->rules->decimal_string ? "string" : "number");
}

static void compare_added(const Message *released, const Message *now, Findings *f) {
    for (size_t i = 0; i < now->field_count; i++) {
        const Field *is = &now->fields[i];
        bool added = !field_numbered(released, is->number) && !field_named(released, is->name);
        if (added && is->rules->required)
            finding(f, RULE_NEW_REQUIRED, "%s.%s: is new and required", now->name, is->name);
    }
}

static void compare_message(const Message *released, const Message *now, Findings *f) {
    if (released->has_json && !now->has_json)
        finding(f, RULE_JSON_REMOVED, "%s: its file is binary_only now", now->name);
    compat_message_options(released, now, f);
    for (size_t i = 0; i < released->field_count; i++) {
        const Field *was = &released->fields[i], *is = still_there(now, was, f);
        if (!is) continue;
        compare_types(now, was, is, f);
        compat_field_options(released, now, was, is, f);
    }
    compare_added(released, now, f);
}

static const EnumValue *value_named(const Enum *e, const char *name) {
    for (size_t i = 0; i < e->value_count; i++)
        if (strcmp(e->values[i].name, name) == 0) return &e->values[i];
    return NULL;
}

static void compare_enum(const Enum *released, const Enum *now, Findings *f) {
    for (size_t i = 0; i < released->value_count; i++) {
        const EnumValue *was = &released->values[i], *is = value_named(now, was->name);
        if (!is)
            finding(f, RULE_ENUM_VALUE, "%s: %s = %d is gone", now->full_name + 1, was->name, was->number);
        else if (is->number != was->number)
            finding(f, RULE_ENUM_VALUE, "%s: %s was %d, is %d", now->full_name + 1, was->name, was->number,
                    is->number);
    }
}

static const Enum *enum_named(const Contract *c, const char *full_name) {
    for (size_t i = 0; i < c->enum_count; i++)
        if (strcmp(c->enums[i].full_name, full_name) == 0) return &c->enums[i];
    return NULL;
}

void compat_compare(const Contract *released, const Contract *now, Findings *f) {
    for (size_t i = 0; i < released->message_count; i++) {
        const Message *was = &released->messages[i], *is = contract_message(now, was->full_name);
        if (is)
            compare_message(was, is, f);
        else
            finding(f, RULE_MESSAGE_REMOVED, "%s: is gone", was->full_name + 1);
    }
    for (size_t i = 0; i < released->enum_count; i++) {
        const Enum *was = &released->enums[i], *is = enum_named(now, was->full_name);
        if (is)
            compare_enum(was, is, f);
        else
            finding(f, RULE_ENUM_REMOVED, "%s: is gone", was->full_name + 1);
    }
}
