/* live.c - the hub wakes the loop, the loop takes the next run of events and gives each session what it wants
 * of it. Only sessions that may want something are asked (interest.h); who caused an event is the first to
 * get it.
 *
 * Most sessions of a tenant want the same events of a run. So the frame is made once for each distinct answer
 * (which events, with or without personal fields, which position, for which kind of wire) and the same bytes
 * are queued to all of them; the cache lives for one run and has few places, because there are few distinct
 * answers. */
#include "gateway/stream/live.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/rpc/rpc.h"
#include "gateway/stream/resume.h"
#include "gateway/tracing.h"
#include <stdlib.h>

enum { FRAMES = 16, TIDY_MS = 60000, RUNS_PER_TURN = 8, WORDS = RUN_EVENTS / 64 };

typedef struct Wanted {
    uint64_t bits[WORDS]; /* which events of the run */
} Wanted;

struct Touched {
    Session *session;
    Wanted wanted;
};

typedef struct CachedFrame {
    Wanted wanted;
    bool personal;
    int64_t position;
    FrameForm form;
    Blob *frame;
} CachedFrame;

typedef struct Run {
    Event *events[RUN_EVENTS];
    size_t count;
    CachedFrame frames[FRAMES];
    size_t frame_count;
    int64_t behind;        /* what live subscriptions had been given everything up to, before it */
    uint64_t ahead_behind; /* and of what went ahead */
    size_t asked;          /* the event that candidates are asked about */
    bool given;            /* it went ahead of its turn: only the position is news */
    bool ahead;            /* of all of them it is not the turn yet */
    size_t touched_count;
} Run;

static bool wants(const Session *s, const Event *event) {
    if (s->closing || s->lagging) return false;
    if (event_kind(event) == EVENT_REJECTED) return event_permitted(event, &s->claims);
    for (size_t i = 0; i < s->subscription_count; i++) {
        const Subscription *sub = &s->subscriptions[i];
        if (cursor_awaits(&sub->cursor, event_sequence(event)) &&
            filter_matches(sub->filter, event, &s->claims))
            return true;
    }
    return false;
}

static struct Touched *touch(Sessions *all, Run *run, Session *s) {
    if (s->touched) return &all->touched[s->touched - 1];
    if (run->touched_count == all->touched_size) {
        all->touched_size = all->touched_size ? all->touched_size * 2 : 64;
        all->touched = must(realloc(all->touched, all->touched_size * sizeof *all->touched));
    }
    struct Touched *touched = &all->touched[run->touched_count++];
    *touched = (struct Touched){.session = s};
    s->touched = (uint32_t)run->touched_count;
    return touched;
}

static bool is_wanted(const Wanted *wanted, size_t i) {
    return wanted->bits[i / 64] >> (i % 64) & 1;
}

/* A candidate that stands under several keys comes more than once. */
static void ask(void *user, void *who) {
    Run *run = user;
    Session *s = who;
    size_t i = run->asked;
    Sessions *all = s->worker->sessions;
    if ((s->touched && is_wanted(&all->touched[s->touched - 1].wanted, i)) || !wants(s, run->events[i]))
        return;
    struct Touched *touched = touch(all, run, s);
    if (!run->given) touched->wanted.bits[i / 64] |= (uint64_t)1 << (i % 64);
}

static Blob *make_frame(const Run *run, const CachedFrame *key) {
    Event *chosen[RUN_EVENTS];
    size_t count = 0;
    for (size_t i = 0; i < run->count; i++)
        if (is_wanted(&key->wanted, i)) chosen[count++] = run->events[i];
    return frame_batch(key->form, &(BatchParts){chosen, count, key->personal, key->position, NULL});
}

static bool same_frame(const CachedFrame *a, const CachedFrame *b) {
    return a->position == b->position && a->personal == b->personal && a->form.make == b->form.make &&
           !memcmp(a->wanted.bits, b->wanted.bits, sizeof a->wanted.bits);
}

