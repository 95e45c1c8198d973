#include "gateway/stream/session.h"

#include "base/clock.h"
#include "base/uuid.h"
#include "gateway/stream/live.h"
#include "gateway/stream/resume.h"
#include "gateway/stream/watch.h"
#include <stdlib.h>

enum { RECONNECT_MIN_MS = 200, RECONNECT_SPREAD_MS = 1800, ROLL_OVER_SPREAD_MS = 200 };

Session *session_new(Worker *worker, const Claims *claims) {
    Session *s = must(calloc(1, sizeof *s));
    s->worker = worker;
    s->claims = *claims;
    return s;
}

void session_discard(Session *s) {
    free(s);
}

static void free_subscriptions(Session *s) {
    while (s->subscription_count) session_end_subscription(s, &s->subscriptions[0]);
    free(s->subscriptions);
    s->subscriptions = NULL;
}

void session_release(Session *s) {
    if (!s->to && !s->turn_posted) free(s);
}

void session_gone(Session *s) {
    loop_timer_stop(s->worker->loop, &s->expiry);
    resume_stop(s);
    *s->at = s->next;
    if (s->next) s->next->at = s->at;
    s->worker->sessions->count--;
    counts_streams(s->worker->counts, -1);
    free_subscriptions(s);
    s->rejections = interest_end(s->worker->sessions->interests, s->rejections);
    s->closing = true;
    s->to = NULL;
    session_release(s);
}

FrameForm session_form(const Session *s) {
    return (FrameForm){s->wire->form, s->worker->sessions->epoch};
}

/* Random, so that clients do not all come back at once. */
static uint32_t random_below(uint32_t bound) {
    uint32_t random;
    random_bytes(&random, sizeof random);
    return random % bound;
}

static void send_away(Session *s, uint32_t retry_after_ms, const char *reason) {
    session_send(s, frame_reconnect(session_form(s), retry_after_ms, reason));
    session_close(s, SESSION_SHUTDOWN, reason);
}

static void time_is_over(Timer *timer) {
    Session *s = CONTAINER(timer, Session, expiry);
    if (s->claims.expires_at <= clock_now_us())
        session_close(s, SESSION_EXPIRED, "the token has expired");
    else if (s->rolls_over_us && s->rolls_over_us <= loop_now_us(s->worker->loop))
        send_away(s, random_below(ROLL_OVER_SPREAD_MS), "rollover");
    else
        session_watch_expiry(s); /* the wall clock may have been set back meanwhile */
}

void session_watch_expiry(Session *s) {
    int64_t left_us = s->claims.expires_at - clock_now_us();
    int64_t rolls_us = s->rolls_over_us - loop_now_us(s->worker->loop);
    if (s->rolls_over_us && rolls_us < left_us) left_us = rolls_us;
    s->expiry.expired = time_is_over;
    loop_timer_set(s->worker->loop, &s->expiry, left_us > 0 ? left_us / 1000 + 1 : 1);
}

/* A stream is ended by us, politely, before a proxy cuts it; in the last tenth of its time, each at another
 * instant. */
static void set_roll_over(Session *s) {
    int64_t most_us = s->worker->gateway->stream_us;
    if (!most_us) return;
    s->rolls_over_us =
        loop_now_us(s->worker->loop) + most_us - (int64_t)random_below((uint32_t)(most_us / 10000)) * 1000;
}

void session_open(Session *s, const SessionWire *wire, void *to) {
    Sessions *all = s->worker->sessions;
    char id[UUID_TEXT];
    Uuid uuid = uuid_v4();
    uuid_format(&uuid, id);
    s->wire = wire;
    s->to = to;
    s->next = all->first;
    s->at = &all->first;
    if (s->next) s->next->at = &s->next;
    all->first = s;
    all->count++;
    counts_streams(s->worker->counts, 1);
    s->told = s->left = all->position;
    s->rejections =
        interest_of_user(all->interests, span_of(s->claims.tenant_id), span_of(s->claims.user_id), s);
    set_roll_over(s);
    session_watch_expiry(s);
    session_send(s, frame_welcome(session_form(s), id, all->position, all->epoch, SESSION_HEARTBEAT_S));
}

void session_close(Session *s, int code, const char *reason) {
    if (s->closing) return;
    s->closing = true;
    s->wire->close(s->to, code, reason);
}

/* --- slow readers --- */

void session_note_left(Session *s, int64_t position) {
    if (s->lagging || s->wire->queued(s->to)) return;
    int64_t outcomes = position;
    for (size_t i = 0; i < s->subscription_count; i++) {
        Subscription *sub = &s->subscriptions[i];
        sub->left = cursor_offered(&sub->cursor, position);
        if (sub->again && sub->left < outcomes) outcomes = sub->left;
    }
    if (outcomes > s->left) s->left = outcomes;
}

/* What waits for it is dropped, and what that was is offered again when it reads. Until then it may ask, and
 * is answered, as long as there is room for that. */
static void fall_behind(Session *s) {
    bool covered = false;
    s->lagging = true;
    for (size_t i = 0; i < s->subscription_count; i++) {
        cursor_rewind(&s->subscriptions[i].cursor, s->subscriptions[i].left);
        s->subscriptions[i].ahead_seen = 0;
        s->subscriptions[i].again = true;
        covered = covered || s->subscriptions[i].cursor.at <= s->left;
    }
    if (!covered) session_owe_outcomes(s, s->left);
    s->wire->drop(s->to);
    watch_dropped(s);
    counts_lagging(s->worker->counts);
}

