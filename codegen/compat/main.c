/* contract-compat - may this contract be released after that one?
 *
 *     contract-compat RELEASED NOW
 *
 * Both are descriptor sets (protoc --include_imports --descriptor_set_out=FILE). Tells every fault at once,
 * one a line on stderr, and ends with 1; with 0 where there is none, 64 for bad usage, 69 where a set cannot
 * be read. */
#include "compat.h"

#include <stdio.h>

enum { INPUT_MAX = 64 << 20, BROKEN = 1, USAGE = 64, UNREADABLE = 69 };

static bool read_file(const char *path, Buf *out) {
    FILE *file = fopen(path, "rb");
    if (!file) return false;
    out->limit = INPUT_MAX;
    for (size_t got = 1; got && !out->failed;) {
        char *to = buf_reserve(out, 1 << 16);
        got = to ? fread(to, 1, 1 << 16, file) : 0;
        out->len += got;
    }
    bool good = !ferror(file) && !out->failed;
    fclose(file);
    return good;
}

/* A set of files is read as protoc would ask for them. */
static bool read_contract(const char *path, Arena *arena, FileSet **set, Contract *contract) {
    AUTO_BUF bytes = {0};
    Err err = {0};
    *set = NULL;
    if (read_file(path, &bytes) && bytes.len)
        *set = google__protobuf__file_descriptor_set__unpack(arena_protobuf(arena), bytes.len,
                                                             (const uint8_t *)bytes.at);
    if (!*set) {
        fprintf(stderr, "%s: is no descriptor set\n", path);
        return false;
    }
    Google__Protobuf__Compiler__CodeGeneratorRequest request =
        GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_REQUEST__INIT;
    request.n_proto_file = (*set)->n_file;
    request.proto_file = (*set)->file;
    if (contract_read(&request, arena, contract, &err)) return true;
    fprintf(stderr, "%s: %s\n", path, err.why);
    return false;
}

int main(int count, char **arguments) {
    AUTO(Arena) arena = arena_new(INPUT_MAX * (size_t)4);
    FileSet *released_files, *files;
    Contract released, now;
    if (count != 3) {
        fputs("usage: contract-compat RELEASED NOW\n", stderr);
        return USAGE;
    }
    if (!read_contract(arguments[1], arena, &released_files, &released) ||
        !read_contract(arguments[2], arena, &files, &now))
        return UNREADABLE;
    Findings findings = {0};
    compat_compare(&released, &now, &findings);
    compat_services(released_files, files, &findings);
    fwrite(findings.lines.at, 1, findings.lines.len, stderr);
    buf_free(&findings.lines);
    return findings.count ? BROKEN : 0;
}
