/* reflection.c - grpc.reflection, v1 and v1alpha: two names for the same bytes, so one function answers both.
 * It tells what /docs tells, and needs no token. */
#include "gateway/rpc/call.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "wire/proto_files.h"

typedef Grpc__Reflection__V1__ServerReflectionRequest Asking;
typedef Grpc__Reflection__V1__ServerReflectionResponse Telling;

enum { ARENA_BYTES = 64 << 10, FILES_MAX = 64, EXTENSIONS_MAX = 64, SERVICES_MAX = 64 };

/* What the parts of a response point to. */
typedef struct Parts {
    Grpc__Reflection__V1__FileDescriptorResponse files;
    ProtobufCBinaryData bytes[FILES_MAX];
    Grpc__Reflection__V1__ExtensionNumberResponse numbers;
    int32_t number[EXTENSIONS_MAX];
    Grpc__Reflection__V1__ListServiceResponse services;
    Grpc__Reflection__V1__ServiceResponse service[SERVICES_MAX], *service_at[SERVICES_MAX];
    Grpc__Reflection__V1__ErrorResponse error;
} Parts;

#define CASE(name)  GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##name
#define ASKED(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##name

static void tell_error(RpcCode code, const char *message, Parts *p, Telling *r) {
    grpc__reflection__v1__error_response__init(&p->error);
    p->error.error_code = code;
    p->error.error_message = message_text(message);
    r->message_response_case = CASE(ERROR_RESPONSE);
    r->error_response = &p->error;
}

static void tell_file(const ProtoFile *file, Parts *p, Telling *r) {
    if (!file || file->need_count > FILES_MAX) {
        tell_error(RPC_NOT_FOUND, "there is no such file, symbol or extension", p, r);
        return;
    }
    grpc__reflection__v1__file_descriptor_response__init(&p->files);
    for (size_t i = 0; i < file->need_count; i++) {
        Span bytes = PROTO_FILES[file->needs[i]].descriptor;
        p->bytes[i] = (ProtobufCBinaryData){bytes.len, (uint8_t *)(uintptr_t)bytes.at};
    }
    p->files.n_file_descriptor_proto = file->need_count;
    p->files.file_descriptor_proto = p->bytes;
    r->message_response_case = CASE(FILE_DESCRIPTOR_RESPONSE);
    r->file_descriptor_response = &p->files;
}

static void tell_extensions(const char *type, Parts *p, Telling *r) {
    _Static_assert(sizeof(int) == sizeof(int32_t), "numbers are filled in place");
    if (!proto_file_of_symbol(span_of(type))) {
        tell_error(RPC_NOT_FOUND, "there is no such message", p, r);
        return;
    }
    grpc__reflection__v1__extension_number_response__init(&p->numbers);
    p->numbers.base_type_name = message_text(type);
    p->numbers.n_extension_number = proto_extensions(span_of(type), p->number, EXTENSIONS_MAX);
    p->numbers.extension_number = p->number;
    r->message_response_case = CASE(ALL_EXTENSION_NUMBERS_RESPONSE);
    r->all_extension_numbers_response = &p->numbers;
}

static void tell_services(Parts *p, Telling *r) {
    size_t count;
    const char *const *names = rpc_services(&count);
    grpc__reflection__v1__list_service_response__init(&p->services);
    for (size_t i = 0; i < count && i < SERVICES_MAX; i++) {
        grpc__reflection__v1__service_response__init(&p->service[i]);
        p->service[i].name = message_text(names[i]);
        p->service_at[p->services.n_service++] = &p->service[i];
    }
    p->services.service = p->service_at;
    r->message_response_case = CASE(LIST_SERVICES_RESPONSE);
    r->list_services_response = &p->services;
}

static void answer(Asking *q, Parts *p, Telling *r) {
    const Grpc__Reflection__V1__ExtensionRequest *e = q->file_containing_extension;
    switch (q->message_request_case) {
    case ASKED(FILE_BY_FILENAME): tell_file(proto_file(span_of(q->file_by_filename)), p, r); break;
    case ASKED(FILE_CONTAINING_SYMBOL):
        tell_file(proto_file_of_symbol(span_of(q->file_containing_symbol)), p, r);
        break;
    case ASKED(FILE_CONTAINING_EXTENSION):
        tell_file(proto_file_of_extension(span_of(e->containing_type), e->extension_number), p, r);
        break;
    case ASKED(ALL_EXTENSION_NUMBERS_OF_TYPE): tell_extensions(q->all_extension_numbers_of_type, p, r); break;
    case ASKED(LIST_SERVICES): tell_services(p, r); break;
    default: tell_error(RPC_INVALID_ARGUMENT, "nothing is asked", p, r); break;
    }
}

static void asked(Call *c, const GrpcMessage *m) {
    AUTO(Arena) arena = arena_new(ARENA_BYTES);
    RpcStatus s = {0};
    FieldFaults faults = {0};
    Asking *request = (Asking *)call_decode(c, m, false, arena, &s, &faults);
    if (!request) {
        call_end(c, &s);
        return;
    }
    Parts parts;
    Telling response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    response.valid_host = request->host;
    response.original_request = request;
    answer(request, &parts, &response);
    if (!call_write_message(c, &response.base))
        call_end_with(c, RPC_RESOURCE_EXHAUSTED, "read the answers before you ask on");
}

static void over(Call *c) {
    call_end_with(c, RPC_OK, NULL);
}

static void draining(Call *c) {
    call_end_with(c, RPC_UNAVAILABLE, "the server stops");
}

void on_grpc_reflection_v1_server_reflection_server_reflection_info(Call *c) {
    static const CallEvents EVENTS = {.message = asked, .over = over, .draining = draining};
    call_stream(c, &EVENTS, NULL);
}

void on_grpc_reflection_v1alpha_server_reflection_server_reflection_info(Call *c) {
    on_grpc_reflection_v1_server_reflection_server_reflection_info(c);
}
