/* grid_sender.c - delivers to one webhook: gather, post, settle, again.
 *
 * Order:     one request in flight and a cursor that pauses at what is refused, so events go out in the
 *            order of their acceptance (Event Grid promises less; receivers may not rely on it).
 * Retry:     after "later" the same events come again, after the pauses of the schedule; an "up" of the
 *            receiver ends a pause. A refused batch is halved until the guilty event is alone, which
 *            becomes a dead letter.
 * Down:      after silence the handshake is made again, and only that is repeated while nobody answers:
 *            events do not age by an outage. An event that kills its receiver is found all the same, for
 *            each of its tries counts.
 * Locked:    401 and 403 also lead to a new handshake; a wrong secret so stops the subscription instead of
 *            burying every event. */
#include "app/grid/grid_sender.h"

#include "app/event_trace.h"
#include "app/grid/grid_backlog.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/uuid.h"
#include "grid/grid_endpoint.h"
#include <pthread.h>
#include <stdio.h>

enum {
    BATCH_EVENTS = 256,
    BATCH_BYTES = 512 << 10, /* preferred: a larger event goes alone */
    ATTEMPTS_MAX = 30,
    ATTEMPTS_TOGETHER = 15, /* then one by one, so that a good event is not blamed for its neighbour */
};
static const int64_t DAY_US = 24LL * 3600 * 1000000;

struct GridSender {
    GridSenderOptions options;
    GridTail *tail;
    GridEndpoint *endpoint;
    GridBacklog *backlog;
    pthread_t thread;
    bool started;
    atomic_bool alarm, ending;
    /* the thread's own */
    bool consented, doubted;   /* doubted: 401 or 403 has led to a handshake already */
    int64_t position;          /* delivered up to here */
    size_t most;               /* events in the next batch */
    unsigned attempts, silent; /* failed tries of the batch at the cursor; failed handshakes in a row */
    int64_t first_failure_us;
    Buf batch; /* a JSON array of `count` events */
    size_t count;
    GridCounts counts;
};

/* --- gathering --- */

static void add_event(GridSender *s, Span event) {
    buf_byte(&s->batch, s->count ? ',' : '[');
    buf_span(&s->batch, event);
    s->count++;
}

/* False where the database did not give what it holds. */
static bool gather(GridSender *s) {
    Blob *events[BATCH_EVENTS];
    GridTake take = {.events = events, .most = s->most, .bytes = BATCH_BYTES, .position = s->position};
    buf_clear(&s->batch);
    s->count = 0;
    if (!grid_backlog_take(s->backlog, &take)) return false;
    s->position = take.position;
    for (size_t i = 0; i < take.count; i++) add_event(s, blob_view(events[i]));
    grid_take_drop(&take);
    if (s->count) buf_byte(&s->batch, ']');
    return true;
}

/* --- waiting --- */

static void pause_for(GridSender *s, int64_t ms) {
    grid_tail_wait(s->tail, INT64_MAX, ms, &s->alarm);
    if (atomic_exchange(&s->alarm, false)) s->silent = 0;
}

static void wait_for_events(GridSender *s) {
    grid_backlog_wait(s->backlog, s->position, &s->alarm);
    atomic_store(&s->alarm, atomic_load(&s->ending));
}

static int64_t wait_ms(unsigned attempt, int status) {
    uint32_t random;
    random_bytes(&random, sizeof random);
    return grid_retry_wait_ms(attempt, status, random);
}

static void pause_after(GridSender *s, const char *what, unsigned attempt, int status) {
    int64_t ms = wait_ms(attempt, status);
    if (atomic_load(&s->ending)) return;
    metric_add(s->counts.failed, 1);
    bool telling = !(attempt & (attempt - 1)); /* 1st, 2nd, 4th, 8th ...: a day's outage is no flood */
    log_at(telling ? LOG_WARN : LOG_DEBUG, what, LOG_TEXT("subscription", s->options.name),
           LOG_INT("status", status), LOG_INT("attempt", attempt), LOG_INT("again_ms", ms));
    pause_for(s, ms);
}

/* --- outcomes --- */

static void shake_hands(GridSender *s) {
    Err err = {0};
    int status = 0;
    s->consented = grid_endpoint_handshake(s->endpoint, &status, &err);
    if (!s->consented) {
        pause_after(s, "handshake failed", ++s->silent, status);
        return;
    }
    s->first_failure_us = clock_mono_us(); /* an outage does not age events; their tries still count */
    s->silent = 0;
    log_info("webhook consented", LOG_TEXT("subscription", s->options.name));
}

static void forget_failures(GridSender *s) {
    s->attempts = 0;
    s->first_failure_us = 0;
    s->doubted = false;
}

static void passed(GridSender *s) {
    s->position += (int64_t)s->count;
    forget_failures(s);
    s->most = s->most * 2 > BATCH_EVENTS ? BATCH_EVENTS : s->most * 2;
    grid_journal_passed(s->options.journal, s->options.index, s->position);
    metric_add(s->counts.delivered, (int64_t)s->count);
    metric_set(s->counts.lag, grid_tail_last(s->tail) - s->position);
}

