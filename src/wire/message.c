/* message.c - decoding of what comes from outside, by the type tables that codegen/ makes.
 * Promise:   a message handed out is complete and safe to use: every string is valid UTF-8 without NUL,
 *            nothing is nested too deep, and (the strict functions) every field keeps the contract's rules.
 * Order:     syntax first, where the first fault ends it; then members as they come in the body; then,
 *            unless one of the former was told of the same field, the rules in the order of the .proto
 *            file. */
#include "wire/message.h"

#include "wire/json_fields.h"
#include "wire/proto_scan.h"

void field_fault(FieldFaults *faults, const char *field, const char *code) {
    for (size_t i = 0; i < faults->count; i++)
        if (strcmp(faults->at[i].field, field) == 0) return;
    if (faults->count < FIELD_FAULTS_MAX) faults->at[faults->count++] = (FieldFault){field, code};
}

const char *field_fault_text(const char *code) {
    static const struct {
        const char *code, *text;
    } TEXTS[] = {
        {"invalid_json", "is not valid JSON"},
        {"too_deep", "is nested too deep"},
        {"too_large", "is too large"},
        {"unknown_field", "is not a field of this message"},
        {"duplicate_field", "must not be given twice"},
        {"wrong_type", "has the wrong type"},
        {"invalid_encoding", "is not valid Unicode text"},
        {"invalid_characters", "must not hold control characters"},
        {"required", "must not be empty"},
        {"too_long", "must not be longer than allowed"},
        {"invalid_email", "is not an e-mail address"},
        {"invalid_phone", "is not a phone number"},
        {"invalid_id", "is not a valid id"},
        {"out_of_range", "is out of range"},
        {"invalid_cursor", "is not a cursor of this list"},
        {"duplicate_email", "is already in use"},
        {"version_conflict", "was changed by someone else in the meantime"},
        {"not_found", "does not exist"},
        {"idempotency_conflict", "was used before for something else"},
        {"wrong_column_count", "has a wrong number of columns"},
    };
    for (size_t i = 0; i < COUNT(TEXTS); i++)
        if (strcmp(TEXTS[i].code, code) == 0) return TEXTS[i].text;
    return "is not valid";
}

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

static bool only_fault(FieldFaults *faults, const char *code) {
    faults->count = 0;
    field_fault(faults, "", code);
    return false;
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

bool message_from_json(const MessageType *type, Span json, Arena *arena, ProtobufCMessage **ret,
                       FieldFaults *faults) {
    *ret = NULL;
    if (!type->from_json) return only_fault(faults, "invalid_json");
    ProtobufCMessage *message = message_new(type, arena);
    if (!message) return only_fault(faults, "too_large");
    JsonReader reader = json_reader(json, arena);
    if (!read_document(type, &reader, message, faults)) return false;
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
        return only_fault(faults, "too_large"); /* the scan has passed: only memory can have ended */
    type->validate(message, arena, faults);
    if (faults->count) return false;
    *ret = message;
    return true;
}

ProtobufCMessage *message_unpack(const MessageType *type, Span bytes, Arena *arena) {
    FieldFaults faults = {0};
    return proto_scan(type->descriptor, bytes, false, arena, &faults) ? unpack(type, bytes, arena) : NULL;
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
