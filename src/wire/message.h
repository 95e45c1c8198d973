/* The message types of proto/events/v1, found by name: what codegen/ makes from the .proto files and their
 * options. Messages are protobuf-c structs (generated: events/v1/NAME.pb-c.h), unpacked into an Arena and
 * never freed one by one. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "wire/json.h"
#include <protobuf-c/protobuf-c.h>

typedef enum MessageKind { MESSAGE_OTHER, MESSAGE_COMMAND, MESSAGE_EVENT } MessageKind;

/* What is wrong with the fields of a message: one error per field, in the order found. Codes are those of the
 * validation table ("required", "too_long", ...); field is the JSON name, "" for the whole body. */
typedef struct FieldFault {
    const char *field, *code;
} FieldFault;
enum { FIELD_FAULTS_MAX = 32 };
typedef struct FieldFaults {
    FieldFault at[FIELD_FAULTS_MAX];
    size_t count;
} FieldFaults;
/* Adds unless the field has one already. field and code are kept, not copied. */
void field_fault(FieldFaults *faults, const char *field, const char *code);
/* A sentence for people that never quotes the value: "must not be longer than allowed". */
const char *field_fault_text(const char *code);

/* For string fields of the structs, which are char * although nothing writes through them: the text is
 * borrowed. */
static inline char *message_text(const char *text) {
    return (char *)(uintptr_t)text;
}

typedef struct FieldInfo {
    const char *json_name, *proto_name, *label, *widget, *type; /* type: string, id, int64, timestamp, ... */
    const char *pattern;                                        /* "email", "phone", "uuid" or NULL */
    unsigned max_length;                                        /* code points; 0: no limit of its own */
    unsigned number;                                            /* in the .proto file */
    bool required, trim, multiline, personal;
} FieldInfo;

typedef struct MessageType {
    const char *name; /* "CreateProspect" */
    MessageKind kind;
    const char *schema_version, *subject, *producer, *title, *topic; /* of options.proto; "" where not set */
    const ProtobufCMessageDescriptor *descriptor;
    const FieldInfo *fields;
    size_t field_count;
    /* NULL where the message has no JSON form (frames of stream.proto, calls of services.proto). */
    void (*to_json)(const ProtobufCMessage *message, JsonWriter *w);
    /* After JSON_OBJECT has been read: fills an initialised message up to the object's end. Reports member
     * faults; false when the JSON itself ended it (then that is the only fault). NULL as above. */
    bool (*from_json)(JsonReader *r, ProtobufCMessage *message, Arena *arena, FieldFaults *faults);
    /* Trims, normalises and checks the fields in place (in memory of the arena). */
    void (*validate)(ProtobufCMessage *message, Arena *arena, FieldFaults *faults);
} MessageType;

const MessageType *message_type(Span name); /* NULL where there is none; constant time */
const MessageType *const *message_types(size_t *count);
const MessageType *
message_type_of(const ProtobufCMessageDescriptor *descriptor); /* NULL where there is none */

/* Strict decoding of foreign bytes: syntax, types, then validation. False where faults->count > 0. */
bool message_from_json(const MessageType *type, Span json, Arena *arena, ProtobufCMessage **ret,
                       FieldFaults *faults);
bool message_from_protobuf(const MessageType *type, Span bytes, Arena *arena, ProtobufCMessage **ret,
                           FieldFaults *faults);
ProtobufCMessage *message_new(const MessageType *type,
                              Arena *arena); /* initialised, empty; NULL out of memory */
/* Trims, normalises and checks a message that came another way; false where faults->count > 0 afterwards. */
bool message_validate(ProtobufCMessage *message, Arena *arena, FieldFaults *faults);
/* Only a safe unpack, for bytes of our own programs or after a field check elsewhere; NULL where malformed.
 * Refuses invalid UTF-8 and NUL in strings, and anything above the arena's limit. */
ProtobufCMessage *message_unpack(const MessageType *type, Span bytes, Arena *arena);
void message_to_json(const ProtobufCMessage *message, Buf *out); /* finds the type by the descriptor */
void message_pack(const ProtobufCMessage *message, Buf *out);
/* The subject by the type's template: "prospect/12345"; "" where it has none; NULL out of memory. */
const char *message_subject(const ProtobufCMessage *message, Arena *arena);
/* Empties the personal fields, and drops unknown ones, which may be personal, too (of it and of the messages
 * in it): what a reader without `prospects:pii` gets. */
void message_clear_personal(ProtobufCMessage *message);