/* A reference of the caller's own. */
static Blob *frame_for(Run *run, const CachedFrame *key) {
    for (size_t i = 0; i < run->frame_count; i++)
        if (same_frame(&run->frames[i], key)) return blob_ref(run->frames[i].frame);
    Blob *frame = make_frame(run, key);
    if (!frame || run->frame_count == FRAMES) return frame;
    run->frames[run->frame_count] = *key;
    run->frames[run->frame_count++].frame = blob_ref(frame);
    return frame;
}

/* Its live subscriptions become ones that catch up from there, each at its own pace. Where there can be
 * several they are told so: what the first one to be live again is given is not for the others yet. */
static void fall_back(Session *s, int64_t behind, uint64_t ahead_behind) {
    for (size_t i = 0; i < s->subscription_count && !s->closing; i++) {
        Subscription *sub = &s->subscriptions[i];
        if (!sub->cursor.live) continue;
        cursor_fall_back(&sub->cursor, behind);
        sub->ahead_seen = ahead_behind;
        if (!s->wire->single)
            session_send(s, frame_subscribed(session_form(s), sub->id, sub->cursor.at, false));
    }
    resume_kick(s);
}

static void give(Session *s, const Wanted *wanted, Run *run) {
    if (s->wire->high && s->wire->queued(s->to) > s->wire->high) {
        fall_back(s, run->behind, run->ahead_behind);
        return;
    }
    static const Wanted NOTHING;
    CachedFrame key = {.wanted = *wanted, .personal = s->claims.scope_bits & SCOPE_PII};
    session_note_left(s, run->behind);
    key.position = session_position(s);
    key.form = session_form(s);
    if (key.position <= s->told && !memcmp(wanted, &NOTHING, sizeof NOTHING)) return;
    if (session_send(s, frame_for(run, &key))) s->told = key.position;
}

/* The frames tell which events somebody wanted. */
static void trace_given(const Run *run, int64_t began_us) {
    Wanted given = {0};
    for (size_t i = 0; i < run->frame_count; i++)
        for (size_t k = 0; k < WORDS; k++) given.bits[k] |= run->frames[i].wanted.bits[k];
    for (size_t i = 0; i < run->count; i++)
        if (is_wanted(&given, i)) tracing_fan_out(run->events[i], began_us);
}

static void give_all(Sessions *all, Run *run) {
    int64_t began_us = trace_on() ? clock_now_us() : 0;
    for (run->asked = 0; run->asked < run->count; run->asked++) {
        Event *event = run->events[run->asked];
        run->given = !run->ahead && ahead_has(all->ahead, event_sequence(event));
        if (!run->given) rpc_event(all->worker, event);
        interests_each(all->interests, event, ask, run);
    }
    for (size_t i = 0; i < run->touched_count; i++) {
        all->touched[i].session->touched = 0;
        give(all->touched[i].session, &all->touched[i].wanted, run);
    }
    if (trace_on()) trace_given(run, began_us);
    for (size_t i = 0; i < run->frame_count; i++) blob_unref(run->frames[i].frame);
    for (size_t i = 0; i < run->count; i++) event_unref(run->events[i]);
}

static void give_run(Sessions *all, Run *run) {
    run->behind = all->position;
    run->ahead_behind = ahead_last(all->ahead);
    run->ahead = false;
    all->position = event_sequence(run->events[run->count - 1]);
    give_all(all, run);
    ahead_forget(all->ahead, all->position);
}

/* A ring that has begun anew behind a hole (hub_step_over) does not know what went ahead before. */
static void leave_out_given(const Sessions *all, Run *run) {
    size_t left = 0;
    for (size_t i = 0; i < run->count; i++) {
        if (ahead_has(all->ahead, event_sequence(run->events[i])))
            event_unref(run->events[i]);
        else
            run->events[left++] = run->events[i];
    }
    run->count = left;
}

/* Noted first, for who falls back and is live again before this returns. */
static void give_ahead(Sessions *all, Run *run) {
    leave_out_given(all, run);
    run->ahead_behind = ahead_last(all->ahead);
    for (size_t i = 0; i < run->count; i++) ahead_note(all->ahead, run->events[i]);
    run->behind = all->position;
    run->ahead = true;
    give_all(all, run);
}

