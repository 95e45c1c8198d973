/* From a request's body to what goes into the queue. No I/O. */
#pragma once
#include "base/arena.h"
#include "base/uuid.h"
#include "gateway/auth/token.h"
#include "observe/trace.h"
#include "wire/message.h"

/* A command of the contract, decoded and checked, before it has its envelope. */
typedef struct Command {
    const MessageType *type;
    ProtobufCMessage *message; /* its command_id is set */
    char command_id[UUID_TEXT];
    uint64_t body_hash; /* of the message without its id: what "the same command" means */
    Span ordering_key;
    Span packed;     /* the CommandEnvelope */
    TraceSpan *span; /* of its way into the queue, to be ended there; NULL: not recorded */
} Command;

typedef struct CommandInput {
    const MessageType *type;
    Span body;
    bool protobuf;
    Span idempotency_key; /* at == NULL where there is none */
    const char *correlation_id, *traceparent;
    const Claims *claims;
    /* Of UpdateProspect in REST, where they are no members of the body; 0: not set here. */
    int64_t prospect_id, expected_version;
} CommandInput;

/* In memory of the arena. False: faults says why (faults->count > 0), or err (out of memory). */
bool command_build(const CommandInput *in, Arena *arena, Command *ret, FieldFaults *faults, Err *err);
/* The same with a message that has been decoded already; its rules are applied here. */
bool command_build_message(const CommandInput *in, ProtobufCMessage *message, Arena *arena, Command *ret,
                           FieldFaults *faults, Err *err);

/* If-Match: "12" -> 12, * -> -1. False for anything else. */
bool if_match_read(Span header, int64_t *ret);
/* The ordering key: the subject that the command's type names ("prospect/{prospect_id}"); else, for what
 * creates something that has an e-mail, a hash of tenant and case-folded e-mail; else the command's own id.
 */
Span ordering_key(const MessageType *type, const ProtobufCMessage *message, Span tenant, Span command_id,
                  Arena *arena);
