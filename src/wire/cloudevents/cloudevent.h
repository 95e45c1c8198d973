/* The one place where events become CloudEvents 1.0 JSON and back (Event Grid's boundary). No I/O. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "events/v1/envelope.pb-c.h"

/* Appends one CloudEvent (structured mode, `data` the event's own JSON; sequence and watermark zero-padded to
 * 19). */
bool cloudevent_write(const Events__V1__Envelope *envelope, Buf *out, Err *err);

/* Calls each for every event of a request body: media type application/cloudevents+json, -batch+json, or
 * Event Grid's own schema (application/json, array). A bad event of a batch is given to bad() with its index,
 * its bytes as they stand in the body, and a reason, and the others go on. False (ERR_INVALID) where the body
 * as a whole cannot be read. Envelopes live in the arena. */
typedef struct CloudEventVisitor {
    void (*event)(void *user, Events__V1__Envelope *envelope);
    void (*bad)(void *user, size_t index, Span bytes, const char *reason);
    /* Event Grid schema: a SubscriptionValidationEvent; code lives in the arena. */
    void (*validation)(void *user, const char *code);
    void *user;
    size_t *unknown_members; /* may be NULL; counts members of data that this version does not know */
} CloudEventVisitor;
bool cloudevent_read(Span content_type, Span body, Arena *arena, const CloudEventVisitor *visitor, Err *err);

/* Binary mode: the header fields of the message by their lower-case names (at == NULL where absent). */
typedef struct CloudEventFields {
    Span (*get)(const void *of, const char *lower_name);
    const void *of;
} CloudEventFields;
/* Is it an event in binary mode? Ask for the media types of cloudevent_read() first: they win. */
bool cloudevent_is_binary(const CloudEventFields *fields);
/* As cloudevent_read(); the body, which must outlive the envelope, is the data. */
bool cloudevent_read_binary(const CloudEventFields *fields, Span body, Arena *arena,
                            const CloudEventVisitor *visitor, Err *err);
