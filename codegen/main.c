/* protoc-gen-events - protoc's plugin: a CodeGeneratorRequest on stdin, a CodeGeneratorResponse on stdout.
 *
 *     protoc --plugin=protoc-gen-events=PATH --events_out=c:DIR -I proto -I /usr/include FILES
 *
 * The parameter before the colon names the emitters ("c", "ts", "docs", or several: "c,ts"). A contract that
 * breaks a rule of check.c makes no file at all: protoc prints the reason and fails. */
#include "emit.h"
#include "schema.h"

#include <stdio.h>

enum { INPUT_MAX = 64 << 20 };

typedef struct Output {
    const char *emitter, *name;
    void (*emit)(const Contract *contract, Buf *out);
} Output;

static const Output OUTPUTS[] = {
    {"c", "events/v1/contract.h", emit_header},
    {"c", "events/v1/contract_lists.h", emit_lists},
    {"c", "events/v1/contract_registry.c", emit_registry},
    {"c", "events/v1/contract_json.c", emit_json},
    {"c", "events/v1/contract_validate.c", emit_validate},
    {"c", "events/v1/contract_services.h", emit_services_header},
    {"c", "events/v1/contract_services.c", emit_services},
    {"c", "events/v1/contract_descriptors.c", emit_descriptors},
    {"ts", "forms.ts", emit_ts_forms},
    {"docs", "openapi.json", emit_openapi},
    {"docs", "asyncapi.json", emit_asyncapi},
    {"docs", "docs.html", emit_docs},
    {"docs", "schemas/CloudEvent.json", emit_schema_cloudevent},
    {"docs", "schemas/Envelope.json", emit_schema_envelope},
};

typedef Google__Protobuf__Compiler__CodeGeneratorRequest Request;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse Response;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse__File File;

static bool read_input(Buf *in) {
    in->limit = INPUT_MAX;
    for (;;) {
        char *to = buf_reserve(in, 1 << 16);
        if (!to) return false;
        size_t got = fread(to, 1, 1 << 16, stdin);
        in->len += got;
        if (!got) return !ferror(stdin);
    }
}

static bool is_emitter(Span word) {
    for (size_t i = 0; i < COUNT(OUTPUTS); i++)
        if (span_is(word, OUTPUTS[i].emitter)) return true;
    return false;
}

static bool parameter_is_known(const char *parameter, Err *err) {
    for (Span rest = span_of(parameter); rest.at;) {
        Span word = span_split(rest, ',', &rest);
        if (!is_emitter(word))
            return err_set(err, &ERR_INVALID,
                           "unknown emitter \"%.*s\": say --events_out=c:DIR, ts:DIR or docs:DIR",
                           SPAN_ARGS(word));
    }
    return true;
}

static void add_file(Response *response, Arena *arena, const char *name, const Buf *text) {
    if (text->failed) abort();
    File *file = must(arena_alloc(arena, sizeof *file));
    google__protobuf__compiler__code_generator_response__file__init(file);
    file->name = must(arena_copy(arena, span_of(name)));
    file->content = must(arena_copy(arena, buf_view(text)));
    response->file[response->n_file++] = file;
}

static void add_output(Response *response, const Output *output, const Contract *contract) {
    AUTO_BUF text = {0};
    output->emit(contract, &text);
    add_file(response, contract->arena, output->name, &text);
}

static void add_schemas(Response *response, const Contract *contract) {
    for (size_t i = 0; i < contract->message_count; i++) {
        const Message *m = &contract->messages[i];
        AUTO_BUF text = {0};
        if (!is_event(m) && !is_command(m)) continue;
        emit_json_schema(contract, m, &text);
        add_file(response, contract->arena, must(arena_printf(contract->arena, "schemas/%s.json", m->name)),
                 &text);
    }
}

static bool generate(const Request *request, Arena *arena, Response *response, Err *err) {
    Contract contract;
    const char *parameter = request->parameter ? request->parameter : "";
    if (!parameter_is_known(parameter, err) || !contract_read(request, arena, &contract, err) ||
        !contract_check(&contract, err))
        return false;
    response->file =
        must(arena_alloc(arena, (COUNT(OUTPUTS) + contract.message_count) * sizeof *response->file));
    for (size_t i = 0; i < COUNT(OUTPUTS); i++)
        if (name_listed(parameter, OUTPUTS[i].emitter)) add_output(response, &OUTPUTS[i], &contract);
    if (name_listed(parameter, "docs")) add_schemas(response, &contract);
    return true;
}

static bool write_response(const Response *response) {
    AUTO_BUF out = {.limit = INPUT_MAX};
    size_t size = google__protobuf__compiler__code_generator_response__get_packed_size(response);
    char *to = buf_reserve(&out, size);
    if (!to) return false;
    google__protobuf__compiler__code_generator_response__pack(response, (uint8_t *)to);
    return fwrite(to, 1, size, stdout) == size && fflush(stdout) == 0;
}

int main(void) {
    AUTO(Arena) arena = arena_new(INPUT_MAX * (size_t)4);
    AUTO_BUF in = {0};
    if (!read_input(&in)) return 1;
    Request *request = google__protobuf__compiler__code_generator_request__unpack(
        arena_protobuf(arena), in.len, (const uint8_t *)in.at);
    if (!request) {
        fputs("protoc-gen-events: this is started by protoc\n", stderr);
        return 1;
    }
    Response response = GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__INIT;
    Err err = {0};
    if (!generate(request, arena, &response, &err)) {
        response.n_file = 0;
        response.error = err.why;
    }
    return write_response(&response) ? 0 : 1;
}
