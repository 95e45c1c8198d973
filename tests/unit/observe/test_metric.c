#include "kit/test.h"
#include "observe/metric.h"

#include <pthread.h>

static void families_stay_together(void) {
    Metric *a = metric_counter("test_sent_total{to=\"a\"}", "Things sent.");
    Metric *depth = metric_gauge("test_depth", "Things waiting.");
    Metric *b = metric_counter("test_sent_total{to=\"b\"}", "Things sent.");
    metric_add(a, 3);
    metric_add(b, 4);
    metric_set(depth, -2);
    AUTO_BUF out = {0};
    metrics_write(&out);
    CHECK_SPAN(buf_view(&out), "# HELP test_sent_total Things sent.\n# TYPE test_sent_total counter\n"
                               "test_sent_total{to=\"a\"} 3\ntest_sent_total{to=\"b\"} 4\n"
                               "# HELP test_depth Things waiting.\n# TYPE test_depth gauge\ntest_depth -2\n");
}

static void same_name_same_metric(void) {
    Metric *a = metric_gauge("test_depth", "Things waiting.");
    CHECK(a == metric_gauge("test_depth", "Things waiting."));
    metric_set(a, 7);
    CHECK(metric_value(metric_gauge("test_depth", "")) == 7);
}

/* A counter of another room is read where it is. */
static void counter_elsewhere(void) {
    static _Atomic int64_t count;
    metric_counter_at("test_elsewhere_total", "Kept elsewhere.", &count);
    count = 5;
    AUTO_BUF out = {0};
    metrics_write(&out);
    const char *line = "\ntest_elsewhere_total 5\n";
    CHECK(memmem(out.at, out.len, line, strlen(line)) != NULL);
}

static void *add_many(void *metric) {
    for (int i = 0; i < 10000; i++) metric_add(metric, 1);
    return NULL;
}

static void threads_add_up(void) {
    Metric *m = metric_counter("test_threads_total", "Additions.");
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT(threads); i++) pthread_create(&threads[i], NULL, add_many, m);
    for (size_t i = 0; i < COUNT(threads); i++) pthread_join(threads[i], NULL);
    CHECK(metric_value(m) == 40000);
}

SUITE("metric", TEST(families_stay_together), TEST(same_name_same_metric), TEST(counter_elsewhere), TEST(threads_add_up));
