/* Which browsers' pages may talk to us. Pure. */
#pragma once
#include "base/span.h"

/* origin: the Origin header, at == NULL where absent (then it is no browser, or its own page). allowed: the
 * setting, commas between; what always counts is the gateway's own: the scheme and authority that the request
 * was sent to. */
bool origin_allowed(Span origin, const char *allowed, bool tls, Span authority);
/* As above, but only by the list: for CORS, where our own origin needs no permission. */
bool origin_listed(Span origin, const char *allowed);
