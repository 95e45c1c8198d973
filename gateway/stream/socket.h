/* A session on a WebSocket: each ServerFrame is one binary message, and so is each ClientFrame. */
#pragma once
#include "gateway/stream/session.h"
#include "net/websocket/websocket.h"

/* For websocket_accept(); then session_open(session, socket_wire(ws), ws). */
WebSocketEvents socket_events(Session *session);
/* Two forms: as it is, and compressed, which is done once for all clients that have agreed to it. */
const SessionWire *socket_wire(const WebSocket *ws);
Blob *socket_frame(Span message, const char *epoch); /* its form */
