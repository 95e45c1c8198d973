/* meaning.c - the options (options.proto): what messages and fields mean, and what is valid in them.
 * Another meaning is fine under a higher schema_version of the message, by which its readers can tell. What a
 * message without a version means (a view, a frame) stays. Texts for people (title, label, example, widget)
 * are free. Validation may only be loosened: who was built on the release goes on sending what was valid. */
#include "compat.h"

typedef Events__V1__MessageRules MessageRules;
typedef Events__V1__FieldRules FieldRules;

/* As numbers: 1.10 is above 1.9. */
static int compare_versions(const char *a, const char *b) {
    return strverscmp(a, b);
}

static bool version_is_higher(const Message *released, const Message *now) {
    return compare_versions(now->rules->schema_version, released->rules->schema_version) > 0;
}

/* ---- messages ---- */

static const char *kind_text(int kind) {
    if (kind == EVENTS__V1__MESSAGE_KIND__COMMAND) return "a command";
    return kind == EVENTS__V1__MESSAGE_KIND__EVENT ? "an event" : "neither command nor event";
}

static const char *yes(bool value) {
    return value ? "true" : "false";
}

static bool causes(const MessageRules *rules, const char *event) {
    for (size_t i = 0; i < rules->n_causes; i++)
        if (strcmp(rules->causes[i], event) == 0) return true;
    return false;
}

static void compare_texts(const Message *now, const char *option, const char *was, const char *is,
                          Findings *f) {
    if (strcmp(was, is) != 0)
        finding(f, RULE_MEANING, "%s: %s was \"%s\", is \"%s\"", now->name, option, was, is);
}

static void compare_flags(const Message *now, const char *option, bool was, bool is, Findings *f) {
    if (was != is) finding(f, RULE_MEANING, "%s: %s was %s, is %s", now->name, option, yes(was), yes(is));
}

void compat_message_options(const Message *released, const Message *now, Findings *f) {
    const MessageRules *was = released->rules, *is = now->rules;
    if (compare_versions(is->schema_version, was->schema_version) < 0)
        finding(f, RULE_VERSION_BACK, "%s: schema_version was \"%s\", is \"%s\"", now->name,
                was->schema_version, is->schema_version);
    if (version_is_higher(released, now)) return;
    if (was->kind != is->kind)
        finding(f, RULE_MEANING, "%s: kind: was %s, is %s", now->name, kind_text(was->kind),
                kind_text(is->kind));
    compare_texts(now, "subject", was->subject, is->subject, f);
    compare_texts(now, "topic", was->topic, is->topic, f);
    compare_texts(now, "producer", was->producer, is->producer, f);
    compare_flags(now, "ends_subject", was->ends_subject, is->ends_subject, f);
    compare_flags(now, "custom_json", was->custom_json, is->custom_json, f);
    for (size_t i = 0; i < was->n_causes; i++)
        if (!causes(is, was->causes[i]))
            finding(f, RULE_MEANING, "%s: causes %s no longer", now->name, was->causes[i]);
}

/* ---- fields ---- */

/* Without a limit of its own (0) a text may be as long as the request. */
static bool is_shorter(unsigned was, unsigned is) {
    return is && (!was || is < was);
}

static void compare_validation(const Message *now, const Field *field, const FieldRules *was,
                               const FieldRules *is, Findings *f) {
    if (is->required && !was->required)
        finding(f, RULE_NEW_REQUIRED, "%s.%s: was optional, is required", now->name, field->name);
    if (is_shorter(was->max_length, is->max_length))
        finding(f, RULE_TIGHTENED, "%s.%s: max_length was %u%s, is %u", now->name, field->name,
                was->max_length, was->max_length ? "" : " (none)", is->max_length);
    if (*is->pattern && strcmp(was->pattern, is->pattern) != 0)
        finding(f, RULE_TIGHTENED, "%s.%s: pattern was \"%s\", is \"%s\"", now->name, field->name,
                was->pattern, is->pattern);
    if (was->multiline && !is->multiline)
        finding(f, RULE_TIGHTENED, "%s.%s: may no longer hold line breaks", now->name, field->name);
    if (is->id && !was->id)
        finding(f, RULE_TIGHTENED, "%s.%s: was any number, is an id", now->name, field->name);
}

static void compare_marks(const Message *now, const Field *field, const FieldRules *was, const FieldRules *is,
                          Findings *f) {
    const struct {
        const char *name;
        bool changed;
    } MARKS[] = {
        {"personal: no longer", was->personal && !is->personal}, /* protecting more is always fine */
        {"trim: has changed", was->trim != is->trim},
        {"id: no longer", was->id && !is->id},
        {"omit_empty: has changed", was->omit_empty != is->omit_empty},
    };
    for (size_t i = 0; i < COUNT(MARKS); i++)
        if (MARKS[i].changed) finding(f, RULE_MEANING, "%s.%s: %s", now->name, field->name, MARKS[i].name);
}

void compat_field_options(const Message *released, const Message *now, const Field *was, const Field *is,
                          Findings *f) {
    compare_validation(now, was, was->rules, is->rules, f);
    if (!version_is_higher(released, now)) compare_marks(now, was, was->rules, is->rules, f);
}
