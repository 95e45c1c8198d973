/* Metrics are made at start and read seldom, so they stand in one list under a lock; counting is one atomic
 * add. A name may carry labels ("events_grid_delivered_total{subscription=\"gateway\"}"): all metrics of one
 * family follow each other in the list, as the text format (version 0.0.4) demands, below a single HELP and
 * TYPE. */
#include "observe/metric.h"

#include <pthread.h>
#include <stdatomic.h>

struct Metric {
    char *name, *help;
    size_t family; /* length of the name without labels */
    const char *type;
    _Atomic int64_t value;
    const _Atomic int64_t *elsewhere; /* NULL: `value` counts */
    Metric *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Metric *metrics; /* never freed: a static pointer keeps them reachable */

static bool same_family(const Metric *a, const Metric *b) {
    return a->family == b->family && !memcmp(a->name, b->name, a->family);
}

static Metric *metric_new(const char *name, const char *help, const char *type) {
    Metric *m = must(calloc(1, sizeof *m));
    m->name = must(strdup(name));
    m->help = must(strdup(help));
    m->family = strcspn(name, "{");
    m->type = type;
    return m;
}

static void free_metric(Metric *m) {
    free(m->name);
    free(m->help);
    free(m);
}

/* The present metric of that name, or m itself behind the last one of its family. */
static Metric *insert(Metric *m) {
    Metric **at = &metrics, **behind = NULL;
    for (; *at; at = &(*at)->next) {
        if (!strcmp((*at)->name, m->name)) {
            free_metric(m);
            return *at;
        }
        if (same_family(*at, m)) behind = &(*at)->next;
    }
    if (!behind) behind = at;
    m->next = *behind;
    *behind = m;
    return m;
}

static Metric *metric_add_new(const char *name, const char *help, const char *type) {
    Metric *m = metric_new(name, help, type);
    pthread_mutex_lock(&lock);
    m = insert(m);
    pthread_mutex_unlock(&lock);
    return m;
}

Metric *metric_counter(const char *name, const char *help) {
    return metric_add_new(name, help, "counter");
}
Metric *metric_gauge(const char *name, const char *help) {
    return metric_add_new(name, help, "gauge");
}

static void show(const char *name, const char *help, const char *type, const _Atomic int64_t *value) {
    Metric *m = metric_new(name, help, type);
    m->elsewhere = value;
    pthread_mutex_lock(&lock);
    insert(m);
    pthread_mutex_unlock(&lock);
}

void metric_counter_at(const char *name, const char *help, const _Atomic int64_t *value) {
    show(name, help, "counter", value);
}
void metric_gauge_at(const char *name, const char *help, const _Atomic int64_t *value) {
    show(name, help, "gauge", value);
}

void metric_add(Metric *m, int64_t amount) {
    atomic_fetch_add_explicit(&m->value, amount, memory_order_relaxed);
}
void metric_set(Metric *m, int64_t value) {
    atomic_store_explicit(&m->value, value, memory_order_relaxed);
}
int64_t metric_value(const Metric *m) {
    return atomic_load_explicit(m->elsewhere ? m->elsewhere : &m->value, memory_order_relaxed);
}

void metrics_write(Buf *out) {
    pthread_mutex_lock(&lock);
    const Metric *before = NULL;
    for (const Metric *m = metrics; m; before = m, m = m->next) {
        if (!before || !same_family(before, m))
            buf_printf(out, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)m->family, m->name, m->help,
                       (int)m->family, m->name, m->type);
        buf_printf(out, "%s %lld\n", m->name, (long long)metric_value(m));
    }
    pthread_mutex_unlock(&lock);
}
