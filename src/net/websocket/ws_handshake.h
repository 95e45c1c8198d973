/* The handshake's inside, for websocket.c. */
#pragma once
#include "net/exchange.h"
#include "net/websocket/websocket.h"

enum { WS_ACCEPT_TEXT = 29 };
/* Sec-WebSocket-Accept for a key that websocket_wanted() has found valid. */
void ws_accept_key(Span key, char out[WS_ACCEPT_TEXT]);
