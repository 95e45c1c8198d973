/* Budgets against a peer that makes work at no cost to itself (HTTP/2 rapid reset and its kin). Token
 * buckets; time comes from the caller. Pure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

typedef enum H2Cost {
    H2_COST_RESET,   /* a stream was reset, by either side: CVE-2023-44487, CVE-2025-8671 */
    H2_COST_CONTROL, /* PING, SETTINGS, PRIORITY, DATA without bytes */
    H2_COST_WINDOW,  /* WINDOW_UPDATE */
    H2_COSTS,
} H2Cost;

typedef struct H2Guard {
    int32_t tokens[H2_COSTS];
    int64_t filled_us;
} H2Guard;

void h2_guard_init(H2Guard *g, int64_t now_us);
bool h2_guard_spend(H2Guard *g, H2Cost cost, int64_t now_us); /* false: the budget is exceeded */
void h2_guard_earn(H2Guard *g, H2Cost cost);                  /* honest work was done: gives back one token */
