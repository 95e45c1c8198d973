/* The calls and files that codegen/ has put into tables. */
#include "kit/test.h"

#include "events/v1/contract_services.h"
#include "events/v1/services.pb-c.h"
#include "grpc/health/v1/health.pb-c.h"
#include "wire/message.h"
#include "wire/proto_files.h"
#include "wire/rpc/rpc_method.h"
#include <google/protobuf/descriptor.pb-c.h>
#include <stdio.h>

static void every_call_is_found(void) {
    size_t count, services;
    const RpcMethod *all = rpc_methods(&count);
    CHECK(count >= 12);
    for (size_t i = 0; i < count; i++) CHECK(rpc_method(span_of(all[i].path)) == &all[i]);
    static const char *const ABSENT[] = {"",
                                         "/",
                                         "/events.v1.ProspectQueries",
                                         "/events.v1.ProspectQueries/",
                                         "/events.v1.ProspectQueries/getProspect",
                                         "/events.v1.ProspectQueries/GetProspect/",
                                         "events.v1.ProspectQueries/GetProspect",
                                         "/grpc.health.v1.Health/check"};
    for (size_t i = 0; i < COUNT(ABSENT); i++) CHECK(rpc_method(span_of(ABSENT[i])) == NULL);
    CHECK(rpc_method(SPAN_NONE) == NULL);
    const char *const *names = rpc_services(&services);
    CHECK(services == 7);
    for (size_t i = 0; i < services; i++) CHECK(proto_file_of_symbol(span_of(names[i])) != NULL);
}

static void calls_carry_their_options(void) {
    const RpcMethod *get = rpc_method(SPAN("/events.v1.ProspectQueries/GetProspect"));
    REQUIRE(get != NULL);
    CHECK_SPAN(span_of(get->service), "events.v1.ProspectQueries");
    CHECK_SPAN(span_of(get->name), "GetProspect");
    CHECK_SPAN(span_of(get->scope), "prospects:read");
    CHECK(get->no_side_effects && !get->server_streaming && !get->command);
    CHECK(get->call == CALL_events_v1_prospect_queries_get_prospect);
    const RpcMethod *subscribe = rpc_method(SPAN("/events.v1.EventStream/Subscribe"));
    CHECK(subscribe->server_streaming && !subscribe->client_streaming && !*subscribe->scope);
    const RpcMethod *check = rpc_method(SPAN("/grpc.health.v1.Health/Check"));
    CHECK(!check->scope && check->request == &grpc__health__v1__health_check_request__descriptor);
    CHECK(
        rpc_method(SPAN("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"))->client_streaming);
}

/* Whoever takes commands in knows none of their names. */
static void commands_are_told_by_their_requests(void) {
    size_t count, commands = 0;
    const RpcMethod *all = rpc_methods(&count);
    for (size_t i = 0; i < count; i++) {
        if (!all[i].command) continue;
        const ProtobufCFieldDescriptor *f =
            protobuf_c_message_descriptor_get_field_by_name(all[i].request, "command");
        CHECK(message_type_of(all[i].command)->kind == MESSAGE_COMMAND);
        CHECK(f->offset == all[i].command_at && f->descriptor == all[i].command);
        f = protobuf_c_message_descriptor_get_field_by_name(all[i].request, "wait");
        CHECK(f->offset == all[i].wait_at && f->type == PROTOBUF_C_TYPE_BOOL);
        CHECK(all[i].call == -1 && all[i].response == &events__v1__command_outcome__descriptor);
        commands++;
    }
    CHECK(commands >= 3);
}

static Google__Protobuf__FileDescriptorProto *unpack(const ProtoFile *file) {
    Google__Protobuf__FileDescriptorProto *f = google__protobuf__file_descriptor_proto__unpack(
        NULL, file->descriptor.len, (const uint8_t *)file->descriptor.at);
    REQUIRE(f != NULL);
    return f;
}

static void files(void) {
    for (size_t i = 0; i < PROTO_FILES_COUNT; i++) {
        const ProtoFile *file = &PROTO_FILES[i];
        Google__Protobuf__FileDescriptorProto *f = unpack(file);
        CHECK_SPAN(span_of(f->name), file->name);
        CHECK(!f->source_code_info);
        CHECK(proto_file(span_of(file->name)) == file);
        CHECK(file->need_count > 0 && &PROTO_FILES[file->needs[0]] == file);
        for (size_t d = 0; d < f->n_dependency; d++) {
            bool needed = false;
            for (size_t k = 1; k < file->need_count; k++)
                needed |= !strcmp(PROTO_FILES[file->needs[k]].name, f->dependency[d]);
            CHECK(needed);
        }
        google__protobuf__file_descriptor_proto__free_unpacked(f, NULL);
    }
    CHECK(proto_file(SPAN("events/v1/nothing.proto")) == NULL);
}

static void symbols(void) {
    static const char *const CASES[][2] = {
        {"events.v1.ProspectCommands", "events/v1/services.proto"},
        {"events.v1.ProspectCommands.CreateProspect", "events/v1/services.proto"},
        {"events.v1.CreateProspect", "events/v1/prospect.proto"},
        {"events.v1.CreateProspect.first_name", "events/v1/prospect.proto"},
        {"events.v1.CommandStatus", "events/v1/rest.proto"},
        {"events.v1.COMMAND_STATUS_PENDING", "events/v1/rest.proto"},
        {"events.v1.method", "events/v1/options.proto"},
        {"grpc.health.v1.HealthCheckResponse.ServingStatus", "grpc/health/v1/health.proto"},
        {"grpc.reflection.v1alpha.ServerReflection", "grpc/reflection/v1alpha/reflection.proto"},
        {"google.protobuf.Timestamp", "google/protobuf/timestamp.proto"},
        {"events.v1", NULL},
        {"events.v1.CreateProspec", NULL},
        {"zzz", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        const ProtoFile *file = proto_file_of_symbol(span_of(CASES[i][0]));
        CHECK(!file == !CASES[i][1]);
        if (file) CHECK_SPAN(span_of(file->name), CASES[i][1]);
    }
}

static void extensions(void) {
    int numbers[4];
    const ProtoFile *file = proto_file_of_extension(SPAN("google.protobuf.MethodOptions"), 51000);
    REQUIRE(file != NULL);
    CHECK_SPAN(span_of(file->name), "events/v1/options.proto");
    CHECK(proto_file_of_extension(SPAN("google.protobuf.MethodOptions"), 51001) == NULL);
    CHECK(proto_file_of_extension(SPAN("events.v1.Prospect"), 1) == NULL);
    CHECK(proto_file_of_extension(SPAN(""), 0) == NULL);
    CHECK(proto_extensions(SPAN("google.protobuf.FieldOptions"), numbers, COUNT(numbers)) == 1);
    CHECK(numbers[0] == 51000);
    CHECK(proto_extensions(SPAN("events.v1.Prospect"), numbers, COUNT(numbers)) == 0);
}

SUITE("rpc_methods", TEST(every_call_is_found), TEST(calls_carry_their_options),
      TEST(commands_are_told_by_their_requests), TEST(files), TEST(symbols), TEST(extensions));
