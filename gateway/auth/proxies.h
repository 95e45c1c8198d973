/* Who stands between us and the client (EVENTS_TRUSTED_PROXIES). Only a proxy of these networks is believed
 * when it says for whom it asks; everybody could write the same. Immutable, any thread. */
#pragma once
#include "base/auto.h"
#include "base/err.h"
#include "base/span.h"

typedef struct Proxies Proxies;
/* networks: "10.0.0.0/8, fd00::/8, 127.0.0.1", commas between; "" gives none. ERR_CONFIG. */
bool proxies_read(const char *networks, Proxies **ret, Err *err);
Proxies *proxies_free(Proxies *proxies);
AUTO_FREE(Proxies, proxies_free)

/* address: numeric, without port. */
bool proxies_trust(const Proxies *proxies, Span address);
/* The client's address for a request of the proxy `peer`: the last one of X-Forwarded-For that is not of a
 * proxy itself, without the port that some write behind it. What stands before it, the client may have made
 * up. */
Span proxies_client(const Proxies *proxies, Span peer, Span forwarded_for);
