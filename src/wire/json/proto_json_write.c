#include "wire/json/proto_json.h"

#include "wire/json/json_fields.h"

Span proto_json_name(const char *proto_name, char room[PROTO_NAME_MAX]) {
    size_t len = 0;
    bool upper = false;
    for (; *proto_name && len < PROTO_NAME_MAX; proto_name++) {
        char c = *proto_name;
        if (c != '_') room[len++] = (char)(upper && c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
        upper = c == '_';
    }
    return (Span){room, len};
}

/* protobuf-c keeps no mark of it, but the names are given: message XEntry {key = 1, value = 2} inside. */
bool proto_json_is_map(const ProtobufCFieldDescriptor *field) {
    if (field->label != PROTOBUF_C_LABEL_REPEATED || field->type != PROTOBUF_C_TYPE_MESSAGE) return false;
    const ProtobufCMessageDescriptor *entry = field->descriptor;
    return span_ends(span_of(entry->short_name), SPAN("Entry")) && entry->n_fields == 2 &&
           !strcmp(entry->fields[0].name, "key") && !strcmp(entry->fields[1].name, "value");
}

size_t proto_json_size(const ProtobufCFieldDescriptor *field) {
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE: return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_INT64: return sizeof(int64_t);
    default: return sizeof(int32_t); /* int32, uint32, bool and enums: one word each */
    }
}

static void write_message(const ProtobufCMessage *message, JsonWriter *w);

static void write_enum(const ProtobufCEnumDescriptor *type, int number, JsonWriter *w) {
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(type, number);
    if (value)
        json_text(w, value->name);
    else
        json_int(w, number);
}

static void write_value(const ProtobufCFieldDescriptor *f, const void *at, JsonWriter *w) {
    const ProtobufCBinaryData *bytes = at;
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING: json_text(w, *(char *const *)at); break;
    case PROTOBUF_C_TYPE_BYTES: json_base64(w, span_bytes(bytes->data, bytes->len)); break;
    case PROTOBUF_C_TYPE_BOOL: json_bool(w, *(const protobuf_c_boolean *)at); break;
    case PROTOBUF_C_TYPE_INT64: json_decimal_string(w, *(const int64_t *)at); break;
    case PROTOBUF_C_TYPE_INT32: json_int(w, *(const int32_t *)at); break;
    case PROTOBUF_C_TYPE_UINT32: json_int(w, *(const uint32_t *)at); break;
    case PROTOBUF_C_TYPE_ENUM: write_enum(f->descriptor, *(const int *)at, w); break;
    case PROTOBUF_C_TYPE_MESSAGE: write_message(*(ProtobufCMessage *const *)at, w); break;
    default: json_null(w); break; /* no message here has any other type: proto_json_read() refuses them too */
    }
}

static void write_key(const ProtobufCMessage *entry, JsonWriter *w) {
    const ProtobufCFieldDescriptor *key = &entry->descriptor->fields[0];
    const char *text = key->type == PROTOBUF_C_TYPE_STRING
                           ? *(char *const *)((const char *)entry + key->offset)
                           : ""; /* only texts are keys here */
    json_name(w, text);
}

static void write_map(const ProtobufCMessage *const *entries, size_t count, JsonWriter *w) {
    json_object(w);
    for (size_t i = 0; i < count; i++) {
        const ProtobufCFieldDescriptor *value = &entries[i]->descriptor->fields[1];
        write_key(entries[i], w);
        write_value(value, (const char *)entries[i] + value->offset, w);
    }
    json_object_end(w);
}

static void write_list(const ProtobufCFieldDescriptor *f, const char *items, size_t count, JsonWriter *w) {
    json_array(w);
    for (size_t i = 0; i < count; i++) write_value(f, items + i * proto_json_size(f), w);
    json_array_end(w);
}

static bool is_empty(const ProtobufCFieldDescriptor *f, const void *at) {
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING: return !**(char *const *)at;
    case PROTOBUF_C_TYPE_BYTES: return !((const ProtobufCBinaryData *)at)->len;
    case PROTOBUF_C_TYPE_MESSAGE: return !*(void *const *)at;
    case PROTOBUF_C_TYPE_INT64: return !*(const int64_t *)at;
    default: return !*(const int32_t *)at;
    }
}

/* A member of a oneof is there although its value may be the empty one. */
static bool is_there(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *f) {
    const char *base = (const char *)message;
    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return *(const uint32_t *)(base + f->quantifier_offset) == f->id;
    if (f->label == PROTOBUF_C_LABEL_REPEATED) return *(const size_t *)(base + f->quantifier_offset) > 0;
    return !is_empty(f, base + f->offset);
}

static void write_field(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *f, JsonWriter *w) {
    char room[PROTO_NAME_MAX];
    Span name = proto_json_name(f->name, room);
    const char *at = (const char *)message + f->offset;
    json_string(w, name);
    buf_byte(w->out, ':');
    w->comma = false;
    if (f->label != PROTOBUF_C_LABEL_REPEATED) {
        write_value(f, at, w);
        return;
    }
    size_t count = *(const size_t *)((const char *)message + f->quantifier_offset);
    const void *items = *(void *const *)at;
    if (proto_json_is_map(f))
        write_map(items, count, w);
    else
        write_list(f, items, count, w);
}

static void write_message(const ProtobufCMessage *message, JsonWriter *w) {
    if (message->descriptor == &google__protobuf__timestamp__descriptor) {
        json_timestamp(w, (const Google__Protobuf__Timestamp *)message);
        return;
    }
    json_object(w);
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &message->descriptor->fields[i];
        if (is_there(message, f)) write_field(message, f, w);
    }
    json_object_end(w);
}

void proto_json_write(const ProtobufCMessage *message, Buf *out) {
    JsonWriter w = json_writer(out);
    write_message(message, &w);
}
