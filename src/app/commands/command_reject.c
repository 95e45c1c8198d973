#include "app/commands/command.h"

static bool too_large(Err *err) {
    return err_set(err, &ERR_TOO_LARGE, "a rejection does not fit in memory");
}

static Events__V1__CommandRejected *rejected(Command *c, const char *code, const char *message,
                                             size_t errors) {
    Events__V1__CommandRejected *event = arena_alloc(c->arena, sizeof *event);
    if (!event) return NULL;
    events__v1__command_rejected__init(event);
    event->command_id = c->envelope->command_id;
    event->command_type = c->envelope->command_type;
    event->code = message_text(code);
    event->message = message_text(message);
    if (!errors) return event;
    event->errors = arena_alloc(c->arena, errors * sizeof *event->errors);
    return event->errors ? event : NULL;
}

static bool add_error(Command *c, Events__V1__CommandRejected *event, const char *field, const char *code,
                      const char *message) {
    Events__V1__FieldError *error = arena_alloc(c->arena, sizeof *error);
    if (!error) return false;
    events__v1__field_error__init(error);
    error->field = message_text(field);
    error->code = message_text(code);
    error->message = message_text(message);
    event->errors[event->n_errors++] = error;
    return true;
}

bool command_reject(Command *c, const Rejection *why, Err *err) {
    const char *field_code = why->field_code ? why->field_code : why->code;
    Events__V1__CommandRejected *event = rejected(c, why->code, why->message, why->field != NULL);
    const char *about = message_subject(c->message, c->arena);
    if (!event || !about || (why->field && !add_error(c, event, why->field, field_code, why->message)))
        return too_large(err);
    event->subject = message_text(about);
    return command_tell(c, &event->base, 0, err);
}

bool command_reject_invalid(Command *c, const FieldFaults *faults, Err *err) {
    Events__V1__CommandRejected *event =
        rejected(c, "invalid", "the command breaks a rule of its fields", faults->count);
    for (size_t i = 0; event && i < faults->count; i++)
        if (!add_error(c, event, faults->at[i].field, faults->at[i].code,
                       field_fault_text(faults->at[i].code)))
            event = NULL;
    return event ? command_tell(c, &event->base, 0, err) : too_large(err);
}