static void bury(GridSender *s, const char *reason, int status) {
    const GridBurial burial = {.index = s->options.index,
                               .position = s->position + 1,
                               .body = {s->batch.at + 1, s->batch.len - 2},
                               .reason = reason,
                               .last_status = status,
                               .attempts = s->attempts};
    if (!grid_journal_bury(s->options.journal, &burial)) {
        pause_after(s, "dead letter not written", 1, 0);
        return;
    }
    log_warn("event dead-lettered", LOG_TEXT("subscription", s->options.name), LOG_TEXT("reason", reason),
             LOG_INT("status", status), LOG_INT("attempts", s->attempts));
    metric_add(s->counts.buried, 1);
    s->position++;
    forget_failures(s);
}

static void fail_later(GridSender *s, int status) {
    bool old = clock_mono_us() - s->first_failure_us > DAY_US, often = s->attempts >= ATTEMPTS_MAX;
    if (s->attempts >= ATTEMPTS_TOGETHER || old) s->most = 1;
    if (s->count == 1 && (old || often)) {
        bury(s, often ? "MaxDeliveryAttemptsExceeded" : "TimeToLiveExceeded", status);
        return;
    }
    if (!status) s->consented = false;
    pause_after(s, "delivery failed", s->attempts, status);
}

static void settle(GridSender *s, int status) {
    GridVerdict verdict = grid_verdict(status, s->count);
    if (verdict == GRID_DELIVERED) {
        passed(s);
        return;
    }
    if (!s->attempts++) s->first_failure_us = clock_mono_us();
    if ((status == 401 || status == 403) && !s->doubted) {
        s->doubted = true;
        s->consented = false;
        return;
    }
    if (verdict == GRID_HALVE) s->most = s->count / 2;
    if (verdict == GRID_GIVE_UP) bury(s, status == 413 ? "PayloadTooLarge" : "NotAccepted", status);
    if (verdict == GRID_LATER) fail_later(s, status);
}

/* --- the thread --- */

static int post_traced(GridSender *s) {
    int64_t began_us = trace_on() ? clock_now_us() : 0;
    int status = grid_endpoint_post(s->endpoint, buf_view(&s->batch), s->attempts);
    if (!trace_on()) return status;
    const EventStep step = {.kind = TRACE_PRODUCER,
                            .verb = "deliver",
                            .type = "send",
                            .system = "eventgrid",
                            .destination = TRACE_TOPIC,
                            .subscription = s->options.name,
                            .fault = status_fault(status, 300),
                            .began_us = began_us,
                            .ended_us = clock_now_us(),
                            .together = s->count,
                            .status = status};
    event_step_json(&step, buf_view(&s->batch));
    return status;
}

static void *sender_thread(void *user) {
    GridSender *s = user;
    while (!atomic_load(&s->ending)) {
        if (!s->consented) {
            shake_hands(s);
            continue;
        }
        if (!gather(s)) {
            pause_for(s, 1000);
            continue;
        }
        if (!s->count) {
            wait_for_events(s);
            continue;
        }
        int status = post_traced(s);
        if (!atomic_load(&s->ending) || status) settle(s, status);
    }
    return NULL;
}

bool grid_sender_open(const GridSenderOptions *options, GridSender **ret, Err *err) {
    AUTO(GridSender) s = must(calloc(1, sizeof *s));
    s->options = *options;
    s->tail = grid_journal_tail(options->journal);
    s->position = grid_journal_cursor(options->journal, options->index);
    s->most = BATCH_EVENTS;
    s->backlog = grid_backlog_new(options->journal, options->index, options->name);
    s->batch.limit = 8 << 20;
    s->counts = grid_counts(options->name);
    const GridEndpointOptions endpoint = {
        .name = options->name, .url = options->url, .secret = options->secret};
    if (!grid_endpoint_open(&endpoint, &s->endpoint, err)) return false;
    int failed = pthread_create(&s->thread, NULL, sender_thread, s);
    if (failed) return err_set_errno(err, &ERR_UNAVAILABLE, failed, "sender thread");
    s->started = true;
    pthread_setname_np(s->thread, "grid-sender");
    *ret = s;
    s = NULL;
    return true;
}

GridSender *grid_sender_free(GridSender *s) {
    if (!s) return NULL;
    if (s->started) {
        atomic_store(&s->ending, true);
        grid_endpoint_interrupt(s->endpoint);
        grid_tail_alarm(s->tail, &s->alarm);
        pthread_join(s->thread, NULL);
    }
    grid_endpoint_free(s->endpoint);
    grid_backlog_free(s->backlog);
    buf_free(&s->batch);
    free(s);
    return NULL;
}

void grid_sender_up(GridSender *s) {
    grid_tail_alarm(s->tail, &s->alarm);
}
