/* Budgets against a peer that makes work at no cost to itself (HTTP/2 rapid reset and its kin): one for each
 * kind of work, for each connection. Token buckets; time comes from the caller. Pure. */
#pragma once
#include "net/defence.h"

typedef enum H2Cost {
    H2_COST_RESET,      /* RST_STREAM by the peer */
    H2_COST_MADE_RESET, /* RST_STREAM by us, because of what the peer has sent */
    H2_COST_INVALID,    /* a frame that its stream does not allow */
    H2_COST_REFUSED,    /* a stream above the limit */
    H2_COST_SETTINGS,
    H2_COST_PING,
    H2_COST_EMPTY, /* DATA without bytes that does not end its stream */
    H2_COST_PRIORITY,
    H2_COST_WINDOW,
    H2_COST_OTHER, /* frames that mean nothing here */
    H2_COSTS,
} H2Cost;

typedef struct H2Guard {
    int32_t tokens[H2_COSTS];
    int64_t filled_us;
} H2Guard;

void h2_guard_init(H2Guard *g, int64_t now_us);
bool h2_guard_spend(H2Guard *g, H2Cost cost, int64_t now_us); /* false: the budget is exceeded */
void h2_guard_earn(H2Guard *g, H2Cost cost);                  /* honest work was done: gives back one token */
Defence h2_guard_defence(H2Cost cost);                        /* what its end is called */
