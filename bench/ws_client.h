/* A blocking WebSocket client (RFC 6455) for measuring: one connection, one thread, binary messages in. */
#pragma once
#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"

typedef struct WsClient WsClient;

/* address: "host:port", a numeric host. token: for Authorization: Bearer. */
bool ws_client_open(const char *address, const char *path, const char *protocol, const char *token,
                    WsClient **ret, Err *err);
WsClient *ws_client_free(WsClient *ws);
AUTO_FREE(WsClient, ws_client_free)
bool ws_client_send(WsClient *ws, Span message, Err *err);
/* The next whole message, valid until the next call. It answers pings. False with err clear where none came
 * within wait_ms. */
bool ws_client_receive(WsClient *ws, int64_t wait_ms, Span *ret, Err *err);
