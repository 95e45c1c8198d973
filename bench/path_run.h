/* One phase of commands along the whole path: POST /api/prospects in, the event on a WebSocket out. */
#pragma once
#include "base/err.h"
#include "bench/figures.h"

typedef struct PathPlan {
    const char *url, *address, *token; /* "http://host:port", "host:port" */
    const char *name;                  /* of the phase; stands in the prospects' names */
    size_t commands;
    double rate; /* per second, an open loop; 0: all at once */
    int64_t patience_ms;
} PathPlan;

typedef struct PathResult {
    Figures path;          /* from the intended time of the POST to the event on the WebSocket */
    Figures accept;        /* to the 202 */
    double seconds;        /* from the first intended POST to the last event */
    double worst_stall_ms; /* the longest time in which something was under way and no event came */
    size_t lost, refused;  /* without an event; not answered with 202 */
} PathResult;

bool path_run(const PathPlan *plan, PathResult *ret, Err *err);
