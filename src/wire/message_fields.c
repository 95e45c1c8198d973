/* What may be said of any message by its tables: its subject, and which fields are personal. */
#include "wire/message.h"

#include <inttypes.h>
#include <stdio.h>

static void *member(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *f) {
    return (char *)(uintptr_t)message + f->offset;
}

static void append_field(const ProtobufCMessage *message, Span proto_name, Buf *out) {
    char name[64];
    if (!span_copy(proto_name, name, sizeof name)) return;
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
    if (f && f->type == PROTOBUF_C_TYPE_INT64) buf_printf(out, "%" PRId64, *(int64_t *)member(message, f));
    if (f && f->type == PROTOBUF_C_TYPE_STRING) buf_text(out, *(char **)member(message, f));
}

const char *message_subject(const ProtobufCMessage *message, Arena *arena) {
    const MessageType *type = message_type_of(message->descriptor);
    AUTO_BUF text = {.limit = 1024};
    Span rest = type ? span_of(type->subject) : SPAN_NONE;
    while (rest.len) {
        buf_span(&text, span_split(rest, '{', &rest));
        if (rest.at) append_field(message, span_split(rest, '}', &rest), &text);
    }
    return text.failed ? NULL : arena_copy(arena, buf_view(&text));
}

static void clear(void *at, ProtobufCType type) {
    switch (type) {
    case PROTOBUF_C_TYPE_STRING: *(const char **)at = protobuf_c_empty_string; break;
    case PROTOBUF_C_TYPE_BYTES: *(ProtobufCBinaryData *)at = (ProtobufCBinaryData){0}; break;
    case PROTOBUF_C_TYPE_MESSAGE: *(ProtobufCMessage **)at = NULL; break;
    case PROTOBUF_C_TYPE_INT64: *(int64_t *)at = 0; break;
    default: *(int32_t *)at = 0; break; /* int32, uint32, bool and enums: one word each */
    }
}

static void clear_parts(ProtobufCMessage *message, const ProtobufCFieldDescriptor *f) {
    void *at = member(message, f);
    if (f->label != PROTOBUF_C_LABEL_REPEATED) {
        if (*(ProtobufCMessage **)at) message_clear_personal(*(ProtobufCMessage **)at);
        return;
    }
    size_t count = *(size_t *)((char *)message + f->quantifier_offset);
    ProtobufCMessage **items = *(ProtobufCMessage ***)at;
    for (size_t i = 0; i < count; i++) message_clear_personal(items[i]);
}

void message_clear_personal(ProtobufCMessage *message) {
    const MessageType *type = message_type_of(message->descriptor);
    message->n_unknown_fields = 0;
    for (size_t i = 0; type && i < type->field_count; i++) {
        const FieldInfo *info = &type->fields[i];
        const ProtobufCFieldDescriptor *f =
            protobuf_c_message_descriptor_get_field(message->descriptor, info->number);
        if (info->personal && f->label == PROTOBUF_C_LABEL_REPEATED)
            *(size_t *)((char *)message + f->quantifier_offset) = 0;
        else if (info->personal)
            clear(member(message, f), f->type);
        else if (f->type == PROTOBUF_C_TYPE_MESSAGE && !(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
            clear_parts(message, f);
    }
}
