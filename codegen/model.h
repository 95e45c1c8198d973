/* The contract as the emitters see it: messages, fields and rules, out of protoc's descriptors. All of it
 * lives in the arena given to contract_read(). */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "events/v1/options.pb-c.h"
#include <google/protobuf/compiler/plugin.pb-c.h>

typedef enum FieldKind {
    KIND_TEXT,
    KIND_BYTES,
    KIND_BOOL,
    KIND_INT32,
    KIND_UINT32,
    KIND_INT64,
    KIND_ENUM,
    KIND_TIMESTAMP,
    KIND_MESSAGE,
    KIND_OTHER, /* no JSON form here */
} FieldKind;

typedef struct EnumValue {
    const char *name;      /* "COMMAND_STATUS_PENDING" */
    const char *json_name; /* "pending" */
    int number;
} EnumValue;

typedef struct Enum {
    const char *full_name; /* ".events.v1.CommandStatus" */
    const char *symbol;    /* "command_status" */
    EnumValue *values;
    size_t value_count;
} Enum;

typedef struct Message Message;

typedef struct Field {
    const char *name, *json_name, *label, *widget;
    const char *c_name;  /* of the struct's member */
    const char *comment; /* what stands beside it in the .proto file; "" where nothing does */
    unsigned number;
    FieldKind kind;
    int type;              /* protoc's own, of which kind keeps what the emitters tell apart */
    const char *type_name; /* ".events.v1.FieldError"; "" of the plain types */
    const char *oneof;     /* the oneof that it is a part of ("_phone" of `optional phone`), or "" */
    bool repeated, in_oneof;
    const Message *message; /* of KIND_MESSAGE */
    const Enum *enumeration;
    const Events__V1__FieldRules *rules; /* never NULL */
    bool has_rules;                      /* the field has an option of its own */
} Field;

struct Message {
    const char *name;      /* "CreateProspect" */
    const char *full_name; /* ".events.v1.CreateProspect" */
    const char *c_type;    /* "Events__V1__CreateProspect" */
    const char *c_prefix;  /* "events__v1__create_prospect" */
    const char *symbol;    /* "events_v1_create_prospect": what generated names begin with */
    const char *file;      /* "events/v1/prospect.proto" */
    const char *comment;
    const Events__V1__MessageRules *rules;
    bool has_json, wanted; /* wanted: protoc was asked for its file */
    Field *fields;
    size_t field_count;
};

/* A call. Its messages may be those of a foreign service (gRPC's own), which are no part of the contract. */
typedef struct Method {
    const char *name;           /* "CreateProspect" */
    const char *input, *output; /* ".events.v1.CreateProspectRequest" */
    const char *symbol;         /* "events_v1_prospect_commands_create_prospect" */
    const char *comment;
    const Message *request; /* NULL where it is foreign */
    const Field *command;   /* of a command: the request's field; NULL: none */
    bool client_streaming, server_streaming, no_side_effects;
    const Events__V1__MethodRules *rules;
} Method;

typedef struct Service {
    const char *name;      /* "ProspectCommands" */
    const char *full_name; /* "events.v1.ProspectCommands" */
    const char *comment;
    bool foreign; /* gRPC's own: no token is needed */
    Method *methods;
    size_t method_count;
} Service;

typedef struct Contract {
    Arena *arena;
    Message *messages;
    size_t message_count;
    Enum *enums;
    size_t enum_count;
    Service *services; /* of the files that protoc was asked for */
    size_t service_count;
    const Google__Protobuf__Compiler__CodeGeneratorRequest *request; /* what all of this was read from */
} Contract;

/* comments.c: fills in the comments of a contract that has been read. */
void contract_comments(const Google__Protobuf__Compiler__CodeGeneratorRequest *request, Contract *contract);
/* model_services.c: fills in the services of a contract whose messages have been read. */
void contract_services(const Google__Protobuf__Compiler__CodeGeneratorRequest *request, Contract *contract);
/* The option of ours on something of a .proto file. Never NULL: without it an empty message. *found may be
 * NULL. */
const void *contract_option(const ProtobufCMessage *options, const ProtobufCMessageDescriptor *type,
                            Arena *arena, bool *found);
/* Google's files, and gRPC's, are not the contract. */
bool contract_is_foreign(const char *file);
bool contract_wants(const Google__Protobuf__Compiler__CodeGeneratorRequest *request, const char *file);
bool contract_read(const Google__Protobuf__Compiler__CodeGeneratorRequest *request, Arena *arena,
                   Contract *ret, Err *err);
/* What the descriptors allow but the contract does not; the texts name message and field. */
bool contract_check(const Contract *contract, Err *err);
const Message *contract_message(const Contract *contract,
                                const char *full_name);        /* NULL where there is none */
const Field *message_field(const Message *message, Span name); /* by proto name */
