/* The message types of proto/events/v1, found by name: what codegen/ makes from the .proto files and their
 * options. Messages are protobuf-c structs (generated: events/v1/NAME.pb-c.h), unpacked into an Arena and
 * never freed one by one. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "wire/json/json.h"
#include <protobuf-c/protobuf-c.h>

typedef enum MessageKind { MESSAGE_OTHER, MESSAGE_COMMAND, MESSAGE_EVENT } MessageKind;

/* What is wrong with the fields of a message: one error per field, in the order found. Codes are those of the
 * validation table ("required", "too_long", ...); field is the JSON name, "" for the whole body, and a path
 * for what lies deeper: "place.street", "guests[2]", "others[0].street". */
typedef struct FieldFault {
    const char *field, *code;
} FieldFault;
enum { FIELD_FAULTS_MAX = 32 };
typedef struct FieldFaults {
    FieldFault at[FIELD_FAULTS_MAX];
    size_t count;
    size_t inside; /* from here on they are of the part that is being read */
    bool ended;    /* the bytes themselves ended it, and that is the only fault */
} FieldFaults;
/* Adds unless the field has one already. field and code are kept, not copied. */
void field_fault(FieldFaults *faults, const char *field, const char *code);
/* Instead of all others: always false. */
bool field_fault_only(FieldFaults *faults, const char *field, const char *code);

/* A message inside another one, or an item of a list: what is told between the two gets its path. */
typedef struct FieldPart {
    const char *name; /* may be set later, when something has been told; index likewise */
    size_t index, outer;
} FieldPart;
#define FIELD_SINGLE SIZE_MAX /* no item of a list */
static inline FieldPart field_part_begins(FieldFaults *faults, const char *name, size_t index) {
    FieldPart part = {name, index, faults->inside};
    faults->inside = faults->count;
    return part;
}
static inline bool field_part_is_good(const FieldFaults *faults) {
    return faults->count == faults->inside && !faults->ended;
}
void field_part_ends(FieldFaults *faults, const FieldPart *part, Arena *arena);
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
    bool required, trim, multiline, personal, repeated;
    const char *const *values;      /* of an enum: what may be chosen, by JSON name; NULL ends it */
    const struct MessageType *part; /* of a message: its type */
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

/* The first half of strict decoding: syntax and types. False where the bytes could not be read to their end;
 * there may be faults all the same. */
bool message_read_json(const MessageType *type, Span json, Arena *arena, ProtobufCMessage **ret,
                       FieldFaults *faults);
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
 * Refuses invalid UTF-8 and NUL in strings, and anything above the arena's limit. faults says why; may be
 * NULL. */
ProtobufCMessage *message_unpack_told(const MessageType *type, Span bytes, Arena *arena, FieldFaults *faults);
static inline ProtobufCMessage *message_unpack(const MessageType *type, Span bytes, Arena *arena) {
    return message_unpack_told(type, bytes, arena, NULL);
}
void message_to_json(const ProtobufCMessage *message, Buf *out); /* finds the type by the descriptor */
void message_pack(const ProtobufCMessage *message, Buf *out);
/* The subject by the type's template: "prospect/12345"; "" where it has none; NULL out of memory. */
const char *message_subject(const ProtobufCMessage *message, Arena *arena);
/* Empties the personal fields, and drops unknown ones, which may be personal, too (of it and of the messages
 * in it): what a reader without `prospects:pii` gets. */
void message_clear_personal(ProtobufCMessage *message);
