/* The envelope's stored bytes: packed once by the handler, completed by the relay, shared from then on. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "events/v1/envelope.pb-c.h"

/* Appends the fields sequence and watermark to packed envelope bytes (protobuf: the last one of a field
 * counts). */
void envelope_append_numbers(Buf *packed, int64_t sequence, int64_t watermark);
/* What routing needs of packed envelope bytes, without a full unpack. The spans point into the bytes; absent
 * texts have length 0. */
typedef struct EnvelopePeek {
    Span event_id, event_type, causation_id, subject, tenant_id, issued_by, traceparent, data;
    int64_t sequence, watermark, subject_version;
} EnvelopePeek;
/* False where the bytes are malformed. Texts are not checked for UTF-8: that is for bytes which were checked
 * when they came in. */
bool envelope_peek(Span bytes, EnvelopePeek *ret);
/* Safe unpack of one envelope; NULL where malformed. */
Events__V1__Envelope *envelope_unpack(Span bytes, Arena *arena);
/* The envelope as REST's JSON: eventId, eventType, ..., data as an object, sequence as a string. */
void envelope_to_json(const Events__V1__Envelope *envelope, Buf *out);
/* Microseconds of a protobuf timestamp, and back (static storage is not used: fills *to). */
int64_t timestamp_us(const Google__Protobuf__Timestamp *t);
Google__Protobuf__Timestamp *timestamp_new(Arena *arena, int64_t us);
/* Of RFC 3339, to the nanosecond; NULL where it is no such time. False out of memory. */
bool timestamp_read(Span text, Arena *arena, Google__Protobuf__Timestamp **ret);
