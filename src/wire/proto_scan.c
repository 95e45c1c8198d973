/* proto_scan.c - the gate before protobuf-c's unpack.
 * Promise:   bytes that pass are well-formed for this schema: lengths inside their parent, wire types that
 *            fit, no groups, strings of valid UTF-8 without NUL (protobuf-c would hand out a cut string),
 *            bounded depth and a bounded number of unknown fields (it keeps a record of each).
 * Shape:     depth is counted in messages that the schema knows; unknown fields are measured, never opened,
 *            so hostile nesting costs nothing. */
#include "wire/proto_scan.h"

#include "base/text.h"

enum WireType { WIRE_VARINT, WIRE_64, WIRE_LENGTH, WIRE_GROUP, WIRE_GROUP_END, WIRE_32 };

typedef struct Scan {
    Arena *arena;
    FieldFaults *faults;
    unsigned depth, unknown;
    bool strict;
} Scan;

typedef struct Field {
    uint32_t number;
    enum WireType wire;
    Span value;  /* the content of a WIRE_LENGTH field; all of the others */
    Span record; /* from behind the tag to the field's end */
    Span before; /* what stands in front of its tag */
} Field;

bool proto_varint(Span bytes, size_t *at, uint64_t *ret) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && *at < bytes.len; shift += 7) {
        uint8_t byte = (uint8_t)bytes.at[(*at)++];
        if (shift < 64) value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte & 0x80) continue;
        *ret = value;
        return shift < 63 || byte <= 1;
    }
    return false;
}

void proto_write_varint(Buf *out, uint64_t value) {
    char bytes[10];
    size_t len = 0;
    for (; value >= 0x80; value >>= 7) bytes[len++] = (char)(value | 0x80);
    bytes[len++] = (char)value;
    buf_append(out, bytes, len);
}

static bool take(Span bytes, size_t *at, uint64_t len) {
    if (len > bytes.len - *at) return false;
    *at += (size_t)len;
    return true;
}

static bool read_field(Span bytes, size_t *at, Field *ret) {
    uint64_t tag, number;
    Span before = {bytes.at, *at};
    if (!proto_varint(bytes, at, &tag) || tag > UINT32_MAX || tag < 8) return false;
    *ret = (Field){.number = (uint32_t)(tag >> 3), .wire = (enum WireType)(tag & 7), .before = before};
    size_t record = *at, value = *at;
    bool ok = false;
    switch (ret->wire) {
    case WIRE_VARINT: ok = proto_varint(bytes, at, &number); break;
    case WIRE_64: ok = take(bytes, at, 8); break;
    case WIRE_32: ok = take(bytes, at, 4); break;
    case WIRE_LENGTH:
        ok = proto_varint(bytes, at, &number);
        value = *at;
        ok = ok && take(bytes, at, number);
        break;
    default: break; /* groups are no part of proto3 */
    }
    ret->value = (Span){bytes.at + value, *at - value};
    ret->record = (Span){bytes.at + record, *at - record};
    return ok;
}

static const char *member_name(const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *f) {
    const MessageType *type = message_type_of(d);
    for (size_t i = 0; type && i < type->field_count; i++)
        if (type->fields[i].number == f->id) return type->fields[i].json_name;
    return f->name;
}

static bool malformed(Scan *s) {
    return field_fault_only(s->faults, "", "invalid_encoding");
}

static enum WireType wire_of(ProtobufCType type) {
    switch (type) {
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT: return WIRE_32;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE: return WIRE_64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE: return WIRE_LENGTH;
    default: return WIRE_VARINT;
    }
}

/* The items of a packed repeated field fill it exactly. */
static bool packed_is_whole(Span value, enum WireType item) {
    if (item == WIRE_32) return value.len % 4 == 0;
    if (item == WIRE_64) return value.len % 8 == 0;
    uint64_t ignored;
    for (size_t at = 0; at < value.len;)
        if (!proto_varint(value, &at, &ignored)) return false;
    return true;
}

static bool scan_message(Scan *s, const ProtobufCMessageDescriptor *d, Span bytes);

static bool scan_string(Scan *s, Span value) {
    if (!text_is_utf8(value)) return malformed(s);
    if (value.len && memchr(value.at, 0, value.len)) field_fault(s->faults, "", "invalid_characters");
    return true;
}

