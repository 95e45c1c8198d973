/* proto_json_read.c - depth and syntax are the JSON reader's business (32 levels), memory is the arena's. */
#include "wire/json/proto_json.h"

#include "wire/base64.h"
#include "wire/envelope.h"
#include "wire/json/json_fields.h"

typedef struct Reading {
    JsonReader json;
    Arena *arena;
    FieldFaults *faults;
    bool strict, over; /* over: the JSON itself ended it */
} Reading;

static void end(Reading *r, const char *name) {
    if (!r->over) json_over(&r->json, name, r->faults);
    r->over = true;
}

static void pass_over(Reading *r, JsonToken first, const char *name) {
    if (!json_skip(&r->json, first)) end(r, name);
}

static bool wrong_type(Reading *r, JsonToken first, const char *name) {
    if (first == JSON_ERROR) {
        end(r, name);
        return false;
    }
    pass_over(r, first, name);
    if (!r->over) field_fault(r->faults, name, "wrong_type");
    return false;
}

/* --- plain values --- */

static bool read_text(Reading *r, const char *name, char **to) {
    Span text = r->json.text;
    if (text.len && memchr(text.at, 0, text.len)) {
        field_fault(r->faults, name, "invalid_characters");
        return false;
    }
    *to = arena_copy(r->arena, text);
    if (!*to) end(r, name);
    return *to;
}

static bool read_bytes(Reading *r, const char *name, ProtobufCBinaryData *to) {
    AUTO_BUF bytes = {0};
    if (!base64_read_any(r->json.text, &bytes)) {
        field_fault(r->faults, name, "wrong_type");
        return false;
    }
    char *copy = arena_copy(r->arena, buf_view(&bytes));
    if (!copy) end(r, name);
    *to = (ProtobufCBinaryData){.len = bytes.len, .data = (uint8_t *)copy};
    return copy;
}

static bool in_range(ProtobufCType type, int64_t value) {
    if (type == PROTOBUF_C_TYPE_INT32) return value >= INT32_MIN && value <= INT32_MAX;
    return type == PROTOBUF_C_TYPE_INT64 || (value >= 0 && value <= UINT32_MAX);
}

/* Numbers may come as strings and strings of digits as numbers, whatever their size. */
static bool read_number(Reading *r, const ProtobufCFieldDescriptor *f, JsonToken token, const char *name,
                        void *to) {
    int64_t value;
    bool fine = token == JSON_STRING   ? json_decimal(r->json.text, &value)
                : token == JSON_NUMBER ? json_number_int(&r->json, &value)
                                       : false;
    if (token != JSON_STRING && token != JSON_NUMBER) return wrong_type(r, token, name);
    if (!fine || !in_range(f->type, value)) {
        field_fault(r->faults, name, "wrong_type");
        return false;
    }
    if (f->type == PROTOBUF_C_TYPE_INT64)
        *(int64_t *)to = value;
    else
        *(uint32_t *)to = (uint32_t)value;
    return true;
}

static bool read_enum(Reading *r, const ProtobufCFieldDescriptor *f, JsonToken token, const char *name,
                      int *to) {
    char text[PROTO_NAME_MAX];
    int64_t number;
    const ProtobufCEnumValue *value = NULL;
    if (token != JSON_STRING && token != JSON_NUMBER) return wrong_type(r, token, name);
    if (token == JSON_STRING && span_copy(r->json.text, text, sizeof text))
        value = protobuf_c_enum_descriptor_get_value_by_name(f->descriptor, text);
    bool fine = value || (token == JSON_NUMBER && json_number_int(&r->json, &number) && number >= INT32_MIN &&
                          number <= INT32_MAX);
    if (fine)
        *to = value ? value->value : (int)number;
    else
        field_fault(r->faults, name, "wrong_type");
    return fine;
}

static bool read_time(Reading *r, JsonToken token, const char *name, void **to) {
    Google__Protobuf__Timestamp *time;
    if (token != JSON_STRING) return wrong_type(r, token, name);
    if (!timestamp_read(r->json.text, r->arena, &time))
        end(r, name);
    else if (!time)
        field_fault(r->faults, name, "wrong_type");
    *to = time;
    return time;
}

/* --- messages --- */

static void read_members(Reading *r, ProtobufCMessage *message);

static bool read_part(Reading *r, const ProtobufCFieldDescriptor *f, JsonToken token, const char *name,
                      void **to) {
    const ProtobufCMessageDescriptor *type = f->descriptor;
    if (type == &google__protobuf__timestamp__descriptor) return read_time(r, token, name, to);
    if (token != JSON_OBJECT) return wrong_type(r, token, name);
    ProtobufCMessage *part = arena_alloc(r->arena, type->sizeof_message);
    if (!part) {
        end(r, name);
        return false;
    }
    type->message_init(part);
    read_members(r, part);
    *to = part;
    return !r->over;
}

