/* The .proto files themselves, as descriptors: what server reflection tells. */
#pragma once
#include "base/span.h"

typedef struct ProtoFile {
    const char *name;     /* "events/v1/services.proto" */
    Span descriptor;      /* a packed FileDescriptorProto */
    const uint8_t *needs; /* itself and all that it imports, directly or not, by their place in the table */
    size_t need_count;
} ProtoFile;

/* What codegen/ makes: files as protoc has them (what is imported first), entries sorted by name and number.
 */
typedef struct ProtoEntry {
    const char *name;
    int number; /* of an extension */
    unsigned file;
} ProtoEntry;
extern const ProtoFile PROTO_FILES[];
extern const ProtoEntry PROTO_SYMBOLS[], PROTO_EXTENSIONS[];
extern const size_t PROTO_FILES_COUNT, PROTO_SYMBOLS_COUNT, PROTO_EXTENSIONS_COUNT;

/* NULL where there is none. */
const ProtoFile *proto_file(Span name);
/* symbol: of a message, field, enum, value, service, call or extension:
 * "events.v1.ProspectQueries.GetProspect". */
const ProtoFile *proto_file_of_symbol(Span symbol);
const ProtoFile *proto_file_of_extension(Span extended, int number);
/* The numbers of the extensions of a message; 0 where the message has none. */
size_t proto_extensions(Span extended, int *to, size_t most);
