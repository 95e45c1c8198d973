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
 * one below it; it remembers which they were (ahead.h), gives them at once to all that are live and to each
 * subscription that becomes so before their turn comes, and then does not give them again.
 *   4. Twice. C may be above W (the log, or the hub, was ahead of this loop). live.c skips what is at or
 * below the cursor, so that the overlap is not sent again.
 *   5. Ring and log may fail to overlap: the ring begins above C + 1 and the log ends at or below C, because
 * the projection lags. Then this waits for the log (its prefix grows) and after WAIT_TRIES gives up in words:
 *      ResyncRequired log_unavailable. The same where the log begins above C + 1 (too_old), or is another log
 * (epoch).
 *
 * The position that a client may store (session_position) is the lowest of W and all the cursors of
 * subscriptions that still catch up: it passes nothing that has not been written to this connection.
 *
 * One page of one subscription is on its way at a time, the one that is furthest behind first, and only while
 * little waits in the socket's queue: a slow reader slows its own history and nothing else. */
#include "gateway/stream/resume.h"

#include "base/log.h"
#include <stdlib.h>

enum { LOW_WATER = 256 << 10, READER_MS = 20, WAIT_MS = 250, WAIT_TRIES = 40 };

typedef enum PageOutcome { PAGE_FAILED, PAGE_READ, PAGE_TOO_OLD, PAGE_OTHER_EPOCH } PageOutcome;

struct ResumeJob {
    Job job;
    Session *session;
    uint32_t serial; /* of the subscription */
    char epoch[64], tenant_id[TENANT_ID];
    int64_t after, upto;
    PageOutcome outcome;
    Event *events[RUN_EVENTS];
    size_t count, bytes;
    bool whole;  /* of the cursor */
    bool broken; /* no memory for a row */
    Err err;
};

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
        BatchParts parts = {chosen, wanted, s->claims.scope_bits & SCOPE_PII, s->told, &id};
        if (!session_send(s, frame_batch(session_form(s), &parts))) return;
    }
    if (!live) return;
    cursor_join(&sub->cursor);
    if (session_send(s, frame_subscribed(session_form(s), id, upto, true))) session_catch_ahead(s, sub);
}

/* --- pages of the log --- */

static bool keep_row(void *user, const ReplayRow *row) {
    ResumeJob *j = user;
    Event *event = event_of_row(row);
    if (!event) return !(j->broken = true);
    j->events[j->count++] = event;
    j->bytes += event_size(event);
    j->upto = row->sequence;
    return j->count < RUN_EVENTS && j->bytes < RUN_BYTES;
}

static bool read_rows(ResumeJob *j, Db *db, int64_t head, Err *err) {
    j->upto = j->after;
    if (!tenant_log_read(db, span_of(j->tenant_id), j->after, head, RUN_EVENTS, &(ReplayVisitor){keep_row, j},
                         err))
        return false;
    if (j->broken) return err_set(err, &ERR_UNAVAILABLE, "no memory for a page of the log");
    bool full = j->count == RUN_EVENTS || j->bytes >= RUN_BYTES;
    j->upto = cursor_page_end(full, j->upto, head);
    j->outcome = PAGE_READ;
    return true;
}

static bool read_page(ResumeJob *j, Db *db, Err *err) {
    ReplayHead head;
    int64_t oldest;
    if (!replay_log_head(db, &head, err) || !replay_log_oldest(db, &oldest, err)) return false;
    switch (cursor_ask_log(&head, oldest, j->epoch, j->whole ? 0 : j->after)) {
    case LOG_PAGE: return read_rows(j, db, head.head, err);
    case LOG_TOO_OLD: j->outcome = PAGE_TOO_OLD; break;
    case LOG_OTHER_EPOCH: j->outcome = PAGE_OTHER_EPOCH; break;
    }
    return true;
}

static void run(Job *job, void *context) {
    ResumeJob *j = CONTAINER(job, ResumeJob, job);
    Queries *queries = context;
    Db *db;
    if (!queries_db(queries, &db, &j->err) || !read_begin(db, &j->err)) {
        queries_failed(queries, &j->err);
        return;
    }
    if (!read_page(j, db, &j->err)) queries_failed(queries, &j->err);
    read_end(db);
}

static Subscription *by_serial(Session *s, uint32_t serial) {
    for (size_t i = 0; i < s->subscription_count; i++)
        if (s->subscriptions[i].serial == serial) return &s->subscriptions[i];
    return NULL;
}

static void end_with(Session *s, Subscription *sub, const char *reason) {
    s->tries = 0;
    post_turn(s);
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

static void apply(Session *s, Subscription *sub, ResumeJob *j) {
    switch (j->outcome) {
    case PAGE_TOO_OLD: end_with(s, sub, "too_old"); break;
    case PAGE_OTHER_EPOCH: end_with(s, sub, "epoch"); break;
    case PAGE_FAILED:
        log_warn("replay log not readable", LOG_ERR(&j->err));
        wait_for_log(s, sub);
        break;
    case PAGE_READ:
        if (j->upto > sub->cursor.at)
            give_page(s, sub, j->events, j->count, j->upto);
        else
            wait_for_log(s, sub);
        break;
    }
}

static void back(Job *job) {
    ResumeJob *j = CONTAINER(job, ResumeJob, job);
    Session *s = j->session;
    s->worker->in_flight--;
    if (job->late) err_set(&j->err, &ERR_UNAVAILABLE, "the readers are busy");
    Subscription *sub = s->to && !s->closing ? by_serial(s, j->serial) : NULL;
    bool applies = sub && !s->lagging && !sub->cursor.live && sub->cursor.at == j->after;
    if (applies) apply(s, sub, j);
    for (size_t i = 0; i < j->count; i++) event_unref(j->events[i]);
    free(j);
    s->resume = NULL; /* only now: until here it kept the session in memory */
    if (!s->to)
        session_release(s);
    else if (!applies)
        resume_kick(s);
}

static void read_log(Session *s, Subscription *sub) {
    Worker *w = s->worker;
    ResumeJob *j = must(calloc(1, sizeof *j));
    Err err = {0};
    *j = (ResumeJob){
        .job = {.run = run, .done = back}, .session = s, .serial = sub->serial, .after = sub->cursor.at};
    j->whole = sub->cursor.whole;
    memcpy(j->epoch, w->sessions->epoch, sizeof j->epoch);
    memcpy(j->tenant_id, s->claims.tenant_id, sizeof j->tenant_id);
    if (pool_submit(w->gateway->readers, w->loop, &j->job, &err)) {
        s->resume = j;
        w->in_flight++;
        return;
    }
    free(j);
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
    if (!s->to || s->closing || s->lagging || s->resume || s->turn_posted) return;
    Subscription *sub = furthest_behind(s);
    if (!sub) return;
    if (s->wire->queued(s->to) > LOW_WATER)
        wait_ms(s, READER_MS);
    else
        step(s, sub);
}
