/* model.c - from protoc's descriptors to the contract.
 * Options of ours are extensions, and protobuf-c knows no extensions: it keeps them as unknown fields of the
 * options message, as bytes. All parts of one option are put together and unpacked as the option's own
 * message. */
#include "model.h"

#include "names.h"

enum { OPTION_NUMBER = 51000 };

typedef Google__Protobuf__FileDescriptorProto FileProto;
typedef Google__Protobuf__DescriptorProto MessageProto;
typedef Google__Protobuf__FieldDescriptorProto FieldProto;
typedef Google__Protobuf__EnumDescriptorProto EnumProto;

/* Without the length in front of it. */
static void append_payload(Buf *to, const ProtobufCMessageUnknownField *field) {
    size_t at = 0;
    while (at < field->len && field->data[at] & 0x80) at++;
    at++;
    if (at <= field->len) buf_append(to, field->data + at, field->len - at);
}

static bool option_bytes(const ProtobufCMessage *options, Buf *bytes) {
    bool found = false;
    for (unsigned i = 0; options && i < options->n_unknown_fields; i++) {
        const ProtobufCMessageUnknownField *field = &options->unknown_fields[i];
        if (field->tag != OPTION_NUMBER || field->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) continue;
        append_payload(bytes, field);
        found = true;
    }
    return found;
}

const void *contract_option(const ProtobufCMessage *options, const ProtobufCMessageDescriptor *type,
                            Arena *arena, bool *found) {
    AUTO_BUF bytes = {0};
    bool has = option_bytes(options, &bytes);
    if (found) *found = has;
    return must(protobuf_c_message_unpack(type, arena_protobuf(arena), bytes.len,
                                          (const uint8_t *)(bytes.at ? bytes.at : "")));
}

const Message *contract_message(const Contract *c, const char *full_name) {
    for (size_t i = 0; i < c->message_count; i++)
        if (strcmp(c->messages[i].full_name, full_name) == 0) return &c->messages[i];
    return NULL;
}

const Field *message_field(const Message *message, Span name) {
    for (size_t i = 0; i < message->field_count; i++)
        if (span_is(name, message->fields[i].name)) return &message->fields[i];
    return NULL;
}

static const Enum *find_enum(const Contract *c, const char *full_name) {
    for (size_t i = 0; i < c->enum_count; i++)
        if (strcmp(c->enums[i].full_name, full_name) == 0) return &c->enums[i];
    return NULL;
}

static FieldKind kind_of(const FieldProto *f) {
    switch (f->type) {
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_STRING: return KIND_TEXT;
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BYTES: return KIND_BYTES;
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BOOL: return KIND_BOOL;
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_INT32: return KIND_INT32;
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_UINT32: return KIND_UINT32;
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_INT64: return KIND_INT64;
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_ENUM: return KIND_ENUM;
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_MESSAGE:
        return strcmp(f->type_name, ".google.protobuf.Timestamp") == 0 ? KIND_TIMESTAMP : KIND_MESSAGE;
    default: return KIND_OTHER;
    }
}

static Field read_field(const Contract *c, const MessageProto *m, const FieldProto *f) {
    Field field = {.name = f->name,
                   .json_name = f->json_name,
                   .c_name = name_c_field(c->arena, f->name),
                   .comment = "",
                   .number = (unsigned)f->number,
                   .kind = kind_of(f),
                   .type = f->type,
                   .type_name = f->type_name ? f->type_name : "",
                   .oneof = f->has_oneof_index ? m->oneof_decl[f->oneof_index]->name : "",
                   .repeated = f->label == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REPEATED,
                   .in_oneof = f->has_oneof_index};
    field.rules = contract_option(f->options ? &f->options->base : NULL, &events__v1__field_rules__descriptor,
                                  c->arena, &field.has_rules);
    field.label = *field.rules->label ? field.rules->label : name_label(c->arena, f->name);
    field.widget = *field.rules->widget ? field.rules->widget : "text";
    if (field.kind == KIND_MESSAGE) field.message = contract_message(c, f->type_name);
    if (field.kind == KIND_ENUM) field.enumeration = find_enum(c, f->type_name);
    return field;
}

