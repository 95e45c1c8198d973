/* A session on a WebSocket: each ServerFrame is one binary message, and so is each ClientFrame. */
#pragma once
#include "gateway/stream/session.h"
#include "net/websocket.h"

/* For websocket_accept(); then session_open(session, &SOCKET_WIRE, ws). */
WebSocketEvents socket_events(Session *session);
extern const SessionWire SOCKET_WIRE;
Blob *socket_frame(Span message, const char *epoch); /* its form */
