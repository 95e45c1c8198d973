/* grid_exchange.c - gather, send, wait for the broker's word, again.
 *
 * Order:     the cursor moves over what is accepted from the first on, and what comes behind an event that is
 *            not is sent again with it.
 * Retry:     an outage of the broker costs nobody a try; amqp_sender.h waits for its return. An event that the
 *            broker refuses is tried again after a pause and becomes a dead letter in the end; one that it
 *            can never take becomes one at once.
 * Nobody:    an exchange without queues accepts events and drops them. That is no loss: a gateway reads the
 *            log's head once it is attached. */
#include "app/grid/grid_exchange.h"

#include "amqp/amqp_event.h"
#include "amqp/amqp_sender.h"
#include "app/event_trace.h"
#include "app/grid/grid_backlog.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/uuid.h"
#include "grid/grid_endpoint.h"
#include <pthread.h>
#include <stdio.h>

enum { BATCH_EVENTS = 256, BATCH_BYTES = 512 << 10, SEND_MS = 30000, ATTEMPTS_MAX = 30 };

struct GridExchange {
    GridExchangeOptions options;
    GridTail *tail;
    GridBacklog *backlog;
    AmqpSender *sender;
    AmqpCoder *coder;
    pthread_t thread;
    bool started;
    atomic_bool alarm, ending;
    /* the thread's own */
    int64_t position; /* accepted up to here */
    unsigned attempts;
    Blob *events[BATCH_EVENTS];
    GridTake take;
    Buf bytes; /* of the messages, one behind the other */
    GridCounts counts;
};

static void pause_for(GridExchange *x, int64_t ms) {
    grid_tail_wait(x->tail, INT64_MAX, ms, &x->alarm);
}

/* How many of them, from the first: all but where one does not become a message. */
static size_t encode(GridExchange *x, Span *messages, Err *err) {
    size_t ends[BATCH_EVENTS], count = 0;
    buf_clear(&x->bytes);
    while (count < x->take.count) {
        char id[24];
        snprintf(id, sizeof id, "%lld", (long long)(x->position + (int64_t)count + 1));
        if (!amqp_event_encode(x->coder, blob_view(x->events[count]), span_of(id), &x->bytes, err)) break;
        ends[count++] = x->bytes.len;
    }
    for (size_t i = 0; i < count; i++) {
        size_t from = i ? ends[i - 1] : 0;
        messages[i] = span_bytes(x->bytes.at + from, ends[i] - from);
    }
    return count;
}

static void passed(GridExchange *x, size_t count) {
    if (!count) return;
    x->attempts = 0;
    x->position += (int64_t)count;
    grid_journal_passed(x->options.journal, x->options.index, x->position);
    metric_add(x->counts.delivered, (int64_t)count);
    metric_set(x->counts.lag, grid_tail_last(x->tail) - x->position);
}

static void bury(GridExchange *x, Span body, const char *reason) {
    const GridBurial burial = {.index = x->options.index,
                               .position = x->position + 1,
                               .body = body,
                               .reason = reason,
                               .attempts = x->attempts};
    if (!grid_journal_bury(x->options.journal, &burial)) {
        pause_for(x, 1000);
        return;
    }
    log_warn("event dead-lettered", LOG_TEXT("subscription", x->options.name), LOG_TEXT("reason", reason),
             LOG_INT("attempts", x->attempts));
    metric_add(x->counts.buried, 1);
    x->position++;
    x->attempts = 0;
}

static void fail(GridExchange *x, Span body, const Err *why) {
    if (atomic_load(&x->ending)) return;
    metric_add(x->counts.failed, 1);
    log_warn("delivery failed", LOG_TEXT("subscription", x->options.name), LOG_ERR(why));
    if (err_is(why, &ERR_UNAVAILABLE)) return;
    x->attempts++;
    if (err_is(why, &ERR_TOO_LARGE)) {
        bury(x, body, "PayloadTooLarge");
    } else if (x->attempts >= ATTEMPTS_MAX) {
        bury(x, body, "MaxDeliveryAttemptsExceeded");
    } else {
        uint32_t random;
        random_bytes(&random, sizeof random);
        pause_for(x, grid_retry_wait_ms(x->attempts, 0, random));
    }
}

static void trace(const GridExchange *x, const AmqpSent *sent, int64_t began_us) {
    const EventStep step = {.kind = TRACE_PRODUCER,
                            .verb = "deliver",
                            .type = "send",
                            .system = "eventgrid",
                            .destination = TRACE_TOPIC,
                            .subscription = x->options.name,
                            .began_us = began_us,
                            .ended_us = clock_now_us(),
                            .together = x->take.count};
    for (size_t i = 0; trace_on() && i < sent->accepted; i++) event_step_json(&step, blob_view(x->events[i]));
}

static void deliver(GridExchange *x) {
    Span messages[BATCH_EVENTS];
    AmqpSent sent = {0};
    int64_t began_us = clock_now_us();
    size_t count = encode(x, messages, &sent.why);
    if (count) sent = amqp_sender_send(x->sender, messages, count, SEND_MS);
    trace(x, &sent, began_us);
    passed(x, sent.accepted);
    if (sent.why.kind) fail(x, blob_view(x->events[sent.accepted]), &sent.why);
}

static void *exchange_thread(void *user) {
    GridExchange *x = user;
    while (!atomic_load(&x->ending)) {
        x->take.position = x->position;
        if (!grid_backlog_take(x->backlog, &x->take)) {
            pause_for(x, 1000);
            continue;
        }
        x->position = x->take.position;
        if (x->take.count)
            deliver(x);
        else
            grid_backlog_wait(x->backlog, x->position, &x->alarm);
        grid_take_drop(&x->take);
    }
    return NULL;
}

static bool open_sender(GridExchange *x, Err *err) {
    AmqpUrl url;
    char address[160];
    if (!amqp_url_parse(x->options.url, &url, err)) return false;
    if (*url.subscription)
        return err_set(err, &ERR_CONFIG, "events-grid does not feed topics of Service Bus; Event Grid does");
    snprintf(address, sizeof address, "/exchange/%s/events", url.queue);
    return amqp_sender_open(&url, "fanout", address, &x->sender, err);
}

bool grid_exchange_open(const GridExchangeOptions *options, GridExchange **ret, Err *err) {
    AUTO(GridExchange) x = must(calloc(1, sizeof *x));
    x->options = *options;
    x->tail = grid_journal_tail(options->journal);
    x->position = grid_journal_cursor(options->journal, options->index);
    x->backlog = grid_backlog_new(options->journal, options->index, options->name);
    x->coder = amqp_coder_new();
    x->counts = grid_counts(options->name);
    x->take = (GridTake){.events = x->events, .most = BATCH_EVENTS, .bytes = BATCH_BYTES};
    if (!open_sender(x, err)) return false;
    int failed = pthread_create(&x->thread, NULL, exchange_thread, x);
    if (failed) return err_set_errno(err, &ERR_UNAVAILABLE, failed, "exchange thread");
    x->started = true;
    pthread_setname_np(x->thread, "grid-exchange");
    *ret = x;
    x = NULL;
    return true;
}

GridExchange *grid_exchange_free(GridExchange *x) {
    if (!x) return NULL;
    if (x->started) {
        atomic_store(&x->ending, true);
        amqp_sender_interrupt(x->sender);
        grid_tail_alarm(x->tail, &x->alarm);
        pthread_join(x->thread, NULL);
    }
    amqp_sender_free(x->sender);
    amqp_coder_free(x->coder);
    grid_backlog_free(x->backlog);
    buf_free(&x->bytes);
    free(x);
    return NULL;
}