bool session_catch_ahead(Session *s, Subscription *sub) {
    Event *events[RUN_EVENTS];
    size_t wanted = 0,
           count = ahead_next(s->worker->sessions->ahead, &sub->ahead_seen, RUN_EVENTS, RUN_BYTES, events);
    for (size_t i = 0; i < count; i++)
        if (event_sequence(events[i]) > sub->cursor.at && filter_matches(sub->filter, events[i], &s->claims))
            events[wanted++] = events[i];
    BatchParts parts = {events, wanted, s->claims.scope_bits & SCOPE_PII, session_position(s),
                        subscription_id(sub)};
    if (wanted && session_send(s, frame_batch(session_form(s), &parts))) s->told = parts.position;
    return !count;
}

/* The loop has slept through more than the ring holds. Its live subscriptions go on from where it stood,
 * which reads the log for what the ring has lost; new ones begin at the present. */
static void fall_back_all(Sessions *all) {
    int64_t behind = all->position;
    log_warn("loop fell behind the ring", LOG_INT("position", behind));
    all->position = hub_position(all->worker->gateway->hub, NULL).head;
    ahead_forget(all->ahead, all->position);
    for (Session *s = all->first, *next; s; s = next) {
        next = s->next;
        fall_back(s, behind, ahead_last(all->ahead));
    }
}

/* Another log: no position of the old one means anything, nor does what was asked of it. */
static void restart(Sessions *all) {
    ReplayHead head = hub_position(all->worker->gateway->hub, &all->generation);
    all->position = head.head;
    all->ahead_seen = 0;
    ahead_forget(all->ahead, INT64_MAX);
    memcpy(all->epoch, head.epoch, sizeof all->epoch);
    resume_forget(all);
    for (Session *s = all->first, *next; s; s = next) {
        next = s->next;
        resume_stop(s);
        s->told = s->left = all->position;
        if (s->closing || !s->subscription_count) continue;
        s->lagging = false; /* there is nothing to go on from */
        while (s->subscription_count) session_end_subscription(s, &s->subscriptions[0]);
        session_tell_resync(s, 0, "epoch");
    }
}

static void wake(HubListener *listener) {
    Sessions *all = CONTAINER(listener, Sessions, listener);
    Hub *hub = all->worker->gateway->hub;
    Run run;
    for (size_t turns = 0; turns < RUNS_PER_TURN; turns++) {
        run.count = run.frame_count = run.touched_count = 0;
        switch (
            hub_take(hub, all->generation, all->position, RUN_EVENTS, RUN_BYTES, run.events, &run.count)) {
        case HUB_TOO_OLD: fall_back_all(all); break;
        case HUB_RESTARTED: restart(all); break;
        case HUB_TAKEN:
            if (run.count) {
                give_run(all, &run);
                break;
            }
            run.count =
                hub_take_ahead(hub, all->generation, all->position, &all->ahead_seen, RUN_EVENTS, run.events);
            if (!run.count) return;
            give_ahead(all, &run);
            break;
        }
    }
    /* others have their turn before the rest */
    if (!atomic_exchange(&listener->posted, true)) loop_post(listener->loop, &listener->task);
}

/* A quiet session's position would grow old while others' events pass: an empty batch moves it now and then.
 */
static void tidy(Timer *timer) {
    Sessions *all = CONTAINER(timer, Sessions, tidy);
    resume_forget(all);
    for (Session *s = all->first, *next; s; s = next) {
        next = s->next;
        if (!s->closing) session_note_left(s, all->position);
        int64_t position = session_position(s);
        if (s->closing || s->lagging || !s->subscription_count || position <= s->told) continue;
        Blob *frame = frame_batch(session_form(s), &(BatchParts){.position = position});
        if (session_send(s, frame)) s->told = position;
    }
    loop_timer_set(all->worker->loop, timer, TIDY_MS);
}

void live_start(Sessions *all) {
    all->listener = (HubListener){.wake = wake, .loop = all->worker->loop};
    hub_listen(all->worker->gateway->hub, &all->listener);
    all->tidy.expired = tidy;
    loop_timer_set(all->worker->loop, &all->tidy, TIDY_MS);
}

void live_stop(Sessions *all) {
    loop_timer_stop(all->worker->loop, &all->tidy);
}
