#include "gateway/stream/watch.h"

#include "base/clock.h"
#include <stdlib.h>

enum {
    COALESCE_MS = 200,
    AGAIN_MS = 1000,       /* until somebody who reads slowly is looked at again */
    ROOMS_AT_FIRST = 1024, /* that a pattern is told of when it begins; of others when they change */
    ROOMS_AT_ONCE = 8,
    /* A storm of comings and goings is told to many: after a slice of that time the loop has a pause for others. */
    SLICE_US = 1000,
    PAUSE_MS = 20,
};

typedef struct Seat {
    Room *room;   /* NULL: there was none */
    int64_t told; /* version of its viewers */
} Seat;

struct PresenceWatch {
    Interest *interest;
    bool wide; /* it names patterns, or everything */
    size_t count;
    Seat seats[];
};

struct Watches {
    Sessions *sessions;
    Presence *presence;
    PresenceListener listener;
    Interests *interests;
    size_t count;
    Timer tell;
    int64_t told_us;
    bool behind; /* somebody is */
    bool more;   /* the slice was over before all was told: the timer goes on after the pause */
    int64_t until_us;
    uint32_t pass;   /* of catch_up() over the sessions: who falls behind meanwhile is for the next one */
    Session **asked; /* who wants the news at hand, each once */
    size_t asked_count, asked_size;
    uint32_t round;
};

/* --- telling --- */

static bool can_take(const Session *s) {
    return !s->lagging && (!s->wire->high || s->wire->queued(s->to) <= s->wire->high);
}

static void begin_slice(Watches *all) {
    all->until_us = clock_mono_us() + SLICE_US;
}

static bool slice_is_over(const Watches *all) {
    return clock_mono_us() >= all->until_us;
}

/* whole: of all that it watches, else of what its patterns cover. */
static void note_behind(Session *s, bool whole) {
    Watches *all = s->worker->sessions->watches;
    if (!s->presence_pass) s->presence_pass = all->pass + 1;
    s->presence_whole |= whole;
    all->behind = true;
}

/* It hears of all that it watches as soon as it has read. */
static void put_off(Session *s) {
    Watches *all = s->worker->sessions->watches;
    note_behind(s, true);
    if (!all->tell.slot) loop_timer_set(s->worker->loop, &all->tell, AGAIN_MS);
}

/* The news of a room as they go to those of one kind of wire. */
typedef struct Made {
    FrameMake *make;
    Blob *frame;
} Made;

static void tell_made(Session *s, const Blob *frame, Made *made) {
    FrameForm form = session_form(s);
    if (s->closing || !frame) return;
    if (!can_take(s)) {
        put_off(s);
        return;
    }
    if (made->make != form.make) {
        blob_unref(made->frame);
        *made = (Made){form.make, form.make(blob_view(frame), form.epoch)};
    }
    session_send(s, made->frame ? blob_ref(made->frame) : NULL);
}

static void tell(Session *s, const Blob *frame) {
    Made made = {NULL, NULL};
    tell_made(s, frame, &made);
    blob_unref(made.frame);
}

/* Has every seat that the session has in this room been told of this version? One that has none has not. */
static bool knows(Session *s, const RoomNews *news) {
    bool sits = false, told = true;
    for (size_t i = 0; i < s->subscription_count; i++) {
        PresenceWatch *w = s->subscriptions[i].watch;
        for (size_t k = 0; w && k < w->count; k++) {
            if (w->seats[k].room != news->room) continue;
            sits = true;
            told &= w->seats[k].told >= news->version;
            w->seats[k].told = news->version;
        }
    }
    return sits && told;
}

static void ask(void *user, void *who) {
    Watches *all = user;
    Session *s = who;
    if (s->presence_round == all->round) return;
    s->presence_round = all->round;
    if (all->asked_count == all->asked_size) {
        all->asked_size = all->asked_size ? all->asked_size * 2 : 64;
        all->asked = must(realloc(all->asked, all->asked_size * sizeof(Session *)));
    }
    all->asked[all->asked_count++] = s;
}

static void tell_all(Watches *all, const RoomNews *news) {
    all->round++;
    all->asked_count = 0;
    interests_each_in(all->interests, news->tenant, news->subject, ask, all);
    Made made = {NULL, NULL};
    for (size_t i = 0; i < all->asked_count; i++)
        if (!knows(all->asked[i], news)) tell_made(all->asked[i], news->frame, &made);
    blob_unref(made.frame);
}

static bool any_wide(const Session *s) {
    for (size_t i = 0; i < s->subscription_count; i++)
        if (s->subscriptions[i].watch && s->subscriptions[i].watch->wide) return true;
    return false;
}

/* Is one of the session's patterns for this room? */
static bool covers(const Session *s, const RoomNews *news) {
    for (size_t i = 0; i < s->subscription_count; i++) {
        const Subscription *sub = &s->subscriptions[i];
        if (sub->watch && sub->watch->wide && filter_covers(sub->filter, news->subject)) return true;
    }
    return false;
}

static void tell_rooms(Session *s) {
    RoomList list =
        presence_rooms(s->worker->gateway->presence, span_of(s->claims.tenant_id), ROOMS_AT_FIRST);
    for (size_t i = 0; i < list.count; i++) {
        if (covers(s, &list.at[i]) && !knows(s, &list.at[i])) tell(s, list.at[i].frame);
        room_news_clear(&list.at[i]);
    }
    free(list.at);
}

