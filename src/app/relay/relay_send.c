/* relay_send.c - a batch goes out in rounds: a request for each part of it, then their answers together.
 *
 * Failures:  a topic that is down costs one round per back-off (full jitter, 100 ms to 30 s, at least
 *            Retry-After), of one event when it has failed five times (grid/grid_breaker.h). A part whose
 *            answer says "too much" or "one of these is bad" (413, 400) is halved until the guilty event is
 *            found, which gives its number to an EventSkipped; the other parts know nothing of that. */
#include "app/relay/relay_send.h"

#include "app/event_trace.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/uuid.h"
#include <stdio.h>

enum { PART_EVENTS = 250 }; /* fewer are not worth a request of their own */

typedef struct Round {
    GridRequest requests[GRID_REQUESTS];
    RelayPart *parts[GRID_REQUESTS];
    size_t count;
} Round;

void relay_sender_start(RelaySender *s, const RelayOptions *options) {
    s->options = *options;
    if (!s->options.part_events) s->options.part_events = PART_EVENTS;
    s->skipped = metric_counter("events_relay_skipped_total", "Events that the topic refuses for good");
    s->failed = metric_counter("events_relay_failures_total", "Requests that the topic did not answer well");
    s->open = metric_gauge("events_relay_topic_given_up", "1 while the topic fails again and again");
}

static void back_off(RelaySender *s, const GridAnswer *answer, int64_t now_us) {
    uint32_t random;
    random_bytes(&random, sizeof random);
    bool opens = grid_breaker_failed(&s->breaker, answer, random, now_us);
    log_warn("publishing failed", LOG_INT("status", answer->status), LOG_INT("failures", s->breaker.failures),
             LOG_INT("retryMs", (s->breaker.retry_us - now_us) / 1000), LOG_ERR(&answer->why));
    if (!opens) return;
    metric_set(s->open, 1);
    log_error("the topic is given up for now; one event at a time finds out when it is back",
              LOG_INT("failures", s->breaker.failures));
}

static void answered_well(RelaySender *s) {
    if (!grid_breaker_passed(&s->breaker)) return;
    metric_set(s->open, 0);
    log_info("the topic is back");
}

/* ---- asking ---- */

/* What is left of each part; while the topic is given up, one event of the first. */
static void prepare(RelaySender *s, Round *round) {
    round->count = 0;
    for (size_t i = 0; i < s->parts.count && !(s->breaker.open && round->count); i++) {
        RelayPart *part = &s->parts.at[i];
        size_t left = part->count - part->done;
        if (!left) continue;
        if (part->limit && left > part->limit) left = part->limit;
        round->parts[round->count] = part;
        round->requests[round->count++] = (GridRequest){.packed = &s->parts.packed[part->first + part->done],
                                                        .count = grid_breaker_most(&s->breaker, left)};
    }
}

static void trace_request(const GridRequest *request, int64_t began_us) {
    const GridAnswer *answer = &request->answer;
    bool published = answer->outcome == GRID_PUBLISHED;
    const EventStep step = {.kind = TRACE_PRODUCER,
                            .verb = "publish",
                            .type = "send",
                            .system = "eventgrid",
                            .destination = TRACE_TOPIC,
                            .fault = published ? NULL : status_fault(answer->status, 300),
                            .began_us = began_us,
                            .ended_us = clock_now_us(),
                            .together = answer->taken,
                            .status = answer->status};
    for (size_t i = 0; i < answer->taken && i < request->count; i++)
        event_step_packed(&step, request->packed[i]);
}

static void ask(RelaySender *s, Round *round) {
    int64_t began_us = trace_on() ? clock_now_us() : 0;
    s->options.publish(s->options.user, round->requests, round->count);
    for (size_t i = 0; trace_on() && i < round->count; i++) trace_request(&round->requests[i], began_us);
}

/* ---- answers ---- */

static bool skip_event(RelaySender *s, RelayBatch *batch, const RelayPart *part, const GridAnswer *answer,
                       int64_t watermark, Err *err) {
    size_t place = part->first + part->done, index = s->parts.index[place];
    int64_t number = batch->numbers[index];
    char reason[sizeof answer->why.why];
    if (answer->status)
        snprintf(reason, sizeof reason, "the topic answered %d", answer->status);
    else
        snprintf(reason, sizeof reason, "%s", answer->why.why);
    if (!numbers_skip(s->options.numbers, number, reason, batch->packed[index], clock_now_us(), err) ||
        !relay_batch_skip(batch, index, watermark, err))
        return false;
    s->parts.packed[place] = batch->packed[index];
    metric_add(s->skipped, 1);
    log_error("event refused, its number is skipped", LOG_INT("sequence", number),
              LOG_INT("status", answer->status));
    return true;
}

static void mark_sent(RelaySender *s, RelayBatch *batch, RelayPart *part, size_t taken) {
    for (size_t end = part->done + taken; part->done < end; part->done++)
        batch->sent[s->parts.index[part->first + part->done]] = true;
    answered_well(s);
}

/* A skipped event that is refused as well would end here for ever, so it waits like an unreachable topic. */
static bool refused_before(RelayPart *part, const GridAnswer *answer) {
    bool bad = answer->outcome == GRID_BAD || (answer->outcome == GRID_SPLIT && answer->taken == 1);
    bool before = bad && part->bad_at == part->done;
    if (bad) part->bad_at = part->done;
    return before;
}

/* The one that asks for more patience. */
static const GridAnswer *worse(const GridAnswer *a, const GridAnswer *b) {
    if (!a || (a->outcome != GRID_REFUSED && b->outcome == GRID_REFUSED)) return b;
    return a->outcome == b->outcome && b->retry_after_ms > a->retry_after_ms ? b : a;
}

/* *pause: the answer that wants one. */
static bool take_answer(RelaySender *s, RelayBatch *batch, RelayPart *part, GridAnswer *answer,
                        int64_t watermark, const GridAnswer **pause, Err *err) {
    if (refused_before(part, answer)) answer->outcome = GRID_REFUSED;
    switch (answer->outcome) {
    case GRID_PUBLISHED: mark_sent(s, batch, part, answer->taken); return true;
    case GRID_SPLIT:
        if (answer->taken > 1) {
            part->limit = answer->taken / 2;
            return true;
        }
        __attribute__((fallthrough));
    case GRID_BAD: part->limit = 0; return skip_event(s, batch, part, answer, watermark, err);
    case GRID_RETRY:
    case GRID_REFUSED: break;
    }
    metric_add(s->failed, 1);
    *pause = worse(*pause, answer);
    return true;
}

bool relay_send(RelaySender *s, RelayBatch *batch, int64_t watermark, int64_t now_us, Err *err) {
    Round round;
    const GridAnswer *pause = NULL;
    int64_t began = clock_mono_us();
    relay_parts_cut(&s->parts, batch, s->options.part_events);
    for (prepare(s, &round); round.count && !pause; prepare(s, &round)) {
        ask(s, &round);
        for (size_t i = 0; i < round.count; i++)
            if (!take_answer(s, batch, round.parts[i], &round.requests[i].answer, watermark, &pause, err))
                return false;
        if (pause) back_off(s, pause, now_us + clock_mono_us() - began);
    }
    return true;
}
