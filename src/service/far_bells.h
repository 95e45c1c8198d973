/* The doorbells of programs on other machines (EVENTS_PEERS): rings become requests to their admin addresses.
 *
 * A thread for each peer sends what has gathered, the newest of what replaces each other, and repeats what
 * was not answered with back-off (100 ms to 30 s, full jitter) until it is. Where a name means several
 * addresses and some of them have answered, the others get a few tries: who is down looks when it starts. */
#pragma once
#include "base/auto.h"
#include "base/err.h"
#include "base/span.h"

typedef struct FarBells FarBells;
/* peers: "relay=host:port,gateway=host:port,..."; a name that resolves to several addresses means them all.
 * secret: what the others expect; of two the first. ERR_CONFIG where peers is not such a text. */
bool far_bells_open(const char *peers, const char *secret, FarBells **ret, Err *err);
FarBells *far_bells_free(FarBells *bells); /* ends calls in flight, joins the threads */
AUTO_FREE(FarBells, far_bells_free)
/* As doorbell_forward() wants it. Any thread; never waits for the network. */
bool far_bells_ring(void *bells, const char *program, const char *ring);
/* Waits until all that was rung has been heard; false where that takes longer. For who ends soon. */
bool far_bells_settle(FarBells *bells, int64_t ms);
