/* When a program takes away what is old: at its start, and after work at most once an hour (more often where
 * something is kept for less), so that an idle installation makes no query for it. Pure; times as given. */
#pragma once
#include "base/span.h"

enum { CLEANER_ROWS = 500, CLEANER_EVERY_S = 3600 }; /* rows: of one transaction */
#define CLEANER_NEVER   INT64_MAX
#define RETENTION_MAX_S (100LL * 366 * 86400) /* what EVENTS_..._RETENTION_SECONDS may be */

typedef struct Cleaner {
    int64_t every_us, due_us; /* due_us: CLEANER_NEVER until there has been work */
} Cleaner;

/* shortest_s: the shortest of the program's retentions. Due at once. */
static inline Cleaner cleaner_start(int64_t shortest_s, int64_t now_us) {
    int64_t every = shortest_s < CLEANER_EVERY_S ? shortest_s : CLEANER_EVERY_S;
    return (Cleaner){.every_us = every * 1000000, .due_us = now_us};
}
static inline void cleaner_worked(Cleaner *c, int64_t now_us) {
    if (c->due_us == CLEANER_NEVER) c->due_us = now_us + c->every_us;
}
/* It has been done, or has failed and is left for later. more: there was as much as may go at once. */
static inline void cleaner_done(Cleaner *c, bool more, bool failed, int64_t now_us) {
    c->due_us = more ? now_us : failed ? now_us + c->every_us : CLEANER_NEVER;
}
