/* h2_guard.c - how much a peer may ask for.
 *
 * The figures leave honest clients alone, because they earn back what they spend. A client that resets
 * streams after it has read the answer, or lets them live for a while (a cancelled gRPC call, a closed tab),
 * gets each reset back; a download earns the window updates that it causes, and the pings by which gRPC
 * measures the line. nghttp2's own limiter of incoming resets knows neither, and none of the resets that a
 * malformed frame makes the server itself send. */
#include "net/h2/h2_guard.h"

static const struct {
    int32_t burst, per_second;
    Defence defence;
} RATES[H2_COSTS] = {
    [H2_COST_RESET] = {200, 20, DEFENCE_RAPID_RESET},
    [H2_COST_MADE_RESET] = {50, 5, DEFENCE_MADE_RESET},
    [H2_COST_INVALID] = {50, 5, DEFENCE_INVALID_FRAMES},
    [H2_COST_REFUSED] = {1000, 100,
                         DEFENCE_REFUSED_STREAMS}, /* a burst may come before our SETTINGS are known */
    [H2_COST_SETTINGS] = {100, 10, DEFENCE_SETTINGS},
    [H2_COST_PING] = {200, 20, DEFENCE_PINGS},
    [H2_COST_EMPTY] = {200, 20, DEFENCE_EMPTY_FRAMES},
    [H2_COST_PRIORITY] = {1000, 100, DEFENCE_PRIORITIES},
    [H2_COST_WINDOW] = {10000, 1000, DEFENCE_WINDOW_UPDATES},
    [H2_COST_OTHER] = {500, 50, DEFENCE_OTHER_FRAMES},
};

Defence h2_guard_defence(H2Cost cost) {
    return RATES[cost].defence;
}

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
