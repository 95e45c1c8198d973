/* permessage-deflate (RFC 7692) without context takeover: each message is compressed for itself.
 *
 * Memory: one deflater (about 270 KiB) and one inflater (about 40 KiB) for each thread that has ever needed
 * one, and none for a connection: a compressed message is kept as it comes, within the bound of any message,
 * and inflated when it is whole. So an idle connection, and one in the middle of a message, costs what it
 * costs without the extension. */
#pragma once
#include "base/buf.h"

enum { WS_WINDOW_LEAST = 9, WS_WINDOW_MOST = 15 }; /* zlib cannot do 8 in raw streams */

/* What both sides have agreed upon. */
typedef struct WsDeflate {
    bool on;
    uint8_t window; /* bits, of what we send */
} WsDeflate;

/* Takes the first of the client's offers (Sec-WebSocket-Extensions, all lines as one list) that can be met;
 * an offer with a parameter that is unknown, repeated or malformed, or that cannot be met, is declined. */
WsDeflate ws_deflate_choose(Span offers);
enum { WS_DEFLATE_TEXT = 112 };
void ws_deflate_answer(const WsDeflate *terms, char out[WS_DEFLATE_TEXT]); /* the field's value */

/* A whole message. 0, or the close code: 1007 bad data, 1009 more than limit bytes, 1011 out of memory. */
int ws_inflate(Span in, size_t limit, Buf *out);
/* False where that would not make it shorter, or memory ends: send it as it is. */
bool ws_deflate(Span in, unsigned window, Buf *out);
