/* h2_guard.c - how much a peer may ask for.
 *
 * The figures leave honest clients alone: a client that resets streams after it has read the answer (a
 * cancelled gRPC call, a closed tab) earns back with every answer that it lets us finish, and a download
 * earns the window updates that it causes. nghttp2's own limiter of incoming resets counts neither, and none
 * of the resets that a malformed frame makes the server itself send. */
#include "net/h2_guard.h"

static const struct {
    int32_t burst, per_second;
} RATES[H2_COSTS] = {
    [H2_COST_RESET] = {200, 20},
    [H2_COST_CONTROL] = {1000, 200},
    [H2_COST_WINDOW] = {10000, 1000},
};

void h2_guard_init(H2Guard *g, int64_t now_us) {
    for (int i = 0; i < H2_COSTS; i++) g->tokens[i] = RATES[i].burst;
    g->filled_us = now_us;
}

static int32_t at_most(int64_t tokens, int32_t burst) {
    return tokens > burst ? burst : (int32_t)tokens;
}

static void fill(H2Guard *g, int64_t now_us) {
    int64_t seconds = (now_us - g->filled_us) / 1000000;
    if (seconds <= 0) return;
    if (seconds > 3600) seconds = 3600;
    for (int i = 0; i < H2_COSTS; i++)
        g->tokens[i] = at_most(g->tokens[i] + seconds * RATES[i].per_second, RATES[i].burst);
    g->filled_us = now_us;
}

bool h2_guard_spend(H2Guard *g, H2Cost cost, int64_t now_us) {
    fill(g, now_us);
    if (g->tokens[cost] <= 0) return false;
    g->tokens[cost]--;
    return true;
}

void h2_guard_earn(H2Guard *g, H2Cost cost) {
    g->tokens[cost] = at_most((int64_t)g->tokens[cost] + 1, RATES[cost].burst);
}
