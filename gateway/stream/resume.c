/* resume.c - from a client's position to the live stream, and why nothing is missed on the way.
 *
 * Every number is dense and the hub releases events strictly in the order of their numbers. Let W be the
 * loop's position (Sessions.position): each subscription that is live has been offered every event up to W,
 * and the next run that live.c hands out begins at W + 1. A subscription that catches up has a cursor C: it
 * has been offered every event above its `after` and up to C.
 *
 *   1. Pages come without a hole. The ring holds low..released complete, and a page of it begins at C + 1 or
 * is refused (HUB_TOO_OLD). A page of the log holds all of the tenant's events in (C, upto], where upto is
 * the last row's number if the page was full, else the projection's prefix as read before the rows in the
 * same view; the projection commits an event's row together with the prefix that covers it. So C moves only
 * over events that were offered.
 *   2. The seam. C is compared with W on the loop's own thread, where alone both change. If C >= W,
 * everything up to W has been offered to this subscription, and everything above W will come by live.c: from
 * this instant it is live. No event can be in between, for W does not move during the comparison.
 *   3. Ahead of their turn. Behind a hole the hub lets events go whose subject does not wait for it (ring.h).
 * They do not move W: the position tells of the prefix alone, and who resumes from it gets them again. A loop
 * takes them only when it has given all that were released, so that of a subject no version goes before the
 * one below it; it remembers which they were (ahead.h), gives them at once to all that are live, and in their turn
 * not again. A subscription that has come to the seam is given those first, as it reads, by their places; it
 * joins when none is left, and goes through pages again where W has moved meanwhile.
 *   4. Twice. C may be above W (the log, or the hub, was ahead of this loop). live.c skips what is at or
 * below the cursor, so that the overlap is not sent again.
 *   5. Ring and log may fail to overlap: the ring begins above C + 1 and the log ends at or below C, because
 * the projection lags. Then this waits for the log (its prefix grows) and after WAIT_TRIES gives up in words:
 *      ResyncRequired log_unavailable. The same where the log begins above C + 1 (too_old), or is another log
 * (epoch).
 *   6. Outcomes (CommandRejected) come to a session whatever it has subscribed to, so also to none. Those that were
 * dropped with a slow reader's queue are offered again by a subscription that goes back far enough, for each has
 * them; where there is none, or it is ended meanwhile, by one of the session's own (session_owe_outcomes).
 *
 * The position that a client may store (session_position) is the lowest of W and all the cursors of
 * subscriptions that still catch up: it passes nothing that has not been written to this connection.
 *
 * One page of one subscription is on its way at a time, the one that is furthest behind first, and only while
 * little waits in the socket's queue: a slow reader slows its own history and nothing else. A page of the log is
 * read once for all of the loop that stand within it (log_pages.h). */
#include "gateway/stream/resume.h"

enum { LOW_WATER = 256 << 10, READER_MS = 20, WAIT_MS = 250, WAIT_TRIES = 40 };

static Subscription *furthest_behind(Session *s) {
    Subscription *found = NULL;
    for (size_t i = 0; i < s->subscription_count; i++) {
        Subscription *sub = &s->subscriptions[i];
        if (!sub->cursor.live && (!found || sub->cursor.at < found->cursor.at)) found = sub;
    }
    return found;
}

static void patience_over(Timer *timer) {
    resume_kick(CONTAINER(timer, Session, patience));
}

static void wait_ms(Session *s, int64_t ms) {
    s->patience.expired = patience_over;
    loop_timer_set(s->worker->loop, &s->patience, ms);
}

void resume_stop(Session *s) {
    loop_timer_stop(s->worker->loop, &s->patience);
    log_waiter_stop(&s->page);
    s->tries = 0;
}

static void take_turn(Task *task) {
    Session *s = CONTAINER(task, Session, turn);
    s->turn_posted = false;
    if (s->to)
        resume_kick(s);
    else
        session_release(s);
}

static void post_turn(Session *s) {
    if (s->turn_posted) return;
    s->turn_posted = true;
    s->turn.run = take_turn;
    loop_post(s->worker->loop, &s->turn);
}

static bool same_run(const ResumeFrame *a, const ResumeFrame *b) {
    return a->first == b->first && a->last == b->last && a->position == b->position && a->id == b->id &&
           a->personal == b->personal && a->make == b->make && !strcmp(a->tenant_id, b->tenant_id);
}

/* Who comes back together is given the same runs of events: the frame of one is kept for the others. Of a run that
 * was given whole its bounds say which events are in it. */
static Blob *whole_run(Session *s, const BatchParts *parts) {
    Sessions *all = s->worker->sessions;
    ResumeFrame key = {.first = event_sequence(parts->events[0]),
                       .last = event_sequence(parts->events[parts->count - 1]),
                       .position = parts->position,
                       .id = *parts->id,
                       .personal = parts->personal,
                       .make = s->wire->form};
    memcpy(key.tenant_id, s->claims.tenant_id, sizeof key.tenant_id);
    for (size_t i = 0; i < RESUME_FRAMES; i++)
        if (all->resume_frames[i].frame && same_run(&all->resume_frames[i], &key))
            return blob_ref(all->resume_frames[i].frame);
    key.frame = frame_batch(session_form(s), parts);
    if (!key.frame) return NULL;
    ResumeFrame *oldest = &all->resume_frames[all->resume_next++ % RESUME_FRAMES];
    blob_unref(oldest->frame);
    *oldest = key;
    return blob_ref(key.frame);
}

