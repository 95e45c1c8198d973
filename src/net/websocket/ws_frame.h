/* WebSocket messages out of a byte stream (RFC 6455 section 5, RFC 7692), and frames into bytes. No socket,
 * no clock.
 *
 * wslay parses the frames. Its context is 4 KiB, so a reader borrows one from a pool only while a frame is
 * incomplete: an idle connection holds none. */
#pragma once
#include "base/blob.h"
#include "base/buf.h"
#include "base/text.h"

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
    Buf message;          /* what there is of a message in pieces; as it came, also where it is compressed */
    Buf waiting;          /* bytes not looked at, because of `paused` */
    size_t message_limit; /* bytes, inflated */
    uint64_t frame_left;  /* payload of the frame in progress still to come */
    Utf8 utf8;            /* of the text in progress */
    uint8_t opcode;       /* of the message in progress, 0: none */
    uint8_t frame_opcode;
    bool in_frame, final;
    bool compressed; /* the message in progress */
    bool deflates;   /* messages may be compressed: set after ws_reader_init() */
    bool paused;     /* no message comes; may be set at any time, also from within on_message */
} WsReader;

/* Whole message (opcode text or binary), or a control frame. payload lives until the return; false ends the
 * feed: the reader may be gone. */
typedef bool WsOnMessage(void *user, int opcode, Span payload);

void ws_reader_init(WsReader *r, WsPool *pool, size_t message_limit);
void ws_reader_clear(WsReader *r);
/* 0, or the close code: 1002 protocol error, 1007 text that is not UTF-8 (said with the first byte that is
 * wrong) or data that cannot be inflated, 1009 above the limit, 1011 out of memory. With no bytes it goes on
 * with what waited. */
int ws_reader_feed(WsReader *r, Span bytes, WsOnMessage *on_message, void *user);

enum { WS_COMPRESSED = 0x40 }; /* or-ed to the opcode: RSV1 */
/* Header of an unmasked, final frame; returns its length. */
size_t ws_header(char out[WS_HEADER_MAX], int opcode, size_t payload_len);
/* The code of a received close frame; 1005 where it has none. *fault: 0, or the code to answer with where the
 * payload is malformed. */
int ws_close_parse(Span payload, int *fault);
