/* What bench-codec measures: one message of each kind, ready to be encoded and decoded, and the calls. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "events/v1/envelope.pb-c.h"
#include "events/v1/prospect.pb-c.h"

typedef struct Sample {
    Arena *arena;   /* of the sample itself */
    Arena *scratch; /* reused by every call */
    Buf out;        /* reused by every call */
    Events__V1__ProspectCreated created;
    Events__V1__CreateProspect create;
    Events__V1__Envelope envelope;
    Google__Protobuf__Timestamp occurred_at;
    Span envelope_bytes, created_bytes, created_json, create_json, cloudevent;
} Sample;

typedef struct CodecCall {
    const char *name, *title;
    bool (*run)(Sample *s); /* false: something is wrong, and the figures would be worthless */
} CodecCall;

/* Ours and, for comparison, what others take for the same bytes. */
extern const CodecCall CODEC_CALLS[];
extern const size_t CODEC_CALL_COUNT;

bool jansson_encode(Sample *s);
bool jansson_decode(Sample *s);

void sample_init(Sample *s);
void sample_clear(Sample *s);
