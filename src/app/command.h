/* One command on its way through its handler. Inside app/ only.
 *
 * A handler loads what it needs, decides (domain/), writes the entity, and leaves the event that tells of it
 * in the Command; handlers.c writes outbox and command_done in the same transaction. */
#pragma once
#include "base/arena.h"
#include "db/db.h"
#include "events/v1/envelope.pb-c.h"
#include "wire/message.h"

typedef struct Command {
    Db *db;
    Arena *arena; /* everything of this command */
    const Events__V1__CommandEnvelope *envelope;
    const ProtobufCMessage *message; /* validated */
    int64_t now;                     /* occurred_at of the event */

    const ProtobufCMessage *event; /* set by the handler */
    const char *subject;
    int64_t subject_version;
} Command;

/* False: an engine's error, or a defect. A broken business rule is no failure but a command_reject(). */
typedef bool CommandHandler(Command *c, Err *err);

/* Leaves a CommandRejected. field: JSON name or NULL; about: the subject that the command was about, or "".
 */
bool command_reject(Command *c, const char *code, const char *message, const char *field, const char *about,
                    Err *err);
bool command_reject_invalid(Command *c, const FieldFaults *faults, Err *err);
