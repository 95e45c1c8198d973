#include "grid/grid_breaker.h"

#include "kit/test.h"

#define S 1000000LL

/* what comes back, the random number, and how long the next request waits */
static const struct {
    GridOutcome outcome;
    int64_t retry_after_ms;
    uint32_t random;
    int64_t low_us, high_us;
    bool opens, open;
} STEPS[] = {
    {GRID_RETRY, 0, 0, 10000, 10000, false, false},
    {GRID_RETRY, 0, UINT32_MAX, 10000, 210000, false, false},
    {GRID_RETRY, 0, 399999, 409999, 409999, false, false},
    {GRID_RETRY, 2000, 0, 2 * S, 2 * S, false, false}, /* as the topic says */
    {GRID_RETRY, 0, UINT32_MAX, 10000, 1610000, true, true},
    {GRID_RETRY, 0, UINT32_MAX, 10000, 3210000, false, true}, /* it is open already */
    {GRID_PUBLISHED, 0, 0, 0, 0, false, false},
    {GRID_RETRY, 0, 99999, 109999, 109999, false, false}, /* from the beginning */
    {GRID_REFUSED, 0, 0, 60 * S, 60 * S, false, false},
    {GRID_REFUSED, 90000, 0, 90 * S, 90 * S, false, false},
    {GRID_RETRY, 0, 0, 10000, 10000, false, false},
    {GRID_RETRY, 0, 0, 10000, 10000, true, true},
};

static void it_opens_and_closes(void) {
    GridBreaker b = {0};
    for (size_t i = 0; i < COUNT(STEPS); i++) {
        GridAnswer answer = {.outcome = STEPS[i].outcome, .retry_after_ms = STEPS[i].retry_after_ms};
        if (STEPS[i].outcome == GRID_PUBLISHED) {
            CHECK(grid_breaker_passed(&b) && !grid_breaker_passed(&b));
        } else {
            CHECK(grid_breaker_failed(&b, &answer, STEPS[i].random, 1000 * S) == STEPS[i].opens);
            int64_t pause = b.retry_us - 1000 * S;
            CHECK(pause >= STEPS[i].low_us && pause <= STEPS[i].high_us);
        }
        CHECK(b.open == STEPS[i].open);
        CHECK(grid_breaker_most(&b, 700) == (STEPS[i].open ? 1 : 700));
    }
}

static void a_day_of_failures_is_few_requests(void) {
    GridBreaker b = {0};
    GridAnswer answer = {.outcome = GRID_RETRY};
    int64_t now = 0, requests = 0;
    for (uint32_t random = 1; now < 86400 * S; now = b.retry_us, requests++)
        grid_breaker_failed(&b, &answer, random = random * 1664525 + 1013904223, now);
    CHECK(requests > 2880 && requests < 20000); /* every 15 s on average */
    CHECK(b.retry_us - now <= BREAKER_MOST_US + BREAKER_FIRST_US);
}

/* Before that, and afterwards: a topic that has started is asked at once, but by no more than one event. */
static void a_topic_that_has_started_is_asked_at_once(void) {
    GridBreaker b = {0};
    GridAnswer answer = {.outcome = GRID_RETRY};
    grid_breaker_up(&b, 5 * S);
    CHECK(b.retry_us == 0);
    for (int i = 0; i < 12; i++) grid_breaker_failed(&b, &answer, 29999999, 10 * S);
    CHECK(b.open && b.retry_us == 10 * S + 29999999 + 10000);
    grid_breaker_up(&b, 11 * S);
    CHECK(b.open && b.retry_us == 11 * S && grid_breaker_most(&b, 700) == 1);
    grid_breaker_failed(&b, &answer, 29999999, 11 * S);
    CHECK(b.retry_us == 11 * S + 29999999 + 10000);
}

SUITE("grid breaker", TEST(a_topic_that_has_started_is_asked_at_once), TEST(it_opens_and_closes),
      TEST(a_day_of_failures_is_few_requests));
