#include "grid/grid_breaker.h"

static int64_t longest_pause(unsigned failures) {
    int64_t most = BREAKER_FIRST_US;
    for (unsigned i = 0; i < failures && most < BREAKER_MOST_US; i++) most *= 2;
    return most < BREAKER_MOST_US ? most : BREAKER_MOST_US;
}

bool grid_breaker_failed(GridBreaker *b, const GridAnswer *answer, uint32_t random, int64_t now_us) {
    int64_t pause = BREAKER_FIRST_US / 10 + (int64_t)random % longest_pause(b->failures);
    if (answer->outcome == GRID_REFUSED) pause = BREAKER_REFUSED_US;
    if (pause < answer->retry_after_ms * 1000) pause = answer->retry_after_ms * 1000;
    b->retry_us = now_us + pause;
    if (++b->failures < BREAKER_OPENS || b->open) return false;
    return b->open = true;
}

void grid_breaker_up(GridBreaker *b, int64_t now_us) {
    if (b->retry_us > now_us) b->retry_us = now_us;
}

bool grid_breaker_passed(GridBreaker *b) {
    bool closes = b->open;
    b->failures = 0;
    b->open = false;
    return closes;
}
