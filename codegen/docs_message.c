#include "docs_message.h"

#include "emit.h"
#include "example.h"
#include "html.h"
#include "schema.h"

void docs_link(const char *name, Buf *out) {
    buf_printf(out, "<a href=\"#%s\"><code>%s</code></a>", name, name);
}

/* --- fields --- */

static const char *pattern_words(const Field *f) {
    static const char *const WORDS[][2] = {
        {"email", "an e-mail address"},
        {"phone", "a phone number (digits, spaces and +-().)"},
        {"uuid", "a UUID"},
        {"version", "a version, or -1 for any"},
    };
    for (size_t i = 0; i < COUNT(WORDS); i++)
        if (strcmp(f->rules->pattern, WORDS[i][0]) == 0) return WORDS[i][1];
    return "";
}

static void rule(Buf *out, bool *some, const char *text) {
    if (*some) buf_text(out, ", ");
    html_text(out, text);
    *some = true;
}

static void write_rules(const Field *f, Buf *out) {
    const Events__V1__FieldRules *r = f->rules;
    bool some = false;
    if (r->required) buf_text(out, "<strong class=\"must\">required</strong>"), some = true;
    if (r->max_length) {
        AUTO_BUF text = {0};
        buf_printf(&text, "at most %u characters", (unsigned)r->max_length);
        buf_byte(&text, 0);
        rule(out, &some, text.at);
    }
    if (*r->pattern) rule(out, &some, pattern_words(f));
    if (r->trim) rule(out, &some, "trimmed");
    if (r->multiline && r->max_length) rule(out, &some, "may have line breaks");
    if (r->id) rule(out, &some, "1 to 2^53-1");
    if (r->decimal_string) rule(out, &some, "decimal digits");
    if (r->omit_empty) rule(out, &some, "left out when empty");
}

static void write_type(const Field *f, bool frames, Buf *out) {
    const char *name = f->kind == KIND_MESSAGE && f->message ? f->message->name
                       : frames && f->kind == KIND_INT64     ? "int64"
                       : f->rules->id                        ? "integer"
                                                             : field_type_name(f);
    buf_text(out, f->repeated ? "list of " : "");
    html_text(out, name);
}

static void write_values(const Field *f, Buf *out) {
    if (f->kind != KIND_ENUM) return;
    for (size_t i = 0, some = 0; i < f->enumeration->value_count; i++) {
        if (!f->enumeration->values[i].number) continue;
        buf_text(out, some++ ? ", " : " ");
        html_code(out, f->enumeration->values[i].json_name);
    }
}

static void write_meaning(const Field *f, Buf *out) {
    html_text(out, *f->comment ? f->comment : f->label);
    write_values(f, out);
    if (f->rules->personal) buf_text(out, " <span class=\"tag personal\">personal data</span>");
}

static void write_row(const Field *f, bool frames, Buf *out) {
    buf_text(out, "<tr><th scope=\"row\">");
    html_code(out, frames ? f->name : f->json_name);
    buf_text(out, "</th><td>");
    write_type(f, frames, out);
    buf_text(out, "</td><td>");
    if (frames)
        buf_printf(out, "%u", f->number);
    else
        write_rules(f, out);
    buf_text(out, "</td><td>");
    write_meaning(f, out);
    buf_text(out, "</td></tr>\n");
}

void docs_fields(const Message *m, bool frames, Buf *out) {
    AUTO_BUF caption = {0};
    if (!m->field_count) return;
    buf_printf(&caption, "Fields of %s", m->name);
    buf_byte(&caption, 0);
    html_table(out, caption.at, frames ? "Field|Type|Number|Meaning" : "Field|Type|Rules|Meaning");
    for (size_t i = 0; i < m->field_count; i++) write_row(&m->fields[i], frames, out);
    html_table_end(out);
}

/* --- a message's section --- */

static void fact(Buf *out, const char *name, const char *value) {
    if (!*value) return;
    buf_printf(out, "<div><dt>%s</dt><dd>", name);
    html_code(out, value);
    buf_text(out, "</dd></div>\n");
}

static bool causes(const Message *command, const Message *event) {
    for (size_t i = 0; i < command->rules->n_causes; i++)
        if (strcmp(command->rules->causes[i], event->name) == 0) return true;
    return false;
}

/* The other side of "causes": events of a command, commands of an event. */
static void write_relations(const Contract *c, const Message *m, Buf *out) {
    size_t some = 0;
    for (size_t i = 0; i < c->message_count; i++) {
        const Message *other = &c->messages[i];
        if (is_command(m) ? !is_event(other) || !causes(m, other) : !is_command(other) || !causes(other, m))
            continue;
        if (!some++) buf_printf(out, "<div><dt>%s</dt><dd>", is_command(m) ? "Causes" : "Caused by");
        if (some > 1) buf_text(out, ", ");
        docs_link(other->name, out);
    }
    if (some) buf_text(out, "</dd></div>\n");
}

static void write_facts(const Contract *c, const Message *m, Buf *out) {
    buf_text(out, "<dl class=\"facts\">");
    fact(out, "Version", m->rules->schema_version);
    fact(out, is_command(m) ? "Handled by" : "Producer", m->rules->producer);
    fact(out, "Subject", m->rules->subject);
    fact(out, "Topic", m->rules->topic);
    write_relations(c, m, out);
    buf_printf(out, "<div><dt>Schema</dt><dd><a href=\"/schemas/%s.json\">/schemas/%s.json</a></dd></div>",
               m->name, m->name);
    buf_text(out, "</dl>\n");
}

static void write_example(const Contract *c, const Message *m, Buf *out) {
    AUTO_BUF json = {0}, label = {0};
    JsonWriter w = json_writer(&json);
    if (is_command(m)) {
        example_message(m, "", &w);
        buf_printf(out,
                   "<p class=\"call\"><span class=\"method\">POST</span> <code>/api/commands/%s</code></p>\n",
                   m->name);
    } else {
        example_envelope(c, m, &w);
    }
    buf_printf(&label, "Example of %s", m->name);
    buf_byte(&label, 0);
    html_json(out, label.at, buf_view(&json));
}

void docs_message(const Contract *c, const Message *m, Buf *out) {
    buf_printf(out, "<section class=\"message\" id=\"%s\" aria-labelledby=\"h-%s\">\n<h3 id=\"h-%s\">",
               m->name, m->name, m->name);
    html_text(out, m->rules->title);
    buf_text(out, " ");
    html_code(out, m->name);
    buf_text(out, "</h3>\n");
    if (*m->comment) html_element(out, "p", m->comment);
    write_facts(c, m, out);
    docs_fields(m, false, out);
    write_example(c, m, out);
    buf_text(out, "</section>\n");
}
