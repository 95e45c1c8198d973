/* One command on its way through its handler. Inside app/ only.
 *
 * A handler loads what it needs, decides (domain/), writes the entities, and tells the events that follow:
 * one, or several in the order in which readers shall see them. All of it, and command_done, is one
 * transaction. */
#pragma once
#include "base/arena.h"
#include "base/uuid.h"
#include "db/db.h"
#include "events/v1/envelope.pb-c.h"
#include "wire/message.h"

typedef struct Command {
    Db *db;
    Arena *arena; /* everything of this command */
    const Events__V1__CommandEnvelope *envelope;
    const ProtobufCMessage *message; /* validated */
    int64_t now;                     /* occurred_at of the events */

    size_t events;            /* told so far */
    char event_id[UUID_TEXT]; /* of the last one, which stands for the outcome */
} Command;

/* False: an engine's error, or a defect. A broken business rule is no failure but a command_reject(). On
 * success at least one event has been told. */
typedef bool CommandHandler(Command *c, Err *err);

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
