#include "gateway/stream/mask.h"

#include "wire/message.h"

void mask_envelope(Events__V1__Envelope *envelope, Arena *arena) {
    Span data = {(const char *)envelope->data.data, envelope->data.len};
    envelope->data = (ProtobufCBinaryData){0};
    const MessageType *type = message_type(span_of(envelope->event_type));
    ProtobufCMessage *message = type ? message_unpack(type, data, arena) : NULL;
    if (!message) return;
    message_clear_personal(message);
    uint8_t *packed = arena_alloc(arena, protobuf_c_message_get_packed_size(message) + 1);
    if (packed) envelope->data = (ProtobufCBinaryData){protobuf_c_message_pack(message, packed), packed};
}
