/* model_services.c - the calls: an rpc whose request has a field `command` that is a command of the contract
 * is that command, whatever its name. */
#include "model.h"
#include "names.h"

typedef Google__Protobuf__FileDescriptorProto FileProto;
typedef Google__Protobuf__ServiceDescriptorProto ServiceProto;
typedef Google__Protobuf__MethodDescriptorProto MethodProto;

static const Field *command_of(const Message *request) {
    const Field *f = request ? message_field(request, SPAN("command")) : NULL;
    bool is = f && f->kind == KIND_MESSAGE && !f->repeated && f->message &&
              f->message->rules->kind == EVENTS__V1__MESSAGE_KIND__COMMAND;
    return is ? f : NULL;
}

static Method read_method(const Contract *c, const Service *s, const MethodProto *m) {
    const char *full = must(arena_printf(c->arena, ".%s.%s", s->full_name, m->name));
    const Message *request = contract_message(c, m->input_type);
    const Google__Protobuf__MethodOptions *o = m->options;
    return (Method){
        .name = m->name,
        .input = m->input_type,
        .output = m->output_type,
        .symbol = name_symbol(c->arena, full),
        .comment = "",
        .request = request,
        .command = command_of(request),
        .client_streaming = m->client_streaming,
        .server_streaming = m->server_streaming,
        .no_side_effects =
            o && o->idempotency_level == GOOGLE__PROTOBUF__METHOD_OPTIONS__IDEMPOTENCY_LEVEL__NO_SIDE_EFFECTS,
        .rules = contract_option(o ? &o->base : NULL, &events__v1__method_rules__descriptor, c->arena, NULL),
    };
}

static void read_service(Contract *c, const FileProto *file, const ServiceProto *s) {
    Service *to = &c->services[c->service_count++];
    *to = (Service){.name = s->name,
                    .full_name = must(arena_printf(c->arena, "%s.%s", file->package, s->name)),
                    .comment = "",
                    .foreign = contract_is_foreign(file->name),
                    .methods = must(arena_alloc(c->arena, (s->n_method + 1) * sizeof *to->methods)),
                    .method_count = s->n_method};
    for (size_t i = 0; i < s->n_method; i++) to->methods[i] = read_method(c, to, s->method[i]);
}

void contract_services(const Google__Protobuf__Compiler__CodeGeneratorRequest *request, Contract *c) {
    size_t count = 1;
    for (size_t i = 0; i < request->n_proto_file; i++) count += request->proto_file[i]->n_service;
    c->services = must(arena_alloc(c->arena, count * sizeof *c->services));
    for (size_t i = 0; i < request->n_proto_file; i++) {
        const FileProto *file = request->proto_file[i];
        if (!contract_wants(request, file->name)) continue;
        for (size_t k = 0; k < file->n_service; k++) read_service(c, file, file->service[k]);
    }
}
