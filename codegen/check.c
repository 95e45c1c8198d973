/* What a .proto file must not say although protoc would take it. */
#include "model.h"

enum { JSON_FIELDS_MAX = 64 }; /* members seen are bits of one word */

static bool wrong(Err *err, const Message *m, const Field *f, const char *what) {
    return err_set(err, &ERR_INVALID, "%s.%s: %s", m->name, f->name, what);
}

/* Generated names contain it. */
static bool is_name(const char *text) {
    for (const char *c = text; *c; c++)
        if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') && !(*c >= '0' && *c <= '9')) return false;
    return *text && !(*text >= '0' && *text <= '9');
}

static bool one_of(const char *text, const char *const *words) {
    for (; *words; words++)
        if (strcmp(text, *words) == 0) return true;
    return false;
}

static bool check_pattern(const Message *m, const Field *f, Err *err) {
    static const char *const TEXT[] = {"", "email", "phone", "uuid", NULL}, *const NUMBER[] = {"", "version",
                                                                                               NULL};
    const Events__V1__FieldRules *r = f->rules;
    if (!one_of(r->pattern, f->kind == KIND_TEXT ? TEXT : NUMBER))
        return wrong(err, m, f, "this pattern is not known");
    if (*r->pattern && f->kind != KIND_TEXT && f->kind != KIND_INT64)
        return wrong(err, m, f, "cannot have a pattern");
    return true;
}

/* What protoc-c makes of a name must be one of C, and what JSON makes of it a name without escapes. */
static bool check_names(const Message *m, const Field *f, Err *err) {
    static const char *const TAKEN[] = {"base",    "restrict", "typeof",        "linux",
                                        "unix",    "i386",     "static_assert", "alignas",
                                        "alignof", "noreturn", "thread_local",  NULL};
    static const char SMALL[] = "abcdefghijklmnopqrstuvwxyz",
                      REST[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    if (!strchr(SMALL, *f->name) || f->name[strspn(f->name, REST)])
        return wrong(err, m, f, "a name must be of small letters, digits and underscores");
    if (one_of(f->name, TAKEN)) return wrong(err, m, f, "this name means something else in C");
    if (!is_name(f->json_name)) return wrong(err, m, f, "its JSON name must be of letters and digits");
    return true;
}

/* Of the other kinds nobody can tell what is absent from what is 0. */
static bool can_be_required(const Field *f) {
    bool kind =
        f->kind == KIND_TEXT || f->kind == KIND_TIMESTAMP || f->kind == KIND_ENUM || f->kind == KIND_MESSAGE;
    return !f->repeated && (kind || f->rules->id || strcmp(f->rules->pattern, "version") == 0);
}

/* Generated code and pages hold it. */
static bool is_line(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f) return false;
    return true;
}

static bool check_rules(const Message *m, const Field *f, Err *err) {
    static const char *const WIDGETS[] = {"text", "email", "tel", "textarea", "hidden", NULL};
    const Events__V1__FieldRules *r = f->rules;
    if (!one_of(f->widget, WIDGETS)) return wrong(err, m, f, "this widget is not known");
    if (!is_line(r->label)) return wrong(err, m, f, "a label must be one line");
    if (*r->example && f->kind != KIND_TEXT) return wrong(err, m, f, "only texts can have an example");
    if (!check_pattern(m, f, err)) return false;
    if ((r->max_length || r->trim || r->multiline) && f->kind != KIND_TEXT)
        return wrong(err, m, f, "max_length, trim and multiline are for texts");
    if ((r->id || r->decimal_string) && (f->kind != KIND_INT64 || f->repeated))
        return wrong(err, m, f, "id and decimal_string are for single int64 fields");
    if (r->required && !can_be_required(f))
        return wrong(err, m, f, "only texts, ids, versions, times, enums and messages can be required");
    return true;
}

static bool check_json(const Message *m, const Field *f, Err *err) {
    if (!m->has_json || m->rules->custom_json) return true;
    if (*f->oneof == '_') /* how protoc calls the one that it makes of `optional` */
        return wrong(err, m, f, "leave out `optional`: every field is, and an absent one reads as empty");
    if (f->in_oneof) return wrong(err, m, f, "a oneof has no JSON form; make the file binary_only");
    if (f->kind == KIND_OTHER) return wrong(err, m, f, "this type has no JSON form");
    if (f->repeated && f->kind != KIND_TEXT && f->kind != KIND_MESSAGE)
        return wrong(err, m, f, "only texts and messages can be repeated");
    if (f->kind == KIND_MESSAGE && (!f->message || !f->message->has_json))
        return wrong(err, m, f, "its message has no JSON form");
    return true;
}

/* Subjects stand in logs, headers and metrics: personal data must never get there. */
static bool check_subject(const Message *m, Err *err) {
    for (Span rest = span_of(m->rules->subject); rest.len;) {
        span_split(rest, '{', &rest);
        if (!rest.at) return true;
        Span name = span_split(rest, '}', &rest);
        if (!rest.at) return err_set(err, &ERR_INVALID, "%s: the subject has a { without }", m->name);
        const Field *f = message_field(m, name);
        if (!f)
            return err_set(err, &ERR_INVALID, "%s: the subject names a field %.*s that is not there", m->name,
                           SPAN_ARGS(name));
        if (f->rules->personal) return wrong(err, m, f, "a personal field must not be part of the subject");
        if (f->repeated || (f->kind != KIND_TEXT && f->kind != KIND_INT64))
            return wrong(err, m, f, "cannot be part of a subject");
    }
    return true;
}

