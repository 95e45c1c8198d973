/* Looks foreign protobuf bytes over before protobuf-c unpacks them: it checks neither UTF-8 nor NUL in
 * strings, and has no limit of nesting. No memory, no recursion into what the schema does not know. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "wire/message.h"

enum { PROTO_DEPTH_MAX = 32, PROTO_UNKNOWN_MAX = 1024 };

/* What was found. strict: unknown fields are faults, too ("unknown_field", named by their number). Where the
 * bytes are not protobuf, not UTF-8 or nested too deep, that is the only fault ("invalid_encoding",
 * "too_deep"). */
bool proto_scan(const ProtobufCMessageDescriptor *descriptor, Span bytes, bool strict, Arena *arena,
                FieldFaults *faults);

/* The unknown fields of a message as protobuf bytes, and back. Who wrote the bytes may be older than this
 * type: fields that it does have are taken, too, but they are read only from the packed message. False where
 * the bytes do not pass proto_scan(), or memory ends. */
void proto_write_unknown(const ProtobufCMessage *message, Buf *out);
bool proto_attach_unknown(ProtobufCMessage *message, Span bytes, Arena *arena);

/* The base 128 number at *at; false where it does not end within the span or within ten bytes. */
bool proto_varint(Span bytes, size_t *at, uint64_t *ret);
void proto_write_varint(Buf *out, uint64_t value);
