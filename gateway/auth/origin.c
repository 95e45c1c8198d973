#include "gateway/auth/origin.h"

bool origin_listed(Span origin, const char *allowed) {
    for (Span rest = span_of(allowed); rest.at && origin.len;) {
        Span one = span_trim(span_split(rest, ',', &rest));
        if (one.len && span_equal_nocase(one, origin)) return true;
    }
    return false;
}

bool origin_allowed(Span origin, const char *allowed, bool tls, Span authority) {
    if (!origin.at) return true;
    if (origin_listed(origin, allowed)) return true;
    Span scheme = tls ? SPAN("https://") : SPAN("http://");
    if (!span_starts(origin, scheme)) return false;
    Span host = {origin.at + scheme.len, origin.len - scheme.len};
    return host.len && span_equal_nocase(host, authority);
}
