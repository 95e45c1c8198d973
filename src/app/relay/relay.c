/* relay.c - from the outbox to the topic.
 *
 * Promise:   every committed row is published at least once, under a number of its own; numbers are dense and
 *            follow the rows. A number is durable before anybody outside sees it.
 * Crash:     numbered but unpublished events go out after the start; published but unmarked ones go out
 *            again, and the receivers drop them by number.
 * Latency:   ring -> read the new rows -> one commit that numbers them -> publish, from memory, in the same
 *            turn.
 * Source:    two files, or tables of a server that other relays use too: relay_files.c, relay_lanes.c.
 * Failures:  a topic that is down costs one request per back-off (full jitter, 100 ms to 30 s, at least
 *            Retry-After), of one event when it has failed five times (grid/grid_breaker.h). A refused event
 *            (400, or 413 alone) is isolated by halving and gives its number to an EventSkipped.
 * Repairs:   asked-for ranges are merged, clipped to what has been published (the rest is on its way anyway),
 *            and sent in turns with new events, so that neither starves the other. */
#include "app/relay/relay.h"

#include "base/cleaner.h"
#include "app/event_trace.h"
#include "app/relay/relay_source.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/uuid.h"
#include "domain/numbering.h"
#include "grid/grid_breaker.h"
#include "observe/metric.h"
#include <stdio.h>

enum {
    QUIET_US = 1000000, /* then what has been published is stored */
    REPAIRS_MAX = 64,
    REPAIR_SPAN_MAX = 10000,
};
#define NEVER INT64_MAX

typedef struct Range {
    int64_t from, to;
} Range;

struct Relay {
    RelayOptions options;
    RelaySource source;
    Numbering numbering;
    RelayBatch *batch;
    Range repairs[REPAIRS_MAX];
    size_t repair_count;
    int64_t
        unjudged; /* held by the projection, as was heard before the numbers were read again; 0: nothing */
    bool unnamed; /* it did not know the epoch */
    int64_t quiet_us;    /* when to store what has been published; NEVER */
    GridBreaker breaker; /* between us and the topic */
    int64_t sure_us;     /* a turn is due when the start has waited long enough; NEVER after that */
    size_t limit;        /* events per request while an answer has to be narrowed down; 0: no limit */
    Cleaner cleaner;
    Metric *published, *skipped, *repaired, *failed, *backlog, *last, *open;
};

static void make_metrics(Relay *r) {
    r->published = metric_counter("events_relay_published_total", "Events taken by the topic");
    r->skipped = metric_counter("events_relay_skipped_total", "Events that the topic refuses for good");
    r->repaired = metric_counter("events_relay_repaired_total", "Events published again for the projection");
    r->failed = metric_counter("events_relay_failures_total", "Requests that the topic did not answer well");
    r->backlog = metric_gauge("events_relay_backlog", "Events numbered but not published");
    r->open = metric_gauge("events_relay_topic_given_up", "1 while the topic fails again and again");
    r->last = metric_gauge("events_relay_last_sequence", "Highest number given");
}

bool relay_open(const RelayOptions *options, int64_t now_us, Relay **ret, Err *err) {
    AUTO(Relay) r = must(calloc(1, sizeof *r));
    r->options = *options;
    r->batch = relay_batch_new();
    r->quiet_us = NEVER;
    if (!relay_source_open(options->numbers, options->outbox, options->owner, &r->source, err)) return false;
    r->numbering = numbering_start(span_of(r->source.state.epoch), r->source.state.last, now_us);
    /* Rows but no number yet: relay.db may have been lost, and only the projection can tell. */
    if (!r->source.state.last && r->source.outbox_last) r->numbering.sure_us = NUMBERING_NEVER;
    r->sure_us = r->numbering.sure_us;
    r->cleaner = cleaner_start(options->retention_s, now_us);
    if (!options->retention_s) r->cleaner.due_us = CLEANER_NEVER;
    make_metrics(r);
    metric_set(r->last, r->source.state.last);
    *ret = r;
    r = NULL;
    return true;
}

Relay *relay_free(Relay *r) {
    if (r) relay_batch_free(r->batch);
    free(r);
    return NULL;
}

bool relay_healthy(const Relay *r) {
    return r->numbering.state != NUMBERING_MISMATCH;
}

/* ---- what the projection says ---- */

static bool touches(Range a, Range b) {
    return a.from <= b.to + 1 && b.from <= a.to + 1;
}