static bool check_causes(const Contract *c, const Message *m, Err *err) {
    for (size_t i = 0; i < m->rules->n_causes; i++) {
        bool found = false;
        for (size_t k = 0; k < c->message_count; k++)
            found = found || (strcmp(c->messages[k].name, m->rules->causes[i]) == 0 &&
                              c->messages[k].rules->kind == EVENTS__V1__MESSAGE_KIND__EVENT);
        if (!found)
            return err_set(err, &ERR_INVALID, "%s: causes %s, which is no event", m->name,
                           m->rules->causes[i]);
    }
    return true;
}

/* A topic is part of addresses, and no template: nothing of a message gets into it. */
static bool is_topic(const char *text) {
    return *text && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(text);
}

static bool is_version(const char *text) {
    static const char DIGITS[] = "0123456789";
    size_t major = strspn(text, DIGITS);
    size_t minor = text[major] == '.' ? strspn(text + major + 1, DIGITS) : 0;
    return major && minor && !text[major + 1 + minor];
}

/* By its id the command's outcome is found, and a second one is told from the first. */
static bool has_command_id(const Message *m) {
    const Field *f = message_field(m, SPAN("command_id"));
    return f && f->kind == KIND_TEXT && !f->repeated;
}

static bool check_kind(const Contract *c, const Message *m, Err *err) {
    const Events__V1__MessageRules *r = m->rules;
    if (r->kind == EVENTS__V1__MESSAGE_KIND__MESSAGE_KIND_UNSPECIFIED) return true;
    if (!*r->schema_version || !*r->producer || !*r->title)
        return err_set(err, &ERR_INVALID, "%s: a command or event needs schema_version, producer and title",
                       m->name);
    if (!is_line(r->title)) return err_set(err, &ERR_INVALID, "%s: the title must be one line", m->name);
    if (!is_name(r->producer))
        return err_set(err, &ERR_INVALID, "%s: the producer must be a name of letters and digits", m->name);
    if (!is_version(r->schema_version))
        return err_set(err, &ERR_INVALID, "%s: the schema_version must be two numbers, as in 1.0", m->name);
    if (r->kind == EVENTS__V1__MESSAGE_KIND__EVENT && !is_topic(r->topic))
        return err_set(err, &ERR_INVALID, "%s: an event needs a topic of small letters, digits and hyphens",
                       m->name);
    if (r->kind == EVENTS__V1__MESSAGE_KIND__COMMAND && !has_command_id(m))
        return err_set(err, &ERR_INVALID, "%s: a command needs a field: string command_id", m->name);
    if (!m->has_json) return err_set(err, &ERR_INVALID, "%s: a command or event needs a JSON form", m->name);
    if (r->ends_subject && (r->kind != EVENTS__V1__MESSAGE_KIND__EVENT || !*r->subject))
        return err_set(err, &ERR_INVALID, "%s: only an event with a subject can end it", m->name);
    return check_causes(c, m, err);
}

static bool check_message(const Contract *c, const Message *m, Err *err) {
    if (m->field_count > JSON_FIELDS_MAX && m->has_json)
        return err_set(err, &ERR_INVALID, "%s: more than %d fields", m->name, JSON_FIELDS_MAX);
    for (size_t i = 0; i < m->field_count; i++)
        if (!check_names(m, &m->fields[i], err) || !check_rules(m, &m->fields[i], err) ||
            !check_json(m, &m->fields[i], err))
            return false;
    return check_subject(m, err) && check_kind(c, m, err);
}

/* Whoever takes commands in needs no more of a call than these two fields, and answers one way. */
static bool check_method(const Service *s, const Method *m, Err *err) {
    static const char *const SCOPES[] = {
        "", "prospects:read", "prospects:write", "prospects:pii", "operator", NULL};
    if (!one_of(m->rules->scope, SCOPES))
        return err_set(err, &ERR_INVALID, "%s.%s: this scope is not known", s->name, m->name);
    if (!m->command) return true;
    const Field *wait = message_field(m->request, SPAN("wait"));
    if (!wait || wait->kind != KIND_BOOL || wait->repeated)
        return err_set(err, &ERR_INVALID, "%s.%s: a command's request has a bool wait", s->name, m->name);
    if (strcmp(m->output, ".events.v1.CommandOutcome") || m->client_streaming || m->server_streaming)
        return err_set(err, &ERR_INVALID, "%s.%s: a command returns one CommandOutcome", s->name, m->name);
    return true;
}

static bool check_service(const Service *s, Err *err) {
    for (size_t i = 0; i < s->method_count; i++)
        if (!check_method(s, &s->methods[i], err)) return false;
    return true;
}

/* The registry finds messages by their short name. */
static bool check_unique(const Contract *c, size_t index, Err *err) {
    for (size_t i = 0; i < index; i++)
        if (strcmp(c->messages[i].name, c->messages[index].name) == 0)
            return err_set(err, &ERR_INVALID, "%s: the name is taken twice", c->messages[index].name);
    return true;
}

bool contract_check(const Contract *contract, Err *err) {
    for (size_t i = 0; i < contract->message_count; i++)
        if (!check_unique(contract, i, err) || !check_message(contract, &contract->messages[i], err))
            return false;
    for (size_t i = 0; i < contract->service_count; i++)
        if (!check_service(&contract->services[i], err)) return false;
    return true;
}