static void read_names(Contract *c, const FileProto *file, const MessageProto *m, bool wanted,
                       bool has_json) {
    const char *full = must(arena_printf(c->arena, ".%s.%s", file->package, m->name));
    c->messages[c->message_count++] = (Message){
        .name = m->name,
        .full_name = full,
        .c_type = name_c_type(c->arena, full),
        .c_prefix = name_c_prefix(c->arena, full),
        .symbol = name_symbol(c->arena, full),
        .file = file->name,
        .comment = "",
        .rules = contract_option(m->options ? &m->options->base : NULL,
                                 &events__v1__message_rules__descriptor, c->arena, NULL),
        .wanted = wanted,
        .has_json = has_json,
    };
}

static void read_fields(const Contract *c, Message *message, const MessageProto *m) {
    message->fields = must(arena_alloc(c->arena, (m->n_field + 1) * sizeof *message->fields));
    message->field_count = m->n_field;
    for (size_t i = 0; i < m->n_field; i++) message->fields[i] = read_field(c, m, m->field[i]);
}

static void read_enum(Contract *c, const FileProto *file, const EnumProto *e) {
    Enum *to = &c->enums[c->enum_count++];
    to->full_name = must(arena_printf(c->arena, ".%s.%s", file->package, e->name));
    to->symbol = name_snake(c->arena, e->name);
    to->value_count = e->n_value;
    to->values = must(arena_alloc(c->arena, (e->n_value + 1) * sizeof *to->values));
    for (size_t i = 0; i < e->n_value; i++)
        to->values[i] = (EnumValue){.name = e->value[i]->name,
                                    .json_name = name_enum_value(c->arena, e->name, e->value[i]->name),
                                    .number = e->value[i]->number};
}

typedef Google__Protobuf__Compiler__CodeGeneratorRequest Request;

bool contract_wants(const Request *request, const char *file) {
    for (size_t i = 0; i < request->n_file_to_generate; i++)
        if (strcmp(request->file_to_generate[i], file) == 0) return true;
    return false;
}

bool contract_is_foreign(const char *file) {
    return strncmp(file, "google/", 7) == 0 || strncmp(file, "grpc/", 5) == 0;
}

/* Nor is options.proto (it extends). */
static bool is_contract(const FileProto *file) {
    return file->n_extension == 0 && !contract_is_foreign(file->name);
}

static bool read_file(Contract *c, const Request *request, const FileProto *file, Err *err) {
    const Events__V1__FileRules *rules = contract_option(file->options ? &file->options->base : NULL,
                                                         &events__v1__file_rules__descriptor, c->arena, NULL);
    size_t first = c->message_count;
    for (size_t i = 0; i < file->n_enum_type; i++) read_enum(c, file, file->enum_type[i]);
    for (size_t i = 0; i < file->n_message_type; i++) {
        if (file->message_type[i]->n_nested_type || file->message_type[i]->n_enum_type)
            return err_set(err, &ERR_INVALID, "%s: types inside messages and maps are not supported",
                           file->message_type[i]->name);
        read_names(c, file, file->message_type[i], contract_wants(request, file->name), !rules->binary_only);
    }
    for (size_t i = 0; i < file->n_message_type; i++)
        read_fields(c, &c->messages[first + i], file->message_type[i]);
    return true;
}

bool contract_read(const Request *request, Arena *arena, Contract *ret, Err *err) {
    size_t messages = 1, enums = 1;
    for (size_t i = 0; i < request->n_proto_file; i++) {
        messages += request->proto_file[i]->n_message_type;
        enums += request->proto_file[i]->n_enum_type;
    }
    *ret = (Contract){.arena = arena,
                      .request = request,
                      .messages = must(arena_alloc(arena, messages * sizeof *ret->messages)),
                      .enums = must(arena_alloc(arena, enums * sizeof *ret->enums))};
    for (size_t i = 0; i < request->n_proto_file; i++) /* protoc sends a file after those that it imports */
        if (is_contract(request->proto_file[i]) && !read_file(ret, request, request->proto_file[i], err))
            return false;
    contract_services(request, ret);
    contract_comments(request, ret);
    return true;
}