/* Joined with every range that it touches; without room it is dropped, and the projection will ask again. */
static void add_repair(Relay *r, Range asked) {
    for (size_t i = 0; i < r->repair_count;) {
        Range other = r->repairs[i];
        if (!touches(asked, other)) {
            i++;
            continue;
        }
        if (other.from < asked.from) asked.from = other.from;
        if (other.to > asked.to) asked.to = other.to;
        r->repairs[i] = r->repairs[--r->repair_count];
        i = 0;
    }
    if (r->repair_count < REPAIRS_MAX) r->repairs[r->repair_count++] = asked;
}

static void hear_repair(Relay *r, Span first, Span second) {
    uint64_t from, to;
    if (!span_to_u64(first, INT64_MAX, &from) || !span_to_u64(second, INT64_MAX, &to) || !from) return;
    if (from > to) return;
    if ((int64_t)to > r->source.state.last) r->source.reload = true; /* another relay may have given it */
    if (to - from >= REPAIR_SPAN_MAX) to = from + REPAIR_SPAN_MAX - 1;
    add_repair(r, (Range){(int64_t)from, (int64_t)to});
}

static void judge_held(Relay *r, Span epoch, int64_t held, int64_t now_us) {
    numbering_given(&r->numbering, r->source.state.last, now_us); /* what a failed turn has not told yet */
    if (!numbering_held(&r->numbering, epoch, held, now_us)) return;
    if (relay_healthy(r))
        log_info("projection agrees", LOG_TEXT("epoch", r->source.state.epoch),
                 LOG_INT("last", r->source.state.last), LOG_INT("held", held));
    else
        log_error("epoch mismatch: nothing is published until an operator has decided",
                  LOG_TEXT("epoch", r->source.state.epoch), LOG_SPAN("projectionEpoch", epoch),
                  LOG_INT("last", r->source.state.last), LOG_INT("held", held));
}

/* More than is known here: another relay may have given it, so the numbers are read again before it is
 * judged. */
static void hear_held(Relay *r, Span epoch, Span number, int64_t now_us) {
    uint64_t held;
    if (!epoch.len || !span_to_u64(number, INT64_MAX, &held)) return;
    bool unnamed = span_is(epoch, NUMBERING_NO_EPOCH),
         ours = unnamed || span_is(epoch, r->source.state.epoch);
    if (!ours || (int64_t)held <= r->source.state.last) {
        judge_held(r, epoch, (int64_t)held, now_us);
        return;
    }
    r->unjudged = (int64_t)held;
    r->unnamed = unnamed;
    r->source.reload = true;
}

void relay_hear(Relay *r, const char *ring, int64_t now_us) {
    Span rest, first, second, verb = span_split(span_of(ring), ' ', &rest);
    first = span_split(rest, ' ', &second);
    if (span_is(verb, "held")) hear_held(r, first, second, now_us);
    if (span_is(verb, "repair")) hear_repair(r, first, second);
}

static void ring_last(Relay *r, int64_t now_us) {
    if (!numbering_due_ring(&r->numbering, now_us)) return;
    char ring[128];
    snprintf(ring, sizeof ring, "last %s %lld", r->source.state.epoch, (long long)r->source.state.last);
    r->options.ring(r->options.user, ring);
}

/* ---- publishing ---- */

static void back_off(Relay *r, const GridAnswer *answer, int64_t now_us) {
    uint32_t random;
    random_bytes(&random, sizeof random);
    bool opens = grid_breaker_failed(&r->breaker, answer, random, now_us);
    metric_add(r->failed, 1);
    log_warn("publishing failed", LOG_INT("status", answer->status), LOG_INT("failures", r->breaker.failures),
             LOG_INT("retryMs", (r->breaker.retry_us - now_us) / 1000), LOG_ERR(&answer->why));
    if (!opens) return;
    metric_set(r->open, 1);
    log_error("the topic is given up for now; one event at a time finds out when it is back",
              LOG_INT("failures", r->breaker.failures));
}

static void answered_well(Relay *r) {
    if (!grid_breaker_passed(&r->breaker)) return;
    metric_set(r->open, 0);
    log_info("the topic is back");
}

static bool skip_event(Relay *r, const GridAnswer *answer, Err *err) {
    int64_t number = r->batch->numbers[r->batch->done];
    char reason[sizeof answer->why.why];
    if (answer->status)
        snprintf(reason, sizeof reason, "the topic answered %d", answer->status);
    else
        snprintf(reason, sizeof reason, "%s", answer->why.why);
    if (!numbers_skip(r->options.numbers, number, reason, r->batch->packed[r->batch->done], clock_now_us(),
                      err))
        return false;
    if (!relay_batch_skip(r->batch, r->batch->done, r->source.state.last, err)) return false;
    metric_add(r->skipped, 1);
    log_error("event refused, its number is skipped", LOG_INT("sequence", number),
              LOG_INT("status", answer->status));
    return true;
}

