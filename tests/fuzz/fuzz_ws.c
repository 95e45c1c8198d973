/* WebSocket frames: the messages do not depend on how the bytes were cut. */
#include "fuzz.h"

#include "net/websocket/ws_frame.h"

enum { MESSAGE_LIMIT = 64 << 10 };

static bool on_message(void *user, int opcode, Span payload) {
    Buf *log = user;
    int code;
    PROMISE(payload.len <= MESSAGE_LIMIT, "no message above the limit");
    if (opcode == WS_CLOSE) ws_close_parse(payload, &code);
    buf_printf(log, "%d %zu ", opcode, payload.len);
    buf_span(log, payload);
    return opcode != WS_CLOSE;
}

static int feed(Span in, size_t step, Buf *log) {
    WsPool pool = {0};
    WsReader reader;
    int code = 0;
    ws_reader_init(&reader, &pool, MESSAGE_LIMIT);
    reader.deflates = in.len % 2; /* both ways, and the same for the same bytes */
    for (size_t at = 0; !code && at < in.len; at += step)
        code = ws_reader_feed(&reader, (Span){in.at + at, step < in.len - at ? step : in.len - at},
                              on_message, log);
    ws_reader_clear(&reader);
    ws_pool_clear(&pool);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_BUF whole = {0}, steps = {0};
    Span in = span_bytes(data, size);
    int code = feed(in, size ? size : 1, &whole);
    PROMISE(code == 0 || code == 1002 || code == 1007 || code == 1009 || code == 1011,
            "a close code of the table");
    feed(in, 1, &steps);
    Span shorter = whole.len < steps.len ? buf_view(&whole) : buf_view(&steps);
    Span longer = whole.len < steps.len ? buf_view(&steps) : buf_view(&whole);
    PROMISE(span_starts(longer, shorter), "messages do not depend on where the bytes were cut");
    return 0;
}
