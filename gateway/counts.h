/* What one loop counts: written by its thread alone, read by anybody (GET /api/status, /metrics), from
 * memory. */
#pragma once
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { LOOPS_MAX = 64, STATUS_CLASSES = 5 };

typedef struct LoopCounts LoopCounts;
/* Of loop 0, 1, ...; shown at /metrics from the first call on, and never freed. */
LoopCounts *loop_counts(size_t loop);
_Atomic int64_t *counts_connections(LoopCounts *counts, int tls); /* for HttpServerOptions.connections */
void counts_streams(LoopCounts *counts, int more);                /* 1 or -1 */
void counts_lagging(LoopCounts *counts); /* what waited for a slow reader was dropped */
/* A call was answered; both times are the loop's own. */
void counts_answered(LoopCounts *counts, int status, int64_t began_us, int64_t now_us);

typedef struct CountsTotal {
    int64_t connections_tls, connections_plain, streams;
    int64_t answers[STATUS_CLASSES]; /* 1xx to 5xx, since the start */
    /* How long the calls of the last one to two minutes took, in microseconds, at most a quarter too much. A
     * call that is answered in the turn of the loop that read it counts 0. */
    int64_t recent, p50_us, p90_us, p99_us;
} CountsTotal;
void counts_total(int64_t now_us, CountsTotal *ret); /* of all loops */
