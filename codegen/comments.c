/* comments.c - the comments of the .proto files, which say what a message or field means better than any
 * second text would. protoc hands them over by the path of numbers to what they stand beside: {4, message, 2,
 * field}, {6, service, 2, method}. */
#include "model.h"

enum { PATH_MESSAGES = 4, PATH_FIELDS = 2, PATH_SERVICES = 6, PATH_METHODS = 2 };

typedef Google__Protobuf__FileDescriptorProto FileProto;
typedef Google__Protobuf__SourceCodeInfo__Location Location;

/* Lines become one: every run of white space is a space. */
static void append_line(Buf *to, const char *comment) {
    bool space = to->len > 0;
    for (; comment && *comment; comment++) {
        if (strchr(" \n\t\r", *comment)) {
            space = to->len > 0;
            continue;
        }
        if (space) buf_byte(to, ' ');
        buf_byte(to, *comment);
        space = false;
    }
}

static const char *text_of(const Location *l, Arena *arena) {
    AUTO_BUF text = {0};
    append_line(&text, l->leading_comments);
    append_line(&text, l->trailing_comments);
    return must(arena_copy(arena, buf_view(&text)));
}

static Message *message_at(const Contract *c, const FileProto *file, int32_t index) {
    const char *full = must(arena_printf(c->arena, ".%s.%s", file->package, file->message_type[index]->name));
    return (Message *)(uintptr_t)contract_message(c, full);
}

static void place_in_service(const Contract *c, const FileProto *file, const Location *l) {
    const char *full = must(arena_printf(c->arena, "%s.%s", file->package, file->service[l->path[1]]->name));
    for (size_t i = 0; i < c->service_count; i++) {
        if (strcmp(c->services[i].full_name, full)) continue;
        if (l->n_path == 2)
            c->services[i].comment = text_of(l, c->arena);
        else
            c->services[i].methods[l->path[3]].comment = text_of(l, c->arena);
    }
}

static void place(const Contract *c, const FileProto *file, const Location *l) {
    bool of_message = l->n_path == 2 && l->path[0] == PATH_MESSAGES;
    bool of_field = l->n_path == 4 && l->path[0] == PATH_MESSAGES && l->path[2] == PATH_FIELDS;
    bool of_service =
        (l->n_path == 2 || (l->n_path == 4 && l->path[2] == PATH_METHODS)) && l->path[0] == PATH_SERVICES;
    if (of_service) place_in_service(c, file, l);
    if (!of_message && !of_field) return;
    Message *m = message_at(c, file, l->path[1]);
    if (!m) return; /* of a file that is not the contract */
    if (of_message)
        m->comment = text_of(l, c->arena);
    else
        m->fields[l->path[3]].comment = text_of(l, c->arena);
}

void contract_comments(const Google__Protobuf__Compiler__CodeGeneratorRequest *request, Contract *contract) {
    for (size_t i = 0; i < request->n_proto_file; i++) {
        const FileProto *file = request->proto_file[i];
        for (size_t k = 0; file->source_code_info && k < file->source_code_info->n_location; k++)
            place(contract, file, file->source_code_info->location[k]);
    }
}