/* One value that begins with token. False: nothing was stored (and why has been told). */
static bool read_value(Reading *r, const ProtobufCFieldDescriptor *f, JsonToken token, const char *name,
                       void *to) {
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        return token == JSON_STRING ? read_text(r, name, to) : wrong_type(r, token, name);
    case PROTOBUF_C_TYPE_BYTES:
        return token == JSON_STRING ? read_bytes(r, name, to) : wrong_type(r, token, name);
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)to = token == JSON_TRUE;
        return token == JSON_TRUE || token == JSON_FALSE || wrong_type(r, token, name);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_INT64: return read_number(r, f, token, name, to);
    case PROTOBUF_C_TYPE_ENUM: return read_enum(r, f, token, name, to);
    case PROTOBUF_C_TYPE_MESSAGE: return read_part(r, f, token, name, to);
    default: return wrong_type(r, token, name);
    }
}

/* Room for one more item behind the others: it doubles, so that the arena sees twice the items at most. */
static void *add_item(Reading *r, ProtobufCMessage *message, const ProtobufCFieldDescriptor *f) {
    size_t size = proto_json_size(f), *count = (size_t *)((char *)message + f->quantifier_offset);
    char **items = (char **)((char *)message + f->offset);
    if ((*count & (*count - 1)) == 0) {
        char *grown = arena_alloc(r->arena, (*count ? *count * 2 : 1) * size);
        if (!grown) return NULL;
        if (*count) memcpy(grown, *items, *count * size);
        *items = grown;
    }
    return *items + (*count)++ * size;
}

static void read_list(Reading *r, ProtobufCMessage *message, const ProtobufCFieldDescriptor *f,
                      const char *name) {
    while (!r->over) {
        JsonToken token = json_next(&r->json);
        if (token == JSON_ARRAY_END) return;
        void *item = token == JSON_ERROR ? NULL : add_item(r, message, f);
        if (!item)
            end(r, name);
        else
            read_value(r, f, token, name, item);
    }
}

static void read_field(Reading *r, ProtobufCMessage *message, const ProtobufCFieldDescriptor *f,
                       const char *name) {
    JsonToken token = json_next(&r->json);
    void *at = (char *)message + f->offset;
    if (token == JSON_NULL) return; /* as if it were not there */
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        if (token == JSON_ARRAY && !proto_json_is_map(f)) /* requests here have no maps */
            read_list(r, message, f, name);
        else
            wrong_type(r, token, name);
    } else if (read_value(r, f, token, name, at) && f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        *(uint32_t *)((char *)message + f->quantifier_offset) = f->id;
    }
}

/* By its JSON name, or by the one in the .proto file. */
static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *type, Span name) {
    char room[PROTO_NAME_MAX];
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &type->fields[i];
        if (span_is(name, f->name) || span_equal(name, proto_json_name(f->name, room))) return f;
    }
    return NULL;
}

static void read_member(Reading *r, ProtobufCMessage *message, uint64_t *seen) {
    const ProtobufCFieldDescriptor *f = find_field(message->descriptor, r->json.text);
    const char *name = arena_copy(r->arena, r->json.text);
    uint64_t bit = f ? UINT64_C(1) << (f - message->descriptor->fields) % 64 : 0;
    if (!name) {
        end(r, "");
        return;
    }
    if (!f && r->strict) field_fault(r->faults, name, "unknown_field");
    if (*seen & bit) field_fault(r->faults, name, "duplicate_field");
    if (f && !(*seen & bit))
        read_field(r, message, f, name);
    else
        pass_over(r, json_next(&r->json), name);
    *seen |= bit;
}

/* Behind JSON_OBJECT, up to the object's end. */
static void read_members(Reading *r, ProtobufCMessage *message) {
    uint64_t seen = 0;
    while (!r->over) {
        JsonToken token = json_next(&r->json);
        if (token == JSON_OBJECT_END) return;
        if (token == JSON_NAME)
            read_member(r, message, &seen);
        else
            end(r, "");
    }
}

ProtobufCMessage *proto_json_read(const ProtobufCMessageDescriptor *type, Span json, bool strict,
                                  Arena *arena, FieldFaults *faults) {
    Reading r = {.json = json_reader(json, arena), .arena = arena, .faults = faults, .strict = strict};
    ProtobufCMessage *message = arena_alloc(arena, type->sizeof_message);
    if (!message) {
        field_fault(faults, "", "too_large");
        return NULL;
    }
    type->message_init(message);
    JsonToken first = json_next(&r.json);
    if (first == JSON_OBJECT)
        read_members(&r, message);
    else
        wrong_type(&r, first, "");
    if (!r.over && json_next(&r.json) != JSON_END) end(&r, "");
    return faults->count ? NULL : message;
}
