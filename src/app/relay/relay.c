/* relay.c - from the outbox to the topic.
 *
 * Promise:   every committed row is published at least once, under a number of its own; numbers are dense and
 *            follow the rows. A number is durable before anybody outside sees it.
 * Crash:     numbered but unpublished events go out after the start; published but unmarked ones go out
 *            again, and the receivers drop them by number.
 * Latency:   ring -> read the new rows -> one commit that numbers them -> publish, from memory, in the same
 *            turn.
 * Source:    two files, or tables of a server that other relays use too: relay_files.c, relay_lanes.c.
 * Sending:   relay_send.c, several requests at a time.
 * Repairs:   asked-for ranges are merged, clipped to what has been published (the rest is on its way anyway),
 *            and sent in turns with new events, so that neither starves the other. */
#include "app/relay/relay.h"

#include "app/relay/relay_send.h"
#include "app/relay/relay_source.h"
#include "base/cleaner.h"
#include "base/clock.h"
#include "base/log.h"
#include "domain/numbering.h"
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
    int64_t quiet_us; /* when to store what has been published; NEVER */
    int64_t sure_us;  /* a turn is due when the start has waited long enough; NEVER after that */
    RelaySender sender;
    Cleaner cleaner;
    Metric *published, *repaired, *backlog, *last;
};

static void make_metrics(Relay *r) {
    r->published = metric_counter("events_relay_published_total", "Events taken by the topic");
    r->repaired = metric_counter("events_relay_repaired_total", "Events published again for the projection");
    r->backlog = metric_gauge("events_relay_backlog", "Events numbered but not published");
    r->last = metric_gauge("events_relay_last_sequence", "Highest number given");
}

bool relay_open(const RelayOptions *options, int64_t now_us, Relay **ret, Err *err) {
    AUTO(Relay) r = must(calloc(1, sizeof *r));
    r->options = *options;
    r->batch = relay_batch_new();
    relay_sender_start(&r->sender, options);
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
    if (span_is(verb, "up")) grid_breaker_up(&r->sender.breaker, now_us);
}

static void ring_last(Relay *r, int64_t now_us) {
    if (!numbering_due_ring(&r->numbering, now_us)) return;
    char ring[128];
    snprintf(ring, sizeof ring, "last %s %lld", r->source.state.epoch, (long long)r->source.state.last);
    r->options.ring(r->options.user, ring);
}

/* ---- publishing ---- */

static bool publish_batch(Relay *r, int64_t now_us, Err *err) {
    bool sent = relay_send(&r->sender, r->batch, r->source.state.last, now_us, err);
    size_t done = relay_batch_done(r->batch);
    log_debug("events published", LOG_INT("first", r->batch->numbers[0]), LOG_INT("events", done));
    metric_add(r->published, (int64_t)done);
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
    bool sent = relay_send(&r->sender, r->batch, r->source.state.last, now_us, err);
    size_t done = relay_batch_done(r->batch);
    metric_add(r->repaired, (int64_t)done);
    if (done) range->from = r->batch->numbers[done - 1] + 1;
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
    *more = *more || r->source.unmarked;
    if (r->repair_count && now_us >= r->sender.breaker.retry_us) {
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
    if (done && numbering_may_publish(&r->numbering, now_us) && now_us >= r->sender.breaker.retry_us)
        done = work(r, now_us, more, err);
    if (done && now_us >= r->quiet_us) done = store_published(r, err);
    if (done && !*more && now_us >= r->cleaner.due_us && may_clean(r)) done = clean(r, now_us, err);
    metric_set(r->backlog, r->source.state.last - r->source.state.published);
    if (now_us < r->sender.breaker.retry_us) *more = false;
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
    if (may && r->repair_count) due = earlier(due, r->sender.breaker.retry_us);
    if (may) due = earlier(due, later(r->source.look_us, r->sender.breaker.retry_us));
    return due;
}

bool relay_close(Relay *r, Err *err) {
    return r->source.reload || store_published(r, err);
}
