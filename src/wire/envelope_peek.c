/* envelope_peek.c - one walk over the tags: no memory, no look-up of descriptors. Field numbers are those of
 * envelope.proto; all of them are below 16, so what is found is put under its number without asking which it
 * is. As in protobuf, the last one of a field counts, which is how the relay's numbers get their way. */
#include "wire/envelope.h"
#include "wire/proto_scan.h"

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5, NUMBERS = 16 };

typedef struct Found {
    Span text[NUMBERS];
    uint64_t number[NUMBERS];
} Found;

/* Almost all are of one byte: tags, lengths below 128, small numbers. */
static inline bool varint(Span in, size_t *at, uint64_t *ret) {
    if (*at < in.len && (unsigned char)in.at[*at] < 0x80) {
        *ret = (unsigned char)in.at[(*at)++];
        return true;
    }
    return proto_varint(in, at, ret);
}

static inline bool pass(Span in, size_t *at, uint64_t len) {
    if (len > in.len - *at) return false;
    *at += (size_t)len;
    return true;
}

/* Numbers above 15 are a newer version's: they fall into place 0, which is nobody's. */
static inline size_t place(uint64_t tag) {
    uint64_t number = tag >> 3;
    return number < NUMBERS ? (size_t)number : 0;
}

/* The value behind a tag. */
static inline bool value(Found *found, uint64_t tag, Span in, size_t *at) {
    uint64_t number;
    switch (tag & 7) {
    case BYTES:
        if (!varint(in, at, &number) || !pass(in, at, number)) return false;
        found->text[place(tag)] = (Span){in.at + *at - number, (size_t)number};
        return true;
    case VARINT: return varint(in, at, &found->number[place(tag)]);
    case FIXED64: return pass(in, at, 8);
    case FIXED32: return pass(in, at, 4);
    default: return false; /* groups are no part of proto3 */
    }
}

bool envelope_peek(Span bytes, EnvelopePeek *ret) {
    Found found = {0};
    for (size_t at = 0; at < bytes.len;) {
        uint64_t tag;
        if (!varint(bytes, &at, &tag) || tag < 8 || tag > UINT32_MAX) return false;
        if (!value(&found, tag, bytes, &at)) return false;
    }
    *ret = (EnvelopePeek){.event_id = found.text[1],
                          .event_type = found.text[2],
                          .causation_id = found.text[7],
                          .subject = found.text[8],
                          .data = found.text[9],
                          .tenant_id = found.text[10],
                          .issued_by = found.text[15],
                          .traceparent = found.text[12],
                          .sequence = (int64_t)found.number[11],
                          .watermark = (int64_t)found.number[13],
                          .subject_version = (int64_t)found.number[14]};
    return true;
}
