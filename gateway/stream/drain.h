/* How a gateway that stops lets go of its streams: one after the other, evenly over a window, so that those
 * who come back do not come all at once. Pure; times are monotonic microseconds. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { DRAIN_EACH_US = 5000 };

typedef struct Drain {
    int64_t begun_us, window_us;
    size_t count; /* streams that were open when it began */
} Drain;

/* window_us: at most. Few streams need less of it, DRAIN_EACH_US each: nobody fears a herd of ten. */
static inline Drain drain_begin(size_t count, int64_t window_us, int64_t now_us) {
    int64_t enough_us = (int64_t)count * DRAIN_EACH_US;
    return (Drain){now_us, enough_us < window_us ? enough_us : window_us, count};
}

/* How many are to have been let go by now: the first at once, SIZE_MAX (and whoever came since) at the end. */
static inline size_t drain_due(const Drain *drain, int64_t now_us) {
    int64_t passed_us = now_us - drain->begun_us;
    if (passed_us >= drain->window_us) return SIZE_MAX;
    return 1 + (size_t)((double)drain->count * (double)passed_us / (double)drain->window_us);
}
