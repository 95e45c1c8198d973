/* command_tell.c - what has happened, as a row of the outbox.
 *
 * Several: a command's events are rows of one transaction, so that none is ever there without the others, and
 * the relay numbers rows in the order in which they were written. The projection applies numbers in order; a
 *          reader that sees the last one's effect sees that of all. */
#include "app/commands/command.h"

#include "base/uuid.h"
#include "wire/envelope.h"

static bool fill_envelope(const Command *c, const ProtobufCMessage *event, Events__V1__Envelope *e,
                          Err *err) {
    const MessageType *type = message_type_of(event->descriptor);
    size_t size = protobuf_c_message_get_packed_size(event);
    if (!type) return err_set(err, &ERR_INTERNAL, "a message that the contract does not have");
    events__v1__envelope__init(e);
    e->data.data = arena_alloc(c->arena, size + 1);
    e->occurred_at = timestamp_new(c->arena, c->now);
    e->subject = message_text(message_subject(event, c->arena));
    if (!e->data.data || !e->occurred_at || !e->subject)
        return err_set(err, &ERR_TOO_LARGE, "an event of %zu bytes", size);
    e->data.len = protobuf_c_message_pack(event, e->data.data);
    e->event_type = message_text(type->name);
    e->schema_version = message_text(type->schema_version);
    e->producer = message_text(type->producer);
    return true;
}

bool command_tell(Command *c, const ProtobufCMessage *event, int64_t subject_version, Err *err) {
    Events__V1__Envelope e;
    if (!fill_envelope(c, event, &e, err)) return false;
    char *text = arena_alloc(c->arena, UUID_TEXT);
    if (!text) return err_set(err, &ERR_TOO_LARGE, "an event does not fit in memory");
    Uuid id = uuid_v7();
    uuid_format(&id, text);
    c->event_id = e.event_id = text;
    e.subject_version = subject_version;
    e.correlation_id = c->envelope->correlation_id;
    e.causation_id = c->envelope->command_id;
    e.tenant_id = c->envelope->tenant_id;
    e.traceparent = c->envelope->traceparent;
    e.issued_by = c->envelope->issued_by;
    c->events++;
    return outbox_add(c->model->outbox, &e, c->now, err);
}
