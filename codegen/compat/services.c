/* The calls of gRPC. */
#include "compat.h"

typedef Google__Protobuf__ServiceDescriptorProto ServiceProto;
typedef Google__Protobuf__MethodDescriptorProto MethodProto;

static bool is_own(const Google__Protobuf__FileDescriptorProto *file) {
    return strncmp(file->name, "google/", 7) != 0;
}

static const ServiceProto *find_service(const FileSet *set, const char *package, const char *name) {
    for (size_t i = 0; i < set->n_file; i++)
        for (size_t k = 0; k < set->file[i]->n_service; k++)
            if (strcmp(set->file[i]->package, package) == 0 &&
                strcmp(set->file[i]->service[k]->name, name) == 0)
                return set->file[i]->service[k];
    return NULL;
}

static const MethodProto *find_method(const ServiceProto *s, const char *name) {
    for (size_t i = 0; i < s->n_method; i++)
        if (strcmp(s->method[i]->name, name) == 0) return s->method[i];
    return NULL;
}

static void compare_method(const ServiceProto *s, const MethodProto *was, const MethodProto *is,
                           Findings *f) {
    if (strcmp(was->input_type, is->input_type) != 0)
        finding(f, RULE_RPC_TYPE, "%s.%s: took %s, takes %s", s->name, was->name, was->input_type,
                is->input_type);
    if (strcmp(was->output_type, is->output_type) != 0)
        finding(f, RULE_RPC_TYPE, "%s.%s: returned %s, returns %s", s->name, was->name, was->output_type,
                is->output_type);
    if (was->client_streaming != is->client_streaming || was->server_streaming != is->server_streaming)
        finding(f, RULE_RPC_TYPE, "%s.%s: its streams have changed", s->name, was->name);
}

static void compare_service(const char *package, const ServiceProto *was, const ServiceProto *is,
                            Findings *f) {
    if (!is) {
        finding(f, RULE_SERVICE_REMOVED, "%s.%s: is gone", package, was->name);
        return;
    }
    for (size_t i = 0; i < was->n_method; i++) {
        const MethodProto *now = find_method(is, was->method[i]->name);
        if (now)
            compare_method(was, was->method[i], now, f);
        else
            finding(f, RULE_RPC_REMOVED, "%s.%s: is gone", was->name, was->method[i]->name);
    }
}

void compat_services(const FileSet *released, const FileSet *now, Findings *f) {
    for (size_t i = 0; i < released->n_file; i++) {
        const Google__Protobuf__FileDescriptorProto *file = released->file[i];
        for (size_t k = 0; is_own(file) && k < file->n_service; k++)
            compare_service(file->package, file->service[k],
                            find_service(now, file->package, file->service[k]->name), f);
    }
}
