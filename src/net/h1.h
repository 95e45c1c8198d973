/* HTTP/1.1 on a connection. */
#pragma once
#include "net/exchange.h"

/* An upgrade takes the connection over from here: the exchange is released, and what the peer has sent behind
 * the request comes to the new protocol's input(), later. False where the connection cannot be taken over. */
bool h1_upgrade(HttpExchange *x, const Protocol *protocol, void *state);