static void tell_seats(Session *s, PresenceWatch *w) {
    for (size_t i = 0; i < w->count; i++) {
        if (!w->seats[i].room) continue;
        RoomNews news = room_news(s->worker->gateway->presence, w->seats[i].room);
        w->seats[i].told = news.version;
        tell(s, news.frame);
        room_news_clear(&news);
    }
}

static void tell_behind(Session *s) {
    for (size_t i = 0; i < s->subscription_count && s->presence_whole; i++)
        if (s->subscriptions[i].watch) tell_seats(s, s->subscriptions[i].watch);
    s->presence_pass = 0;
    s->presence_whole = false;
    if (any_wide(s)) tell_rooms(s);
}

/* Over several slices, if need be. */
static void catch_up(Watches *all) {
    begin_slice(all);
    all->behind = false;
    for (Session *s = all->sessions->first, *next; s; s = next) {
        next = s->next;
        if (!s->presence_pass || s->closing) continue;
        bool ready = can_take(s), due = s->presence_pass <= all->pass;
        if (ready && due && !slice_is_over(all)) {
            tell_behind(s);
            continue;
        }
        all->behind = true;
        all->more |= ready;
        if (ready && due) return; /* and the pass goes on */
    }
    all->pass++;
}

/* False where the slice was over before. */
static bool tell_news(Watches *all) {
    begin_slice(all);
    for (size_t count = ROOMS_AT_ONCE; count == ROOMS_AT_ONCE;) {
        if (slice_is_over(all)) return false;
        RoomList list = presence_news(all->presence, &all->listener, ROOMS_AT_ONCE);
        count = list.count;
        for (size_t i = 0; i < list.count; i++) {
            tell_all(all, &list.at[i]);
            room_news_clear(&list.at[i]);
        }
        free(list.at);
    }
    return true;
}

static void time_to_tell(Timer *timer) {
    Watches *all = CONTAINER(timer, Watches, tell);
    Loop *loop = all->sessions->worker->loop;
    all->told_us = loop_now_us(loop);
    all->more = !tell_news(all);
    if (all->behind) catch_up(all);
    if (all->more)
        loop_timer_set(loop, timer, PAUSE_MS);
    else if (all->behind)
        loop_timer_set(loop, timer, AGAIN_MS);
}

/* At once where there was nothing lately, else at the end of the fifth of a second. */
static void tell_soon(Watches *all) {
    Loop *loop = all->sessions->worker->loop;
    int64_t wait_us = all->told_us + COALESCE_MS * 1000 - loop_now_us(loop);
    if (!all->more) loop_timer_set(loop, &all->tell, wait_us > 0 ? wait_us / 1000 + 1 : 0);
}

static void news_have_come(PresenceListener *listener) {
    tell_soon(CONTAINER(listener, Watches, listener));
}

/* --- coming and going --- */

Watches *watches_new(Sessions *sessions) {
    Watches *all = must(calloc(1, sizeof *all));
    all->sessions = sessions;
    all->presence = sessions->worker->gateway->presence;
    all->interests = interests_new();
    all->tell.expired = time_to_tell;
    all->listener = (PresenceListener){.wake = news_have_come, .loop = sessions->worker->loop};
    presence_listen(all->presence, &all->listener);
    return all;
}

void watches_stop(Watches *all) {
    loop_timer_stop(all->sessions->worker->loop, &all->tell);
}

Watches *watches_free(Watches *all) {
    if (!all) return NULL;
    interests_free(all->interests);
    free(all->asked);
    free(all);
    return NULL;
}

static void take_seat(Session *s, PresenceWatch *w, Span subject) {
    Room *room =
        presence_enter(s->worker->gateway->presence, span_of(s->claims.tenant_id), subject, &s->claims);
    w->seats[w->count++] = (Seat){.room = room};
    AUTO(Blob) unknown = room ? NULL : presence_unknown(subject);
    tell(s, unknown);
}

void watch_begin(Session *s, Subscription *sub, const Events__V1__Subscribe *in) {
    Watches *all = s->worker->sessions->watches;
    size_t count;
    const Span *subjects = filter_subjects(sub->filter, &count);
    PresenceWatch *w = must(calloc(1, sizeof *w + count * sizeof(Seat)));
    if (!all->count++) presence_listening(all->presence, &all->listener, true);
    Events__V1__Subscribe any_type = *in; /* presence knows none */
    any_type.n_event_types = 0;
    const char *code;
    AUTO(Filter) where = filter_new(&any_type, &s->claims, &code);
    w->interest = interest_in(all->interests, span_of(s->claims.tenant_id), where, s);
    w->wide = !count;
    sub->watch = w;
    for (size_t i = 0; i < count; i++) {
        if (span_ends(subjects[i], SPAN("/")))
            w->wide = true;
        else
            take_seat(s, w, subjects[i]);
    }
    tell_seats(s, w);
    if (!w->wide) return;
    note_behind(s, false);
    tell_soon(all);
}

void watch_end(Session *s, Subscription *sub) {
    Watches *all = s->worker->sessions->watches;
    PresenceWatch *w = sub->watch;
    if (!w) return;
    sub->watch = NULL;
    for (size_t i = 0; i < w->count; i++)
        if (w->seats[i].room) presence_leave(all->presence, w->seats[i].room, s->claims.user_id);
    interest_end(all->interests, w->interest);
    free(w);
    if (!--all->count) presence_listening(all->presence, &all->listener, false);
}

void watch_dropped(Session *s) {
    for (size_t i = 0; i < s->subscription_count; i++)
        if (s->subscriptions[i].watch) put_off(s);
}