static void too_much_waits(Session *s) {
    if (s->wire->drop && !s->lagging)
        fall_behind(s);
    else
        session_close(s, SESSION_SLOW, "too much is waiting; come back with your position");
}

void session_drained(Session *s) {
    if (s->lagging && !s->closing) {
        s->lagging = false;
        s->told = session_position(s);
        session_send(s, frame_resync(session_form(s), 0, s->told, "lagging"));
        for (size_t i = 0; i < s->subscription_count && !s->closing; i++) {
            const Subscription *sub = &s->subscriptions[i];
            if (sub->outcomes) continue;
            session_send(s, frame_subscribed(session_form(s), sub->id, sub->cursor.at, false));
        }
    }
    resume_kick(s);
}

bool session_send(Session *s, Blob *frame) {
    bool sent = frame && !s->closing && s->wire->send(s->to, frame);
    if (!frame)
        session_close(s, SESSION_BROKEN, "out of memory");
    else if (!sent && !s->closing)
        too_much_waits(s);
    blob_unref(frame);
    return sent;
}

int64_t session_position(const Session *s) {
    int64_t position = s->worker->sessions->position;
    for (size_t i = 0; i < s->subscription_count; i++)
        position = cursor_allows(&s->subscriptions[i].cursor, position);
    return position;
}

Subscription *session_subscription(Session *s, uint32_t id) {
    for (size_t i = 0; i < s->subscription_count; i++)
        if (s->subscriptions[i].id == id && !s->subscriptions[i].outcomes) return &s->subscriptions[i];
    return NULL;
}

static Subscription *owed_outcomes(const Session *s) {
    for (size_t i = 0; i < s->subscription_count; i++)
        if (s->subscriptions[i].outcomes) return &s->subscriptions[i];
    return NULL;
}

size_t session_own_subscriptions(const Session *s) {
    return s->subscription_count - (owed_outcomes(s) != NULL);
}

static Subscription *push(Session *s, Filter *filter, Cursor cursor) {
    Subscription *sub = &s->subscriptions[s->subscription_count++];
    *sub = (Subscription){.serial = ++s->last_serial, .cursor = cursor, .left = cursor.at, .filter = filter};
    return sub;
}

Subscription *session_add_subscription(Session *s, Filter *filter, Cursor cursor) {
    size_t room = s->subscription_count + 2; /* for it, and for what is owed */
    s->subscriptions = must(realloc(s->subscriptions, room * sizeof *s->subscriptions));
    return push(s, filter, cursor);
}

/* Where a send has failed somebody may hold one of the others: none is moved. */
void session_owe_outcomes(Session *s, int64_t left) {
    Events__V1__Subscribe in = EVENTS__V1__SUBSCRIBE__INIT;
    char *type = (char *)"CommandRejected";
    const char *code;
    in.event_types = &type;
    in.n_event_types = 1;
    Subscription *sub = owed_outcomes(s);
    if (!sub) {
        if (!s->subscriptions) s->subscriptions = must(calloc(1, sizeof *s->subscriptions));
        sub = push(s, filter_new(&in, &s->claims, &code), (Cursor){.at = left});
        sub->outcomes = sub->again = true;
    } else if (sub->cursor.at > left) {
        cursor_rewind(&sub->cursor, left);
        sub->left = left;
        sub->ahead_seen = 0;
    }
}

void session_end_subscription(Session *s, Subscription *sub) {
    watch_end(s, sub);
    filter_free(sub->filter);
    interest_end(s->worker->sessions->interests, sub->interest);
    *sub = s->subscriptions[--s->subscription_count];
}

void session_tell_resync(Session *s, uint32_t id, const char *reason) {
    session_send(s, frame_resync(session_form(s), id, s->worker->sessions->position, reason));
    if (s->wire->single) session_close(s, SESSION_OVER, "");
}

void session_resync(Session *s, Subscription *sub, const char *reason) {
    uint32_t id = sub->id;
    session_end_subscription(s, sub);
    session_tell_resync(s, id, reason);
}

Sessions *sessions_new(Worker *worker) {
    Sessions *all = must(calloc(1, sizeof *all));
    all->worker = worker;
    all->interests = interests_new();
    all->pages = log_pages_new(worker);
    all->watches = watches_new(all);
    all->ahead = ahead_new();
    live_start(all);
    return all;
}

Sessions *sessions_free(Sessions *all) {
    if (!all) return NULL;
    watches_free(all->watches);
    interests_free(all->interests);
    resume_forget(all);
    log_pages_free(all->pages);
    ahead_free(all->ahead);
    free(all->touched);
    free(all);
    return NULL;
}

void sessions_drain(Sessions *all, int64_t window_us) {
    all->drain = drain_begin(all->count, window_us, loop_now_us(all->worker->loop));
    all->drained = 0;
    sessions_drain_on(all);
}

/* They come back spread over another two seconds, so that also the few of a short window do not meet. */
void sessions_drain_on(Sessions *all) {
    size_t due = drain_due(&all->drain, loop_now_us(all->worker->loop));
    for (Session *s = all->first, *next; s && all->drained < due; s = next) {
        next = s->next;
        if (s->closing) continue; /* the good-bye of some takes its time */
        send_away(s, RECONNECT_MIN_MS + random_below(RECONNECT_SPREAD_MS), "shutdown");
        all->drained++;
    }
}

void sessions_revoke(Sessions *all, const Revoked *set) {
    for (Session *s = all->first, *next; s; s = next) {
        next = s->next;
        if (revoked_has(set, &s->claims)) session_close(s, SESSION_EXPIRED, "the session is revoked");
    }
}
