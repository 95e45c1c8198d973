/* WebSocket messages out of a byte stream (RFC 6455 section 5), and frames into bytes. No socket, no clock.
 *
 * wslay parses the frames. Its context is 4 KiB, so a reader borrows one from a pool only while a frame is
 * incomplete: an idle connection holds none. */
#pragma once
#include "base/blob.h"
#include "base/buf.h"

typedef struct WsParser WsParser;
typedef struct WsPool { /* zeroed: empty. One thread. */
    WsParser *spare;
    size_t count;
} WsPool;
void ws_pool_clear(WsPool *pool);

enum { WS_CONTINUATION = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };
enum { WS_CONTROL_MAX = 125, WS_HEADER_MAX = 10 };

typedef struct WsReader {
    WsPool *pool;
    WsParser *parser;     /* borrowed, or NULL */
    Buf message;          /* what there is of a message in pieces */
    size_t message_limit; /* bytes */
    uint64_t frame_left;  /* payload of the frame in progress still to come */
    uint8_t opcode;       /* of the message in progress, 0: none */
    bool in_frame, final;
    uint8_t frame_opcode;
} WsReader;

/* Whole message (opcode text or binary), or a control frame. payload lives until the return; false ends the
 * feed. */
typedef bool WsOnMessage(void *user, int opcode, Span payload);

void ws_reader_init(WsReader *r, WsPool *pool, size_t message_limit);
void ws_reader_clear(WsReader *r);
/* 0, or the close code: 1002 protocol error, 1007 text that is not UTF-8, 1009 above the limit, 1011 out of
 * memory. */
int ws_reader_feed(WsReader *r, Span bytes, WsOnMessage *on_message, void *user);

/* Header of an unmasked, final frame; returns its length. */
size_t ws_header(char out[WS_HEADER_MAX], int opcode, size_t payload_len);
/* What a received close frame says: false (protocol error) where the payload is malformed. No code gives
 * 1005. */
bool ws_close_parse(Span payload, int *code);
