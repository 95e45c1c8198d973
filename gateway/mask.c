#include "gateway/mask.h"

#include "wire/message.h"

static void empty_field(ProtobufCMessage *message, const char *name) {
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
    if (!field || field->label == PROTOBUF_C_LABEL_REPEATED || field->type != PROTOBUF_C_TYPE_STRING) abort();
    *(char **)((char *)message + field->offset) = (char *)protobuf_c_empty_string;
}

void mask_message(ProtobufCMessage *message) {
    const MessageType *type = message_type(span_of(message->descriptor->short_name));
    for (size_t i = 0; type && i < type->field_count; i++)
        if (type->fields[i].personal) empty_field(message, type->fields[i].proto_name);
}

void mask_envelope(Events__V1__Envelope *envelope, Arena *arena) {
    Span data = {(const char *)envelope->data.data, envelope->data.len};
    envelope->data = (ProtobufCBinaryData){0};
    const MessageType *type = message_type(span_of(envelope->event_type));
    ProtobufCMessage *message = type ? message_unpack(type, data, arena) : NULL;
    if (!message) return;
    mask_message(message);
    /* fields that we do not know may be personal too */
    message->n_unknown_fields = 0;
    uint8_t *packed = arena_alloc(arena, protobuf_c_message_get_packed_size(message) + 1);
    if (packed) envelope->data = (ProtobufCBinaryData){protobuf_c_message_pack(message, packed), packed};
}