void resume_forget(Sessions *all) {
    log_pages_forget(all->pages);
    for (size_t i = 0; i < RESUME_FRAMES; i++) {
        blob_unref(all->resume_frames[i].frame);
        all->resume_frames[i] = (ResumeFrame){0};
    }
}

/* Offers a page to its subscription and moves the cursor; at the seam it becomes live. */
static void give_page(Session *s, Subscription *sub, Event *const *events, size_t count, int64_t upto) {
    Event *chosen[RUN_EVENTS];
    size_t wanted = 0;
    for (size_t i = 0; i < count; i++)
        if (filter_matches(sub->filter, events[i], &s->claims)) chosen[wanted++] = events[i];
    uint32_t id = sub->id;
    session_note_left(s, s->worker->sessions->position);
    bool live = cursor_page(&sub->cursor, upto, s->worker->sessions->position);
    s->tries = 0;
    post_turn(s);
    if (wanted) {
        s->told = session_position(s);
        BatchParts parts = {chosen, wanted, s->claims.scope_bits & SCOPE_PII, s->told,
                            sub->outcomes ? NULL : &id};
        bool whole = wanted == count && parts.id;
        if (!session_send(s, whole ? whole_run(s, &parts) : frame_batch(session_form(s), &parts))) return;
    }
    if (!live || !session_catch_ahead(s, sub)) return;
    if (sub->outcomes) {
        session_end_subscription(s, sub);
        return;
    }
    cursor_join(&sub->cursor);
    sub->again = false;
    session_send(s, frame_subscribed(session_form(s), id, upto, true));
}

/* --- pages of the log --- */

static void end_with(Session *s, Subscription *sub, const char *reason) {
    s->tries = 0;
    post_turn(s);
    if (sub->outcomes)
        session_close(s, SESSION_SLOW, "what you have missed cannot be read; come back with your position");
    else
        session_resync(s, sub, reason);
}

/* Neither ring nor log has what comes next: it will be there soon, or never. */
static void wait_for_log(Session *s, Subscription *sub) {
    if (++s->tries < WAIT_TRIES) {
        wait_ms(s, WAIT_MS);
        return;
    }
    end_with(s, sub, "log_unavailable");
}

static LogPlace place_of(const Session *s, const Subscription *sub) {
    return (LogPlace){s->claims.tenant_id, s->worker->sessions->epoch, sub->cursor.at, sub->cursor.whole};
}

/* As much of it behind the cursor as goes out in one turn, and ends where it does for the others. */
static void give_log(Session *s, Subscription *sub, const LogPage *page) {
    size_t from = 0, count = 0, bytes = 0;
    while (from < page->count && event_sequence(page->events[from]) <= sub->cursor.at) from++;
    size_t most = RUN_EVENTS - from % RUN_EVENTS;
    while (from + count < page->count && count < most && bytes < RUN_BYTES)
        bytes += event_size(page->events[from + count++]);
    bool all = from + count == page->count;
    give_page(s, sub, page->events + from, count,
              all ? page->upto : event_sequence(page->events[from + count - 1]));
}

/* It was read for somebody who stands at the same place, or a little before. */
static void page_come(LogWaiter *waiter, const LogPage *page) {
    Session *s = CONTAINER(waiter, Session, page);
    Subscription *sub = s->closing || s->lagging ? NULL : furthest_behind(s);
    if (!sub) return;
    LogPlace place = place_of(s, sub);
    bool ours = page->after == place.after && page->whole == place.whole;
    if (log_page_covers(page, &place))
        give_log(s, sub, page);
    else if (page->outcome == PAGE_FAILED || (ours && page->outcome == PAGE_READ))
        wait_for_log(s, sub);
    else if (ours)
        end_with(s, sub, page->outcome == PAGE_TOO_OLD ? "too_old" : "epoch");
    else
        post_turn(s);
}

static void read_log(Session *s, Subscription *sub) {
    Err err = {0};
    LogPlace place = place_of(s, sub);
    s->page.come = page_come;
    const LogPage *page = log_pages_ask(s->worker->sessions->pages, &place, &s->page, &err);
    if (page)
        give_log(s, sub, page);
    else if (err.kind)
        wait_for_log(s, sub);
}

/* --- the next step --- */

static void step(Session *s, Subscription *sub) {
    Event *events[RUN_EVENTS];
    size_t count;
    const Sessions *all = s->worker->sessions;
    switch (hub_take(s->worker->gateway->hub, all->generation, sub->cursor.at, RUN_EVENTS, RUN_BYTES, events,
                     &count)) {
    case HUB_TOO_OLD: read_log(s, sub); break;
    case HUB_RESTARTED: break; /* live.c is about to end all subscriptions */
    case HUB_TAKEN:
        give_page(s, sub, events, count, count ? event_sequence(events[count - 1]) : sub->cursor.at);
        for (size_t i = 0; i < count; i++) event_unref(events[i]);
        break;
    }
}

void resume_kick(Session *s) {
    if (!s->to || s->closing || s->lagging || s->page.at || s->turn_posted) return;
    Subscription *sub = furthest_behind(s);
    if (!sub) return;
    if (s->wire->queued(s->to) <= LOW_WATER)
        step(s, sub);
    else if (s->wire->tell_drained)
        s->wire->tell_drained(s->to);
    else
        wait_ms(s, READER_MS);
}
