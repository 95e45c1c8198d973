/* The live stream of one loop: what the hub has released goes to all sessions that want it. */
#pragma once
#include "gateway/stream/session.h"

void live_start(Sessions *sessions); /* before the loop runs */
void live_stop(Sessions *sessions);