/* One request's answer. *goes_on: the next request may be sent at once. */
static bool take_answer(Relay *r, const GridAnswer *answer, bool *goes_on, Err *err) {
    *goes_on = true;
    switch (answer->outcome) {
    case GRID_PUBLISHED:
        r->batch->done += answer->taken;
        answered_well(r);
        return true;
    case GRID_SPLIT:
        if (answer->taken > 1) {
            r->limit = answer->taken / 2;
            return true;
        }
        __attribute__((fallthrough));
    case GRID_BAD: r->limit = 0; return skip_event(r, answer, err);
    case GRID_RETRY:
    case GRID_REFUSED: break;
    }
    *goes_on = false;
    return true;
}

static GridAnswer publish_traced(Relay *r, const Span *packed, size_t count) {
    int64_t began_us = trace_on() ? clock_now_us() : 0;
    GridAnswer answer = r->options.publish(r->options.user, packed, count);
    if (!trace_on()) return answer;
    bool published = answer.outcome == GRID_PUBLISHED;
    const EventStep step = {.kind = TRACE_PRODUCER,
                            .verb = "publish",
                            .type = "send",
                            .system = "eventgrid",
                            .destination = TRACE_TOPIC,
                            .fault = published ? NULL : status_fault(answer.status, 300),
                            .began_us = began_us,
                            .ended_us = clock_now_us(),
                            .together = answer.taken,
                            .status = answer.status};
    for (size_t i = 0; i < answer.taken && i < count; i++) event_step_packed(&step, packed[i]);
    return answer;
}

/* Sends the batch from `done` on, in order, until all is taken or the topic wants a pause. A skipped event
 * that is refused as well would end here for ever, so it waits like an unreachable topic. */
static bool send_batch(Relay *r, int64_t now_us, Err *err) {
    RelayBatch *batch = r->batch;
    size_t bad_at = SIZE_MAX;
    int64_t began = clock_mono_us();
    r->limit = 0;
    while (batch->done < batch->count) {
        size_t count = batch->count - batch->done;
        if (r->limit && count > r->limit) count = r->limit;
        count = grid_breaker_most(&r->breaker, count);
        GridAnswer answer = publish_traced(r, batch->packed + batch->done, count);
        bool bad = answer.outcome == GRID_BAD || (answer.outcome == GRID_SPLIT && answer.taken == 1);
        if (bad && bad_at == batch->done) answer.outcome = GRID_REFUSED;
        if (bad) bad_at = batch->done;
        bool goes_on;
        if (!take_answer(r, &answer, &goes_on, err)) return false;
        if (!goes_on) {
            back_off(r, &answer, now_us + clock_mono_us() - began);
            break;
        }
    }
    return true;
}

static bool publish_batch(Relay *r, int64_t now_us, Err *err) {
    bool sent = send_batch(r, now_us, err);
    log_debug("events published", LOG_INT("first", r->batch->numbers[0]), LOG_INT("events", r->batch->done));
    metric_add(r->published, (int64_t)r->batch->done);
    r->quiet_us = now_us + QUIET_US;
    if (r->options.retention_s) cleaner_worked(&r->cleaner, now_us);
    return relay_source_published(&r->source, r->batch, now_us, err) && sent;
}

/* ---- the three kinds of work ---- */

/* What has just got a number is announced before it is published: the projection may then ask for it. */
static void note_numbers(Relay *r, int64_t now_us) {
    if (r->source.state.last == r->numbering.last) return;
    numbering_given(&r->numbering, r->source.state.last, now_us);
    metric_set(r->last, r->source.state.last);
    ring_last(r, now_us);
}

static bool publish_next(Relay *r, int64_t now_us, bool *more, Err *err) {
    relay_batch_clear(r->batch);
    if (!relay_source_next(&r->source, r->batch, now_us, more, err)) return false;
    note_numbers(r, now_us);
    return !r->batch->count || publish_batch(r, now_us, err);
}

/* What was never published is on its way anyway. */
static bool clip_repair(Relay *r, Range *range) {
    int64_t last = r->source.kind == &RELAY_FILES ? r->source.state.published : r->source.state.last;
    if (range->to > last) range->to = last;
    return range->from <= range->to;
}

