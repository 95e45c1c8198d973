#include "gateway/counts.h"
#include "kit/test.h"
#include "observe/metric.h"
#include <stdlib.h>

static const int64_t MINUTE = 60000000;

/* Minutes that no other test here uses. */
static int64_t fresh_minute(void) {
    static int64_t next = 1000;
    next += 10;
    return next * MINUTE;
}

static void percentiles(void) {
    LoopCounts *a = loop_counts(0), *b = loop_counts(1);
    CountsTotal t;
    int64_t now = fresh_minute();
    for (int64_t us = 1; us <= 1000; us++) counts_answered(us % 2 ? a : b, 200, now, now + us);
    counts_total(now + 1, &t);
    CHECK(t.recent == 1000);
    CHECK(t.p50_us >= 500 && t.p50_us <= 625);
    CHECK(t.p90_us >= 900 && t.p90_us <= 1125);
    CHECK(t.p99_us >= 990 && t.p99_us <= 1250);
    counts_answered(a, 200, now, now + (int64_t)3600 * 1000000); /* longer than any bucket says */
    counts_answered(a, 200, now + 5, now);                       /* a clock that went back */
    counts_total(now, &t);
    CHECK(t.p50_us >= 0);
}

/* What counts is the present minute and the one before it. */
static void windows(void) {
    static const struct {
        int64_t second, third, look; /* minutes after the first call; -1: no such call */
        int64_t recent;
    } CASES[] = {{-1, -1, 0, 1}, {-1, -1, 1, 1}, {-1, -1, 2, 0}, {0, -1, 0, 2}, {1, -1, 1, 2},
                 {2, -1, 2, 1},  {1, 2, 2, 2},   {5, -1, 6, 1},  {1, 1, 2, 2},  {1, 2, 4, 0}};
    for (size_t i = 0; i < COUNT(CASES); i++) {
        LoopCounts *c = loop_counts(2);
        CountsTotal t;
        int64_t now = fresh_minute();
        const int64_t at[] = {0, CASES[i].second, CASES[i].third};
        for (size_t k = 0; k < COUNT(at); k++)
            if (at[k] >= 0) counts_answered(c, 200, now + at[k] * MINUTE, now + at[k] * MINUTE + 3);
        counts_total(now + CASES[i].look * MINUTE, &t);
        if (t.recent != CASES[i].recent) printf("\n    case %zu: %lld", i, (long long)t.recent);
        CHECK(t.recent == CASES[i].recent);
        CHECK(t.p50_us == (t.recent ? 3 : 0));
    }
}

static void totals_and_metrics(void) {
    LoopCounts *c = loop_counts(3);
    CountsTotal before, after;
    int64_t now = fresh_minute();
    counts_total(now, &before);
    static const int STATUSES[] = {101, 200, 202, 304, 404, 503, 0, 999};
    for (size_t i = 0; i < COUNT(STATUSES); i++) counts_answered(c, STATUSES[i], now, now);
    counts_streams(c, 1), counts_streams(c, 1), counts_streams(c, -1);
    atomic_fetch_add(counts_connections(c, 1), 2);
    counts_total(now, &after);
    static const int64_t MORE[STATUS_CLASSES] = {1, 2, 1, 1, 1};
    for (size_t i = 0; i < STATUS_CLASSES; i++) CHECK(after.answers[i] - before.answers[i] == MORE[i]);
    CHECK(after.streams - before.streams == 1 && after.connections_tls - before.connections_tls == 2);
    AUTO_BUF text = {0};
    metrics_write(&text);
    buf_byte(&text, 0);
    CHECK(strstr(text.at, "\nevents_gateway_connections{loop=\"3\",port=\"tls\"} 2\n") != NULL);
    CHECK(strstr(text.at, "\nevents_gateway_answers_total{loop=\"3\",class=\"2xx\"} 2\n") != NULL);
    CHECK(strstr(text.at, "# TYPE events_gateway_streams gauge\n") != NULL);
}

SUITE("counts", TEST(percentiles), TEST(windows), TEST(totals_and_metrics));
