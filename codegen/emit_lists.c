/* contract_lists.h: which commands and events there are, as macros that call another one for each. A table
 * made with them is complete by itself: a message whose function is missing does not compile or link. */
#include "emit.h"
#include "names.h"
#include "schema.h"

static void emit_item(const Contract *c, const Message *m, Buf *out) {
    buf_printf(out, " \\\n    X(%s, %s)", m->name, name_snake(c->arena, m->name));
}

static bool is_command_of(const Message *m, const char *producer) {
    return m->wanted && is_command(m) && strcmp(m->rules->producer, producer) == 0;
}

static void emit_commands_of(const Contract *c, const char *producer, Buf *out) {
    buf_printf(out, "\n/* The commands that %s handles. */\n#define COMMANDS_OF_%s(X)", producer, producer);
    for (size_t i = 0; i < c->message_count; i++)
        if (is_command_of(&c->messages[i], producer)) emit_item(c, &c->messages[i], out);
    buf_byte(out, '\n');
}

/* No message before this one is a command of the same producer. */
static bool is_first(const Contract *c, size_t at) {
    for (size_t i = 0; i < at; i++)
        if (is_command_of(&c->messages[i], c->messages[at].rules->producer)) return false;
    return true;
}

void emit_lists(const Contract *c, Buf *out) {
    buf_text(out,
             "/* Made by protoc-gen-events. X is called with the name of the message in both spellings:\n"
             " * X(CreateProspect, create_prospect). */\n#pragma once\n");
    for (size_t i = 0; i < c->message_count; i++) {
        const Message *m = &c->messages[i];
        if (m->wanted && is_command(m) && is_first(c, i)) emit_commands_of(c, m->rules->producer, out);
    }
    buf_text(out, "\n#define CONTRACT_EVENTS(X)");
    for (size_t i = 0; i < c->message_count; i++)
        if (c->messages[i].wanted && is_event(&c->messages[i])) emit_item(c, &c->messages[i], out);
    buf_byte(out, '\n');
}
