/* The calls of gRPC, found by path: what codegen/ makes from the services in proto/. */
#pragma once
#include "base/span.h"
#include <protobuf-c/protobuf-c.h>

typedef struct RpcMethod {
    const char *path;    /* "/events.v1.ProspectQueries/GetProspect" */
    const char *service; /* "events.v1.ProspectQueries" */
    const char *name;    /* "GetProspect" */
    const ProtobufCMessageDescriptor *request, *response;
    /* What the request's `command` is, and where it and `wait` stand in the request's struct. NULL: no
     * command. */
    const ProtobufCMessageDescriptor *command;
    size_t command_at, wait_at;
    int call;          /* CALL_... of contract_services.h; -1 of a command */
    const char *scope; /* what the token must allow; "": any valid token; NULL: no token is looked at */
    bool client_streaming, server_streaming;
    bool no_side_effects; /* Connect may GET it */
} RpcMethod;

const RpcMethod *rpc_method(Span path); /* NULL where there is none; constant time */
const RpcMethod *rpc_methods(size_t *count);
const char *const *rpc_services(size_t *count); /* their full names */
