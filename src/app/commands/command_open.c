/* command_open.c - from the bytes of a queue to a command that can be handled.
 *
 * What a command will look at is told by its fields: an entity's id and an e-mail address are marked as such
 * in the contract, so that a new command has nothing to say about it. */
#include "app/commands/command.h"

#include "app/commands/prospect_commands.h"
#include "base/text.h"

static const struct {
    const char *command;
    CommandHandler *handle;
} HANDLERS[] = {
#define HANDLER(name, snake) {#name, on_##snake},
    COMMANDS_OF_ProspectService(HANDLER)
#undef HANDLER
};

static CommandHandler *handler_of(const char *command) {
    for (size_t i = 0; i < COUNT(HANDLERS); i++)
        if (strcmp(HANDLERS[i].command, command) == 0) return HANDLERS[i].handle;
    return NULL;
}

/* Malformed, or no room for it: which of both? */
static bool unreadable(const Command *c, const char *what, const char **reason, Err *err) {
    if (arena_refused(c->arena)) return err_set(err, &ERR_TOO_LARGE, "a batch does not fit in memory");
    *reason = what;
    return false;
}

static bool validate(Command *c, Err *err) {
    FieldFaults faults = {0};
    if (message_validate(c->message, c->arena, &faults)) return true;
    FieldFaults *kept = arena_alloc(c->arena, sizeof *kept);
    if (!kept) return err_set(err, &ERR_TOO_LARGE, "a batch does not fit in memory");
    *kept = faults;
    c->faults = kept;
    return true;
}

bool command_open(Command *c, const QueueMessage *m, const char **reason, Err *err) {
    *reason = m->deliveries > QUEUE_TRIES ? "tries_exhausted" : NULL;
    if (*reason) return false;
    c->envelope = (const void *)message_unpack(message_type(SPAN("CommandEnvelope")), m->body, c->arena);
    if (!c->envelope || !*c->envelope->command_id || !*c->envelope->tenant_id)
        return unreadable(c, "undecodable_envelope", reason, err);
    c->type = message_type(span_of(c->envelope->command_type));
    c->handle = handler_of(c->envelope->command_type);
    if (!c->type || !c->handle) return unreadable(c, "unknown_command_type", reason, err);
    c->message = message_unpack(c->type, span_bytes(c->envelope->data.data, c->envelope->data.len), c->arena);
    if (!c->message) return unreadable(c, "undecodable_command", reason, err);
    return validate(c, err);
}

CommandKey command_key(const Command *c) {
    return (CommandKey){span_of(c->envelope->tenant_id), span_of(c->envelope->issued_by),
                        span_of(c->envelope->command_id)};
}

bool command_email_key(Command *c, const char *email, Span *ret, Err *err) {
    *ret = text_fold(c->arena, span_of(email));
    return ret->at ? true : err_set(err, &ERR_TOO_LARGE, "an e-mail address does not fit in memory");
}

static bool want_field(Command *c, const FieldInfo *field, Err *err) {
    const ProtobufCFieldDescriptor *at =
        protobuf_c_message_descriptor_get_field(c->type->descriptor, field->number);
    if (!at || field->repeated) return true;
    const char *value = (const char *)c->message + at->offset;
    if (strcmp(field->type, "id") == 0) {
        int64_t id;
        memcpy(&id, value, sizeof id);
        prospects_want(c->model->prospects, id);
    } else if (field->pattern && strcmp(field->pattern, "email") == 0) {
        const char *email;
        Span key;
        memcpy(&email, value, sizeof email);
        if (!command_email_key(c, email, &key, err)) return false;
        prospects_want_email(c->model->prospects, span_of(c->envelope->tenant_id), key);
    }
    return true;
}

bool command_want(Command *c, Err *err) {
    CommandKey key = command_key(c);
    commands_done_want(c->model->done, &key);
    for (size_t i = 0; !c->faults && i < c->type->field_count; i++)
        if (!want_field(c, &c->type->fields[i], err)) return false;
    return true;
}

bool command_handle(Command *c, Err *err) {
    return c->faults ? command_reject_invalid(c, c->faults, err) : c->handle(c, err);
}
