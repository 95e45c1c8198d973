/* otlp.c - the thread that carries spans away.
 *
 * Memory:   the queue, one batch and its bytes. A batch that cannot be sent is kept while its tries last, and
 *           meanwhile the queue fills and drops: tracing may lose, it may not hold anything up.
 * Tries:    what may pass (429, 502, 503, 504, silence) is tried again, at least Retry-After later; all else
 * is lost at once. The tries of a batch together last about a minute, or as long as the collector asked for.
 * The end:  what waits is sent without pauses, until it is all gone or the time is over. */
#include "observe/otlp.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/uuid.h"
#include "observe/metric.h"
#include <pthread.h>
#include <stdatomic.h>

enum {
    QUEUE = 2048,
    BATCH = 256,
    GATHER_MS = 1000,
    RETRY_MS = 500,
    RETRY_MOST_MS = 30000,
    TRIES = 8,
    CLOSE_STEP_MS = 2
};

struct Otlp {
    OtlpOptions options;
    Buf resource, body;
    TraceSpan *batch;
    pthread_t thread;
    atomic_bool ended;
    Metric *exported, *dropped;
};

static int64_t pause_ms(const Otlp *o, unsigned tries, int64_t retry_after_ms) {
    int64_t most = o->options.retry_ms;
    for (unsigned i = 1; i < tries && most < RETRY_MOST_MS; i++) most *= 2;
    if (most > RETRY_MOST_MS) most = RETRY_MOST_MS;
    uint32_t random;
    random_bytes(&random, sizeof random);
    int64_t ms = most / 2 + random % (most / 2 + 1);
    return ms < retry_after_ms ? retry_after_ms : ms;
}

/* True where the collector has answered well; what it rejects of it for good is counted as lost. */
static bool send_body(Otlp *o, size_t count) {
    bool last = false;
    for (unsigned tries = 1;; tries++) {
        OtlpReply reply = o->options.send(o->options.user, buf_view(&o->body));
        OtlpVerdict verdict = otlp_verdict(reply.status);
        if (verdict == OTLP_DONE) {
            uint64_t rejected = otlp_rejected_spans(reply.body);
            if (rejected > count) rejected = count;
            metric_add(o->exported, (int64_t)(count - rejected));
            metric_add(o->dropped, (int64_t)rejected);
            return true;
        }
        if (!(tries & (tries - 1)))
            log_warn("traces not exported", LOG_INT("status", reply.status), LOG_INT("tries", tries));
        if (verdict == OTLP_LOST || tries == TRIES || last) return false;
        last = trace_wait(pause_ms(o, tries, reply.retry_after_ms));
    }
}

static void *export_thread(void *user) {
    Otlp *o = user;
    for (size_t count; (count = trace_take(o->batch, o->options.batch, o->options.gather_ms));) {
        buf_clear(&o->body);
        otlp_write_request(buf_view(&o->resource), o->batch, count, &o->body);
        if (o->body.failed || !send_body(o, count)) metric_add(o->dropped, (int64_t)count);
    }
    atomic_store(&o->ended, true);
    return NULL;
}

static void fill_defaults(OtlpOptions *o) {
    if (!o->queue) o->queue = QUEUE;
    if (!o->batch) o->batch = BATCH;
    if (!o->gather_ms) o->gather_ms = GATHER_MS;
    if (!o->retry_ms) o->retry_ms = RETRY_MS;
}

static Otlp *otlp_free(Otlp *o) {
    if (!o) return NULL;
    buf_free(&o->resource);
    buf_free(&o->body);
    free(o->batch);
    free(o);
    return NULL;
}
AUTO_FREE(Otlp, otlp_free)

bool otlp_open(const OtlpOptions *options, Otlp **ret, Err *err) {
    AUTO(Otlp) o = must(calloc(1, sizeof *o));
    o->options = *options;
    fill_defaults(&o->options);
    if (!otlp_write_resource(options->service_name, options->resource_attributes, &o->resource, err))
        return false;
    o->batch = must(calloc(o->options.batch, sizeof *o->batch));
    o->exported = metric_counter("events_trace_exported_total", "Spans that the collector has taken");
    o->dropped = metric_counter("events_trace_dropped_total{where=\"export\"}", "Spans that were lost");
    trace_start(o->options.ratio, o->options.queue);
    int failed = pthread_create(&o->thread, NULL, export_thread, o);
    if (failed) {
        trace_stop();
        return err_set_errno(err, &ERR_UNAVAILABLE, failed, "trace thread");
    }
    pthread_setname_np(o->thread, "traces");
    *ret = o;
    o = NULL;
    return true;
}

Otlp *otlp_close(Otlp *o, int64_t flush_ms) {
    if (!o) return NULL;
    int64_t until = clock_mono_us() + flush_ms * 1000;
    trace_finish();
    while (!atomic_load(&o->ended) && clock_mono_us() < until) clock_sleep_ms(CLOSE_STEP_MS);
    o->options.interrupt(o->options.user);
    pthread_join(o->thread, NULL);
    trace_stop();
    return otlp_free(o);
}
