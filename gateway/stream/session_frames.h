/* The server's frames of stream.proto as bytes of the wire that they go to, and the client's decoded. No I/O.
 */
#pragma once
#include "base/arena.h"
#include "base/blob.h"
#include "events/v1/stream.pb-c.h"
#include "gateway/feed/event.h"
#include "wire/message.h"

/* Makes of a packed ServerFrame what stands on one kind of wire: a WebSocket's frame, one of gRPC, lines of
 * text. epoch: the log's, for wires that tell it with every position. NULL out of memory. */
typedef Blob *FrameMake(Span message, const char *epoch);
/* Who has the same form can share the bytes. */
typedef struct FrameForm {
    FrameMake *make;
    const char *epoch;
} FrameForm;

/* A ServerFrame with an EventBatch: the events' shared bytes with the position (and, for a subscription that
 * catches up, its id) behind them. NULL out of memory. */
typedef struct BatchParts {
    Event *const *events;
    size_t count;
    bool personal;
    int64_t position;
    const uint32_t *id; /* or NULL */
} BatchParts;
Blob *frame_batch(FrameForm form, const BatchParts *parts);

Blob *frame_welcome(FrameForm form, const char *connection_id, int64_t position, const char *epoch,
                    uint32_t heartbeat_seconds);
Blob *frame_subscribed(FrameForm form, uint32_t id, int64_t position, bool caught_up);
Blob *frame_resync(FrameForm form, uint32_t id, int64_t position, const char *reason);
Blob *frame_pong(FrameForm form, int64_t nonce);
Blob *frame_error(FrameForm form, uint32_t id, const char *code, const char *message);
Blob *frame_reconnect(FrameForm form, uint32_t retry_after_ms, const char *reason);

typedef enum FrameFault { FRAME_GOOD, FRAME_UNDECODABLE, FRAME_UNKNOWN } FrameFault;
/* In memory of the arena. FRAME_UNDECODABLE: faults says where. FRAME_UNKNOWN: no frame, one that we do not
 * know, or more than one. */
FrameFault frame_read(Span bytes, Arena *arena, Events__V1__ClientFrame **ret, FieldFaults *faults);