static bool publish_repair(Relay *r, int64_t now_us, Err *err) {
    Range *range = &r->repairs[r->repair_count - 1];
    if (!clip_repair(r, range)) {
        r->repair_count--;
        return true;
    }
    relay_batch_clear(r->batch);
    int64_t upto = range->to - range->from < RELAY_BATCH ? range->to : range->from + RELAY_BATCH - 1;
    if (!relay_source_read(&r->source, r->batch, range->from, upto, err)) {
        r->repair_count--; /* asked for again, should the database recover */
        return false;
    }
    if (!r->batch->count) {
        log_error("what is asked for again is not kept any more: the read model must be rebuilt",
                  LOG_INT("from", range->from), LOG_INT("to", upto));
        r->repair_count--;
        return true;
    }
    bool sent = send_batch(r, now_us, err);
    metric_add(r->repaired, (int64_t)r->batch->done);
    if (r->batch->done) range->from = relay_batch_done(r->batch) + 1;
    if (range->from > range->to) r->repair_count--;
    return sent;
}

static bool store_published(Relay *r, Err *err) {
    r->quiet_us = NEVER;
    return relay_source_store(&r->source, err);
}

/* Only what the projection has acknowledged goes: until then it may be asked for again. */
static bool may_clean(const Relay *r) {
    return r->numbering.state == NUMBERING_AGREED && r->numbering.held >= 0;
}

static bool clean(Relay *r, int64_t now_us, Err *err) {
    bool more = false;
    int64_t before_us = clock_now_us() - r->options.retention_s * 1000000;
    bool done = relay_source_clean(&r->source, r->numbering.held, before_us, &more, err);
    cleaner_done(&r->cleaner, more, !done, now_us);
    return done;
}

static bool work(Relay *r, int64_t now_us, bool *more, Err *err) {
    if (!publish_next(r, now_us, more, err)) return false;
    if (r->repair_count && now_us >= r->breaker.retry_us) {
        if (!publish_repair(r, now_us, err)) return false;
        *more = *more || r->repair_count;
    }
    return true;
}

/* What memory holds is true again: after a failure, and where write.db is another file than was opened. */
static bool read_again(Relay *r, Err *err) {
    if (!db_is_current(r->source.outbox)) {
        r->source.reload = true;
        if (!db_recover(r->source.outbox, err)) return false;
    }
    return !r->source.reload || r->source.kind->load(&r->source, err);
}

static void judge_again(Relay *r, int64_t now_us) {
    int64_t held = r->unjudged;
    r->unjudged = 0;
    if (held) judge_held(r, span_of(r->unnamed ? NUMBERING_NO_EPOCH : r->source.state.epoch), held, now_us);
}

bool relay_turn(Relay *r, int64_t now_us, bool *more, Err *err) {
    *more = false;
    bool done = read_again(r, err);
    if (done) judge_again(r, now_us);
    ring_last(r, now_us);
    if (done && numbering_may_publish(&r->numbering, now_us) && now_us >= r->breaker.retry_us)
        done = work(r, now_us, more, err);
    if (done && now_us >= r->quiet_us) done = store_published(r, err);
    if (done && !*more && now_us >= r->cleaner.due_us && may_clean(r)) done = clean(r, now_us, err);
    metric_set(r->backlog, r->source.state.last - r->source.state.published);
    if (now_us < r->breaker.retry_us) *more = false;
    if (now_us >= r->sure_us) r->sure_us = NEVER;
    r->source.reload = !done;
    return done;
}

static int64_t earlier(int64_t a, int64_t b) {
    return a < b ? a : b;
}
static int64_t later(int64_t a, int64_t b) {
    return a > b ? a : b;
}

int64_t relay_due_us(const Relay *r) {
    int64_t due = earlier(numbering_next_ring_us(&r->numbering), r->quiet_us);
    due = earlier(due, r->sure_us);
    if (may_clean(r)) due = earlier(due, r->cleaner.due_us);
    bool waited = r->sure_us == NEVER && r->numbering.sure_us != NUMBERING_NEVER;
    bool may = r->numbering.state == NUMBERING_AGREED || (r->numbering.state == NUMBERING_UNSURE && waited);
    if (may && r->repair_count) due = earlier(due, r->breaker.retry_us);
    if (may) due = earlier(due, later(r->source.look_us, r->breaker.retry_us));
    return due;
}

bool relay_close(Relay *r, Err *err) {
    return r->source.reload || store_published(r, err);
}
