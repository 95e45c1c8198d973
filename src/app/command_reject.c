#include "app/command.h"

static Events__V1__CommandRejected *rejected(Command *c, const char *code, const char *message,
                                             size_t errors) {
    Events__V1__CommandRejected *event = arena_alloc(c->arena, sizeof *event);
    if (!event) return NULL;
    events__v1__command_rejected__init(event);
    event->command_id = c->envelope->command_id;
    event->command_type = c->envelope->command_type;
    event->code = (char *)code;
    event->message = (char *)message;
    if (!errors) return event;
    event->errors = arena_alloc(c->arena, errors * sizeof *event->errors);
    return event->errors ? event : NULL;
}

static bool add_error(Command *c, Events__V1__CommandRejected *event, const char *field, const char *code,
                      const char *message) {
    Events__V1__FieldError *error = arena_alloc(c->arena, sizeof *error);
    if (!error) return false;
    events__v1__field_error__init(error);
    error->field = (char *)field;
    error->code = (char *)code;
    error->message = (char *)message;
    event->errors[event->n_errors++] = error;
    return true;
}

static bool leave(Command *c, const Events__V1__CommandRejected *event, Err *err) {
    c->subject = arena_printf(c->arena, "command/%s", c->envelope->command_id);
    if (!c->subject) return err_set(err, &ERR_TOO_LARGE, "a rejection does not fit in memory");
    c->subject_version = 0;
    c->event = &event->base;
    return true;
}

bool command_reject(Command *c, const char *code, const char *message, const char *field, const char *about,
                    Err *err) {
    Events__V1__CommandRejected *event = rejected(c, code, message, field != NULL);
    if (!event || (field && !add_error(c, event, field, code, message)))
        return err_set(err, &ERR_TOO_LARGE, "a rejection does not fit in memory");
    event->subject = (char *)about;
    return leave(c, event, err);
}

bool command_reject_invalid(Command *c, const FieldFaults *faults, Err *err) {
    Events__V1__CommandRejected *event =
        rejected(c, "invalid", "the command breaks a rule of its fields", faults->count);
    for (size_t i = 0; event && i < faults->count; i++)
        if (!add_error(c, event, faults->at[i].field, faults->at[i].code,
                       field_fault_text(faults->at[i].code)))
            event = NULL;
    return event ? leave(c, event, err) : err_set(err, &ERR_TOO_LARGE, "a rejection does not fit in memory");
}
