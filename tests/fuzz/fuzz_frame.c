/* What a client sends over the WebSocket: one ClientFrame a message. */
#include "fuzz.h"

#include "gateway/stream/session_frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(Arena) arena = arena_new(1 << 20);
    Events__V1__ClientFrame *frame = NULL;
    FieldFaults faults = {0};
    FrameFault fault = frame_read(span_bytes(data, size), arena, &frame, &faults);
    PROMISE((fault == FRAME_UNDECODABLE) == (faults.count > 0), "what cannot be decoded is told, and nothing else");
    if (fault == FRAME_GOOD)
        PROMISE(frame && frame->frame_case != EVENTS__V1__CLIENT_FRAME__FRAME__NOT_SET,
                "a good frame holds something");
    return 0;
}
