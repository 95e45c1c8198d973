/* Any message as JSON in the form that protobuf itself defines (ProtoJSON), by its descriptor: 64-bit numbers
 * are strings, enums their names in the .proto file, what is empty is left out. It is what Connect clients
 * speak; REST has a JSON of its own (message.h). Pure. */
#pragma once
#include "wire/json/json.h"
#include "wire/message.h"

void proto_json_write(const ProtobufCMessage *message, Buf *out);

/* In memory of the arena. strict: members that the message does not have are faults, else they are passed
 * over. NULL where faults->count > 0; they are of syntax and type alone, no rule of the contract is applied.
 */
ProtobufCMessage *proto_json_read(const ProtobufCMessageDescriptor *type, Span json, bool strict,
                                  Arena *arena, FieldFaults *faults);

/* For the two files behind this header. */
enum { PROTO_NAME_MAX = 64 };
/* first_name -> firstName */
Span proto_json_name(const char *proto_name, char room[PROTO_NAME_MAX]);
/* Is it one of the messages that protoc makes of a map's entries? Then its field is an object in JSON. */
bool proto_json_is_map(const ProtobufCFieldDescriptor *field);
size_t proto_json_size(const ProtobufCFieldDescriptor *field); /* of one value in the message's struct */
