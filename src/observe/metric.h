/* Counters and gauges, shown at /metrics in Prometheus' text format. Made at start, never freed, any thread.
 * The same name again gives the same metric. A name may carry fixed labels, never personal data:
 * events_grid_delivered_total{subscription="gateway"}. */
#pragma once
#include "base/buf.h"

typedef struct Metric Metric;
Metric *metric_counter(const char *name, const char *help); /* name: events_relay_published_total */
Metric *metric_gauge(const char *name, const char *help);
/* Kept elsewhere, by a room below this one or by a thread of its own; value has to live as long as the
 * process. */
void metric_counter_at(const char *name, const char *help, const _Atomic int64_t *value);
void metric_gauge_at(const char *name, const char *help, const _Atomic int64_t *value);
void metric_add(Metric *metric, int64_t amount);
void metric_set(Metric *metric, int64_t value);
int64_t metric_value(const Metric *metric);
void metrics_write(Buf *out);
