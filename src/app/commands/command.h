/* One command on its way through its handler. Inside app/ only.
 *
 * A handler loads what it needs, decides (domain/), changes the entities, and tells the events that follow:
 * one, or several in the order in which readers shall see them. All of it, and command_done, is one
 * transaction, which is shared with other commands: what a handler changes stands in the memory of the write
 * model, where the commands behind it see it, until all of it is written. */
#pragma once
#include "base/arena.h"
#include "events/v1/envelope.pb-c.h"
#include "queue/queue.h"
#include "store/write/write_model.h"
#include "wire/message.h"

typedef struct Command Command;
/* False: an engine's error, or a defect. A broken business rule is no failure but a command_reject(). On
 * success at least one event has been told. */
typedef bool CommandHandler(Command *c, Err *err);

struct Command {
    WriteModel *model;
    Arena *arena; /* of the transaction */
    const Events__V1__CommandEnvelope *envelope;
    const MessageType *type;
    ProtobufCMessage *message;
    const FieldFaults *faults; /* NULL: the message breaks no rule of its fields */
    CommandHandler *handle;
    int64_t now; /* occurred_at of the events */

    size_t events;        /* told so far */
    const char *event_id; /* of the last one, which stands for the outcome */
};

/* Decodes and validates what a queue has delivered. False: no try can succeed, and *reason (static text) says
 * why; or err is set, where the arena is full. */
bool command_open(Command *c, const QueueMessage *m, const char **reason, Err *err);
CommandKey command_key(const Command *c);
/* Tells the write model what this command will look at, so that it is read with what the others want: the
 * entities that its ids name, and who has its e-mail address. A handler may load more. False: out of memory.
 */
bool command_want(Command *c, Err *err);
/* Its handler, or the rejection of an invalid one. */
bool command_handle(Command *c, Err *err);
/* As keys of e-mail addresses are compared. */
bool command_email_key(Command *c, const char *email, Span *ret, Err *err);

/* Puts an event into the outbox. Type, version, producer and subject are those that the contract gives the
 * message; subject_version: the entity's version after it, 0 where its subject has a single event. Reads show
 * the command as succeeded with its last event, and by then they show the ones before. */
bool command_tell(Command *c, const ProtobufCMessage *event, int64_t subject_version, Err *err);

typedef struct Rejection {
    const char *code, *message;
    const char *field;      /* JSON name of the one at fault; NULL where none is */
    const char *field_code; /* what is wrong with it; NULL: the same code */
} Rejection;
/* Tells a CommandRejected about the subject that the command names. */
bool command_reject(Command *c, const Rejection *why, Err *err);
bool command_reject_invalid(Command *c, const FieldFaults *faults, Err *err);
