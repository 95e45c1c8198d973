/* gRPC, gRPC-Web and Connect on the gateway's own ports: what the loops and the other parts of the gateway
 * need of it. Everything on the loop's thread. */
#pragma once
#include "gateway/feed/event.h"
#include "gateway/gateway.h"

typedef struct Call Call; /* call.h */

enum { RPC_MESSAGE = 4 << 20, RPC_BODY = 6 << 20 }; /* bytes: of one message; of a body, in base64 too */

/* The calls of one loop. */
Rpc *rpc_new(void);
Rpc *rpc_free(Rpc *rpc); /* after the loop has ended */

/* Is this exchange a call, or does it want to be one? By path and media type alone. */
bool rpc_concerns(const HttpExchange *x);
/* The head of a call is here: it is answered at once where nothing can come of it; else it becomes the
 * exchange's user (RouteMatch.call). */
void rpc_head(Worker *worker, HttpExchange *x);
void rpc_request(Call *call);            /* its body is here, too */
bool rpc_refuse(Call *call, int status); /* see HttpServerOptions.on_refuse */

/* An event has been released by the hub: somebody may wait for what its command has come to. */
void rpc_event(Worker *worker, Event *event);
/* The projection holds `position`; or the gateway has become ready, or is no longer. */
void rpc_held(Worker *worker, int64_t position);
void rpc_ready(Worker *worker);
void rpc_drain(Worker *worker); /* what would not end by itself is ended */
