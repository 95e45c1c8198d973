#include "gateway/stream/drain.h"
#include "kit/test.h"

#include "base/auto.h"

static const struct {
    size_t count;
    int64_t window_ms, takes_ms;
} CASES[] = {{0, 10000, 0},        {1, 10000, 5}, {300, 10000, 1500}, {2000, 10000, 10000},
             {9000, 10000, 10000}, {9000, 0, 0},  {3, 10, 10},        {100000, 14000, 14000}};

/* Every hundredth of the window sees its hundredth of the streams, and none is left at the end. */
static void evenly(void) {
    for (size_t i = 0; i < COUNT(CASES); i++) {
        const int64_t begun = 777;
        Drain d = drain_begin(CASES[i].count, CASES[i].window_ms * 1000, begun);
        CHECK(d.window_us == CASES[i].takes_ms * 1000);
        CHECK(drain_due(&d, begun + d.window_us) == SIZE_MAX);
        for (int64_t part = 0; part < 100 && d.window_us; part++) {
            size_t due = drain_due(&d, begun + d.window_us * part / 100), fair = d.count * (size_t)part / 100;
            CHECK(due >= fair && due <= fair + 1 + 1);
        }
    }
}

SUITE("drain", TEST(evenly));
