/* What the generated from_json and to_json functions are made of: one call per member. Reading reports faults
 * by the rules of message.h; each function gets the member's JSON name and its place in the message (0 to
 * 63). */
#pragma once
#include "wire/json/json.h"
#include "wire/message.h"
#include <google/protobuf/timestamp.pb-c.h>

typedef struct JsonObject {
    JsonReader *reader;
    ProtobufCMessage *message;
    Arena *arena;
    FieldFaults *faults;
    Span name;     /* of the member whose value comes next */
    uint64_t seen; /* bit n: member n has been there */
    bool over;     /* the JSON itself ended it */
} JsonObject;

typedef bool MessageFromJson(JsonReader *r, ProtobufCMessage *message, Arena *arena, FieldFaults *faults);
typedef struct JsonPart { /* the type of a member that is a message */
    const ProtobufCMessageDescriptor *descriptor;
    MessageFromJson *from_json;
} JsonPart;
typedef struct JsonEnum {
    const char *name; /* "pending"; NULL ends the table */
    int value;
} JsonEnum;

bool json_object_next(JsonObject *o); /* false at the object's end, or when it is over */
static inline bool json_object_is(const JsonObject *o, const char *name, size_t len) {
    return memcmp(o->name.at, name, len) == 0;
}

void json_member_unknown(JsonObject *o);
void json_member_string(JsonObject *o, unsigned index, const char *name, char **to);
void json_member_bytes(JsonObject *o, unsigned index, const char *name, ProtobufCBinaryData *to);
void json_member_bool(JsonObject *o, unsigned index, const char *name, protobuf_c_boolean *to);
void json_member_int64(JsonObject *o, unsigned index, const char *name, int64_t *to);
void json_member_int32(JsonObject *o, unsigned index, const char *name, int32_t *to);
void json_member_uint32(JsonObject *o, unsigned index, const char *name, uint32_t *to);
void json_member_decimal(JsonObject *o, unsigned index, const char *name, int64_t *to);
void json_member_time(JsonObject *o, unsigned index, const char *name, Google__Protobuf__Timestamp **to);
void json_member_enum(JsonObject *o, unsigned index, const char *name, const JsonEnum *names, int *to);
void json_member_message(JsonObject *o, unsigned index, const char *name, const JsonPart *part,
                         ProtobufCMessage **to);
/* The value as written in the input, for reading it later; nothing where absent. */
Span json_member_raw(JsonObject *o, unsigned index, const char *name);
/* Repeated fields; items live in the arena. */
typedef struct JsonList {
    void **at;
    size_t count;
} JsonList;
JsonList json_member_strings(JsonObject *o, unsigned index, const char *name);
JsonList json_member_messages(JsonObject *o, unsigned index, const char *name, const JsonPart *part);

void json_enum(JsonWriter *w, const JsonEnum *names, int value);
void json_timestamp(JsonWriter *w, const Google__Protobuf__Timestamp *t); /* nothing but null where absent */
/* The member "$unknown": protobuf fields that this version does not know, in base64. Nothing where there are
 * none. */
void json_unknown_fields(JsonWriter *w, const ProtobufCMessage *message);

/* Decimal digits with an optional minus, in the range of int64. */
bool json_decimal(Span text, int64_t *ret);
/* Ends the decoding: the reader's fault is the only one from now on. */
void json_over(const JsonReader *r, const char *name, FieldFaults *faults);
