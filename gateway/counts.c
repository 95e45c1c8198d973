/* counts.c - times are counted in buckets that are at most a quarter of their value wide, so that adding one
 * is a shift and a plain store. Two windows of a minute take turns: the older one is emptied when the younger
 * is full, and percentiles are of both. A reader may meet a window that is being emptied: then it sees a call
 * less. */
#include "gateway/counts.h"

#include "base/auto.h"
#include "observe/metric.h"
#include <stdio.h>

enum { BUCKETS = 120, WINDOWS = 2, WINDOW_US = 60000000 };

struct LoopCounts {
    _Atomic int64_t tls, plain, streams, lagging, answers[STATUS_CLASSES];
    _Atomic int64_t window; /* number of the minute that the younger window is of */
    _Atomic int64_t took[WINDOWS][BUCKETS];
};

static LoopCounts loops[LOOPS_MAX];

static int64_t get(const _Atomic int64_t *at) {
    return atomic_load_explicit(at, memory_order_relaxed);
}

/* There is one writer, so no locked instruction is needed. */
static void put(_Atomic int64_t *at, int64_t value) {
    atomic_store_explicit(at, value, memory_order_relaxed);
}

static void show(size_t loop, const char *name, const char *label, const char *help,
                 const _Atomic int64_t *value) {
    char full[96];
    snprintf(full, sizeof full, "events_gateway_%s{loop=\"%zu\"%s}", name, loop, label);
    metric_gauge_at(full, help, value);
}

LoopCounts *loop_counts(size_t loop) {
    LoopCounts *c = &loops[loop];
    static const char HELP[] = "connections that are open";
    show(loop, "connections", ",port=\"tls\"", HELP, &c->tls);
    show(loop, "connections", ",port=\"plain\"", HELP, &c->plain);
    show(loop, "streams", "", "clients of the stream of events", &c->streams);
    char lagging[96];
    snprintf(lagging, sizeof lagging, "events_gateway_streams_lagging_total{loop=\"%zu\"}", loop);
    metric_counter_at(lagging, "times that what waited for a slow reader was dropped", &c->lagging);
    for (size_t i = 0; i < STATUS_CLASSES; i++) {
        char full[96];
        snprintf(full, sizeof full, "events_gateway_answers_total{loop=\"%zu\",class=\"%zuxx\"}", loop,
                 i + 1);
        metric_counter_at(full, "calls answered", &c->answers[i]);
    }
    return c;
}

_Atomic int64_t *counts_connections(LoopCounts *c, int tls) {
    return tls ? &c->tls : &c->plain;
}

void counts_streams(LoopCounts *c, int more) {
    put(&c->streams, get(&c->streams) + more);
}

void counts_lagging(LoopCounts *c) {
    put(&c->lagging, get(&c->lagging) + 1);
}

/* --- times --- */

/* 0 to 7 each for itself, then four to each doubling. */
static size_t bucket_of(int64_t us) {
    if (us < 8) return us < 0 ? 0 : (size_t)us;
    unsigned doublings = 63u - (unsigned)__builtin_clzll((unsigned long long)us) - 2;
    size_t bucket = (size_t)doublings * 4 + (size_t)(us >> doublings);
    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static int64_t bucket_end(size_t bucket) {
    if (bucket < 8) return (int64_t)bucket;
    unsigned doublings = (unsigned)(bucket / 4) - 1;
    return (((int64_t)(bucket % 4) + 4 + 1) << doublings) - 1;
}

/* Makes the present minute's window the younger one. */
static void turn(LoopCounts *c, int64_t minute) {
    int64_t behind = minute - get(&c->window);
    if (!behind) return;
    for (int64_t i = behind > 1 ? 0 : 1; i < WINDOWS; i++)
        for (size_t k = 0; k < BUCKETS; k++) put(&c->took[(minute + i + 1) % WINDOWS][k], 0);
    put(&c->window, minute);
}

void counts_answered(LoopCounts *c, int status, int64_t began_us, int64_t now_us) {
    int64_t minute = now_us / WINDOW_US;
    turn(c, minute);
    if (status >= 100 && status < 600) {
        _Atomic int64_t *answers = &c->answers[status / 100 - 1];
        put(answers, get(answers) + 1);
    }
    _Atomic int64_t *at = &c->took[minute % WINDOWS][bucket_of(now_us - began_us)];
    put(at, get(at) + 1);
}

static void add_times(const LoopCounts *c, int64_t minute, int64_t sum[BUCKETS]) {
    int64_t behind = minute - get(&c->window);
    for (int64_t w = 0; w < WINDOWS; w++) { /* window w ago, seen from the loop's last call */
        if (behind + w >= WINDOWS) continue;
        size_t at = (size_t)((minute - behind - w) % WINDOWS);
        for (size_t k = 0; k < BUCKETS; k++) sum[k] += get(&c->took[at][k]);
    }
}

/* The end of the bucket that holds the call at this share of all. */
static int64_t quantile(const int64_t sum[BUCKETS], int64_t calls, int percent) {
    int64_t rank = (calls * percent + 99) / 100, seen = 0;
    for (size_t k = 0; k < BUCKETS; k++) {
        seen += sum[k];
        if (calls && seen >= rank) return bucket_end(k);
    }
    return 0;
}

void counts_total(int64_t now_us, CountsTotal *ret) {
    int64_t sum[BUCKETS] = {0};
    *ret = (CountsTotal){0};
    for (size_t i = 0; i < LOOPS_MAX; i++) {
        const LoopCounts *c = &loops[i];
        ret->connections_tls += get(&c->tls);
        ret->connections_plain += get(&c->plain);
        ret->streams += get(&c->streams);
        for (size_t k = 0; k < STATUS_CLASSES; k++) ret->answers[k] += get(&c->answers[k]);
        add_times(c, now_us / WINDOW_US, sum);
    }
    for (size_t k = 0; k < BUCKETS; k++) ret->recent += sum[k];
    ret->p50_us = quantile(sum, ret->recent, 50);
    ret->p90_us = quantile(sum, ret->recent, 90);
    ret->p99_us = quantile(sum, ret->recent, 99);
}
