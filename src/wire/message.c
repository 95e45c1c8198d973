/* message.c - decoding of what comes from outside, by the type tables that codegen/ makes.
 * Promise:   a message handed out is complete and safe to use: every string is valid UTF-8 without NUL,
 *            nothing is nested too deep, and (the strict functions) every field keeps the contract's rules.
 * Order:     syntax first, where the first fault ends it; then members as they come in the body; then,
 *            unless one of the former was told of the same field, the rules in the order of the .proto
 *            file. */
#include "wire/message.h"

#include "wire/json/json_fields.h"
#include "wire/proto_scan.h"

const MessageType *message_type_of(const ProtobufCMessageDescriptor *descriptor) {
    const MessageType *type = message_type(span_of(descriptor->short_name));
    return type && type->descriptor == descriptor ? type : NULL;
}

ProtobufCMessage *message_new(const MessageType *type, Arena *arena) {
    ProtobufCMessage *message = arena_alloc(arena, type->descriptor->sizeof_message);
    if (message) type->descriptor->message_init(message);
    return message;
}

bool message_validate(ProtobufCMessage *message, Arena *arena, FieldFaults *faults) {
    const MessageType *type = message_type_of(message->descriptor);
    if (type) type->validate(message, arena, faults);
    return faults->count == 0;
}

/* Reads the one value of the document, up to its end. */
static bool read_document(const MessageType *type, JsonReader *r, ProtobufCMessage *message,
                          FieldFaults *faults) {
    JsonToken first = json_next(r);
    if (first == JSON_OBJECT) {
        if (!type->from_json(r, message, r->arena, faults)) return false;
    } else {
        field_fault(faults, "", "wrong_type");
        json_skip(r, first);
    }
    if (json_next(r) == JSON_END) return first == JSON_OBJECT;
    json_over(r, "", faults);
    return false;
}

bool message_read_json(const MessageType *type, Span json, Arena *arena, ProtobufCMessage **ret,
                       FieldFaults *faults) {
    if (!type->from_json) return field_fault_only(faults, "", "invalid_json");
    JsonReader reader = json_reader(json, arena);
    *ret = message_new(type, arena);
    return *ret ? read_document(type, &reader, *ret, faults) : field_fault_only(faults, "", "too_large");
}

bool message_from_json(const MessageType *type, Span json, Arena *arena, ProtobufCMessage **ret,
                       FieldFaults *faults) {
    ProtobufCMessage *message;
    *ret = NULL;
    if (!message_read_json(type, json, arena, &message, faults)) return false;
    type->validate(message, arena, faults);
    if (faults->count) return false;
    *ret = message;
    return true;
}

static ProtobufCMessage *unpack(const MessageType *type, Span bytes, Arena *arena) {
    return protobuf_c_message_unpack(type->descriptor, arena_protobuf(arena), bytes.len,
                                     (const uint8_t *)(bytes.at ? bytes.at : ""));
}

bool message_from_protobuf(const MessageType *type, Span bytes, Arena *arena, ProtobufCMessage **ret,
                           FieldFaults *faults) {
    *ret = NULL;
    if (!proto_scan(type->descriptor, bytes, true, arena, faults)) return false;
    ProtobufCMessage *message = unpack(type, bytes, arena);
    if (!message)
        return field_fault_only(faults, "",
                                "too_large"); /* the scan has passed: only memory can have ended */
    type->validate(message, arena, faults);
    if (faults->count) return false;
    *ret = message;
    return true;
}

ProtobufCMessage *message_unpack_told(const MessageType *type, Span bytes, Arena *arena,
                                      FieldFaults *faults) {
    FieldFaults own;
    if (!faults) {
        own.count = own.inside = 0,
        own.ended = false; /* the rest is large, and this is called for every event */
        faults = &own;
    }
    if (!proto_scan(type->descriptor, bytes, false, arena, faults)) return NULL;
    ProtobufCMessage *message = unpack(type, bytes, arena);
    if (!message) field_fault_only(faults, "", "too_large");
    return message;
}

void message_to_json(const ProtobufCMessage *message, Buf *out) {
    const MessageType *type = message_type_of(message->descriptor);
    JsonWriter w = json_writer(out);
    if (type && type->to_json)
        type->to_json(message, &w);
    else
        json_null(&w);
}

void message_pack(const ProtobufCMessage *message, Buf *out) {
    size_t size = protobuf_c_message_get_packed_size(message);
    char *to = buf_reserve(out, size);
    if (to) out->len += protobuf_c_message_pack(message, (uint8_t *)to);
}
