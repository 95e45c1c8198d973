/* Whether the topic is asked at all: a breaker that opens after failures in a row, lets a single small
 * request through at a time, with longer and longer pauses, and closes with the first success. Pure; times as
 * given. */
#pragma once
#include "grid/grid_publish.h"

enum {
    BREAKER_FIRST_US = 100000,
    BREAKER_MOST_US = 30000000,
    BREAKER_REFUSED_US = 60000000, /* a wrong key does not get right by hurry */
    BREAKER_OPENS = 5,             /* failures in a row */
};

typedef struct GridBreaker {
    unsigned failures; /* in a row */
    bool open;
    int64_t retry_us; /* no request before that */
} GridBreaker;

/* A request has failed: the next one waits, by full jitter (`random`: any number), at least as long as the
 * topic has asked for. True where that opens it. */
bool grid_breaker_failed(GridBreaker *breaker, const GridAnswer *answer, uint32_t random, int64_t now_us);
/* A request was answered well. True where that closes it. */
bool grid_breaker_passed(GridBreaker *breaker);
/* The topic says itself that it has started: the next request may go at once. It is as small as it would have been,
 * and should it fail the pauses go on from where they were. */
void grid_breaker_up(GridBreaker *breaker, int64_t now_us);
/* How many of `count` events the next request may have: an open breaker tries with one. */
static inline size_t grid_breaker_most(const GridBreaker *breaker, size_t count) {
    return breaker->open && count > 1 ? 1 : count;
}
