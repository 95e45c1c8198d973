/* contract_descriptors.c: the descriptors of all files, without their comments, and what can be asked for in
 * them: symbols and extensions, as the sorted tables that src/wire/proto_files.c searches. */
#include "emit.h"
#include <stdlib.h>

typedef Google__Protobuf__FileDescriptorProto FileProto;
typedef Google__Protobuf__DescriptorProto MessageProto;
typedef Google__Protobuf__EnumDescriptorProto EnumProto;
typedef Google__Protobuf__FieldDescriptorProto FieldProto;

typedef struct Entry {
    const char *name;
    int number; /* of an extension */
    size_t file;
} Entry;

typedef struct Entries {
    Arena *arena;
    size_t file;
    Entry *at;
    size_t count, size;
} Entries;

static void add(Entries *to, const char *name, int number) {
    if (to->count == to->size) {
        to->size = to->size ? to->size * 2 : 256;
        Entry *grown = must(arena_alloc(to->arena, to->size * sizeof *grown));
        if (to->count) memcpy(grown, to->at, to->count * sizeof *grown);
        to->at = grown;
    }
    to->at[to->count++] = (Entry){name, number, to->file};
}

static const char *add_symbol(Entries *to, const char *scope, const char *name) {
    const char *full = must(arena_printf(to->arena, "%s.%s", scope, name));
    add(to, full, 0);
    return full;
}

static void add_enum(Entries *to, const char *scope, const EnumProto *e) {
    add_symbol(to, scope, e->name);
    for (size_t i = 0; i < e->n_value; i++) add_symbol(to, scope, e->value[i]->name); /* beside, as in C++ */
}

static void add_message(Entries *to, const char *scope, const MessageProto *m) {
    const char *full = add_symbol(to, scope, m->name);
    for (size_t i = 0; i < m->n_field; i++) add_symbol(to, full, m->field[i]->name);
    for (size_t i = 0; i < m->n_enum_type; i++) add_enum(to, full, m->enum_type[i]);
    for (size_t i = 0; i < m->n_nested_type; i++) add_message(to, full, m->nested_type[i]);
}

static void add_file(Entries *to, const FileProto *file) {
    for (size_t i = 0; i < file->n_message_type; i++) add_message(to, file->package, file->message_type[i]);
    for (size_t i = 0; i < file->n_enum_type; i++) add_enum(to, file->package, file->enum_type[i]);
    for (size_t i = 0; i < file->n_extension; i++) add_symbol(to, file->package, file->extension[i]->name);
    for (size_t i = 0; i < file->n_service; i++) {
        const char *full = add_symbol(to, file->package, file->service[i]->name);
        for (size_t k = 0; k < file->service[i]->n_method; k++)
            add_symbol(to, full, file->service[i]->method[k]->name);
    }
}

static void add_extensions(Entries *to, const FileProto *file) {
    for (size_t i = 0; i < file->n_extension; i++)
        add(to, file->extension[i]->extendee + 1, file->extension[i]->number);
}

static int by_name(const void *a, const void *b) {
    const Entry *one = a, *other = b;
    int order = strcmp(one->name, other->name);
    return order ? order : (one->number > other->number) - (one->number < other->number);
}

/* --- files --- */

/* Without comments, as protoc leaves them out too. */
static void emit_bytes(FileProto *file, size_t place, Arena *arena, Buf *out) {
    Google__Protobuf__SourceCodeInfo *comments = file->source_code_info;
    file->source_code_info = NULL;
    size_t size = google__protobuf__file_descriptor_proto__get_packed_size(file);
    uint8_t *bytes = must(arena_alloc(arena, size + 1));
    google__protobuf__file_descriptor_proto__pack(file, bytes);
    file->source_code_info = comments;
    buf_printf(out, "static const uint8_t FILE_%zu[] = {", place);
    for (size_t i = 0; i < size; i++) buf_printf(out, "%s%u,", i % 24 ? "" : "\n    ", bytes[i]);
    buf_text(out, "\n};\n");
}

static size_t place_of(const Contract *c, const char *name) {
    size_t i = 0;
    while (strcmp(c->request->proto_file[i]->name, name)) i++; /* protoc sends what it has imported */
    return i;
}

static void mark_needs(const Contract *c, size_t place, bool *needed) {
    if (needed[place]) return;
    needed[place] = true;
    const FileProto *file = c->request->proto_file[place];
    for (size_t i = 0; i < file->n_dependency; i++) mark_needs(c, place_of(c, file->dependency[i]), needed);
}

/* The file itself comes first. */
static size_t emit_needs(const Contract *c, size_t place, Buf *out) {
    size_t files = c->request->n_proto_file, count = 1;
    bool *needed = must(arena_alloc(c->arena, files));
    mark_needs(c, place, needed);
    buf_printf(out, "static const uint8_t NEEDS_%zu[] = {%zu", place, place);
    for (size_t i = 0; i < files; i++)
        if (needed[i] && i != place) buf_printf(out, ", %zu", i), count++;
    buf_text(out, "};\n");
    return count;
}

static void emit_files(const Contract *c, Buf *out) {
    size_t *needs = must(arena_alloc(c->arena, (c->request->n_proto_file + 1) * sizeof *needs));
    for (size_t i = 0; i < c->request->n_proto_file; i++) {
        emit_bytes(c->request->proto_file[i], i, c->arena, out);
        needs[i] = emit_needs(c, i, out);
    }
    buf_text(out, "\nconst ProtoFile PROTO_FILES[] = {\n");
    for (size_t i = 0; i < c->request->n_proto_file; i++)
        buf_printf(out, "    {\"%s\", {(const char *)FILE_%zu, sizeof FILE_%zu}, NEEDS_%zu, %zu},\n",
                   c->request->proto_file[i]->name, i, i, i, needs[i]);
    buf_printf(out, "};\nconst size_t PROTO_FILES_COUNT = %zu;\n\n", c->request->n_proto_file);
}

/* --- tables --- */

static void emit_entries(const char *name, Entries *entries, Buf *out) {
    if (entries->count) qsort(entries->at, entries->count, sizeof *entries->at, by_name);
    buf_printf(out, "const ProtoEntry PROTO_%s[] = {\n", name);
    for (size_t i = 0; i < entries->count; i++)
        buf_printf(out, "    {\"%s\", %d, %zu},\n", entries->at[i].name, entries->at[i].number,
                   entries->at[i].file);
    buf_text(out, "    {\"\", 0, 0},\n};\n"); /* C has no empty arrays */
    buf_printf(out, "const size_t PROTO_%s_COUNT = %zu;\n\n", name, entries->count);
}

void emit_descriptors(const Contract *c, Buf *out) {
    Entries symbols = {.arena = c->arena}, extensions = {.arena = c->arena};
    for (size_t i = 0; i < c->request->n_proto_file; i++) {
        symbols.file = extensions.file = i;
        add_file(&symbols, c->request->proto_file[i]);
        add_extensions(&extensions, c->request->proto_file[i]);
    }
    buf_text(out, "/* Made by protoc-gen-events. */\n#include \"wire/proto_files.h\"\n\n");
    emit_files(c, out);
    emit_entries("SYMBOLS", &symbols, out);
    emit_entries("EXTENSIONS", &extensions, out);
}
