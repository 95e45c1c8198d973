#include "wire/proto_files.h"

static int compare(Span name, int number, const ProtoEntry *e) {
    size_t len = strlen(e->name), least = name.len < len ? name.len : len;
    int order = least ? memcmp(name.at, e->name, least) : 0;
    if (!order) order = (name.len > len) - (name.len < len);
    return order ? order : (number > e->number) - (number < e->number);
}

/* The first entry that is not below; behind the last one stands one with an empty name. */
static const ProtoEntry *find(const ProtoEntry *in, size_t count, Span name, int number) {
    size_t low = 0;
    while (low < count) {
        size_t middle = low + (count - low) / 2;
        if (compare(name, number, &in[middle]) > 0)
            low = middle + 1;
        else
            count = middle;
    }
    return &in[low];
}

const ProtoFile *proto_file(Span name) {
    for (size_t i = 0; i < PROTO_FILES_COUNT; i++)
        if (span_is(name, PROTO_FILES[i].name)) return &PROTO_FILES[i];
    return NULL;
}

static const ProtoFile *file_of(const ProtoEntry *e, Span name, int number) {
    return *e->name && span_is(name, e->name) && e->number == number ? &PROTO_FILES[e->file] : NULL;
}

const ProtoFile *proto_file_of_symbol(Span symbol) {
    return file_of(find(PROTO_SYMBOLS, PROTO_SYMBOLS_COUNT, symbol, 0), symbol, 0);
}

const ProtoFile *proto_file_of_extension(Span extended, int number) {
    return file_of(find(PROTO_EXTENSIONS, PROTO_EXTENSIONS_COUNT, extended, number), extended, number);
}

size_t proto_extensions(Span extended, int *to, size_t most) {
    size_t count = 0;
    const ProtoEntry *e = find(PROTO_EXTENSIONS, PROTO_EXTENSIONS_COUNT, extended, INT32_MIN);
    for (; *e->name && count < most && span_is(extended, e->name); e++) to[count++] = e->number;
    return count;
}