/* How many of the same field come before it. */
static size_t item_index(const Field *field) {
    size_t count = 0;
    Field other;
    for (size_t at = 0; at < field->before.len && read_field(field->before, &at, &other);)
        count += other.number == field->number;
    return count;
}

/* A string or a message: what it tells is given the field's name. */
static bool scan_part(Scan *s, const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *f,
                      const Field *field) {
    FieldPart part = field_part_begins(s->faults, NULL, FIELD_SINGLE);
    bool is_string = f->type == PROTOBUF_C_TYPE_STRING;
    bool ok = is_string ? scan_string(s, field->value) : scan_message(s, f->descriptor, field->value);
    if (!field_part_is_good(s->faults)) {
        part.name = member_name(d, f);
        if (f->label == PROTOBUF_C_LABEL_REPEATED) part.index = item_index(field);
    }
    field_part_ends(s->faults, &part, s->arena);
    return ok;
}

static bool scan_known(Scan *s, const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *f,
                       const Field *field) {
    enum WireType want = wire_of(f->type);
    if (field->wire == want) {
        bool is_part = f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE;
        return !is_part || scan_part(s, d, f, field);
    }
    if (f->label == PROTOBUF_C_LABEL_REPEATED && field->wire == WIRE_LENGTH)
        return packed_is_whole(field->value, want) || malformed(s);
    field_fault(s->faults, member_name(d, f), "wrong_type");
    return true;
}

static bool scan_unknown(Scan *s, const Field *field) {
    if (++s->unknown > PROTO_UNKNOWN_MAX) return malformed(s);
    if (!s->strict) return true;
    const char *name = arena_printf(s->arena, "%u", field->number);
    if (!name) return field_fault_only(s->faults, "", "too_large");
    field_fault(s->faults, name, "unknown_field");
    return true;
}

static bool scan_message(Scan *s, const ProtobufCMessageDescriptor *d, Span bytes) {
    if (s->depth == PROTO_DEPTH_MAX) return field_fault_only(s->faults, "", "too_deep");
    s->depth++;
    for (size_t at = 0; at < bytes.len;) {
        Field field;
        if (!read_field(bytes, &at, &field)) return malformed(s);
        const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(d, field.number);
        if (f ? !scan_known(s, d, f, &field) : !scan_unknown(s, &field)) return false;
    }
    s->depth--;
    return true;
}

bool proto_scan(const ProtobufCMessageDescriptor *descriptor, Span bytes, bool strict, Arena *arena,
                FieldFaults *faults) {
    Scan scan = {.arena = arena, .faults = faults, .strict = strict};
    return scan_message(&scan, descriptor, bytes) && faults->count == 0;
}

void proto_write_unknown(const ProtobufCMessage *message, Buf *out) {
    for (unsigned i = 0; i < message->n_unknown_fields; i++) {
        const ProtobufCMessageUnknownField *f = &message->unknown_fields[i];
        proto_write_varint(out, (uint64_t)f->tag << 3 | (uint64_t)f->wire_type);
        buf_append(out, f->data, f->len); /* a length, where the field has one, is part of the data */
    }
}

static size_t count_fields(Span bytes) {
    size_t count = 0;
    Field field;
    for (size_t at = 0; at < bytes.len && read_field(bytes, &at, &field);) count++;
    return count;
}

bool proto_attach_unknown(ProtobufCMessage *message, Span bytes, Arena *arena) {
    FieldFaults faults = {0};
    if (!proto_scan(message->descriptor, bytes, false, arena, &faults)) return false;
    size_t count = count_fields(bytes);
    ProtobufCMessageUnknownField *fields = arena_alloc(arena, count * sizeof *fields);
    if (!fields) return false;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        Field field;
        if (!read_field(bytes, &at, &field)) return false;
        fields[i] = (ProtobufCMessageUnknownField){.tag = field.number,
                                                   .wire_type = (ProtobufCWireType)field.wire,
                                                   .len = field.record.len,
                                                   .data = (uint8_t *)field.record.at};
    }
    message->n_unknown_fields = (unsigned)count;
    message->unknown_fields = fields;
    return true;
}
