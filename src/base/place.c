#include "base/place.h"

#include "base/auto.h"
#include "base/map.h"
#include <limits.h>
#include <stdio.h>

size_t place_name(const char *home, char out[PLACE_NAME]) {
    char host[65] = "", path[PATH_MAX];
    if (gethostname(host, sizeof host - 1)) *host = 0;
    const char *real = realpath(home, path);
    int len = snprintf(out, PLACE_NAME, "%.64s-%016llx", host,
                       (unsigned long long)hash_stable(span_of(real ? real : home)));
    return (size_t)len;
}
