/* session_input.c - what a client may say, one function per frame. */
#include "base/clock.h"
#include "gateway/auth/token_cache.h"
#include "gateway/stream/resume.h"
#include "gateway/stream/watch.h"
#include <stdio.h>
#include <stdlib.h>

enum { ARENA_BYTES = 1 << 20, MESSAGES_BURST = 500, MESSAGE_US = 10000 }; /* then a hundred a second */
enum { NAMES_A_MESSAGE = 32, MESSAGES_A_REFUSAL = 50 }; /* what costs more counts as so many */
enum { CLOSE_REASON = 124 }; /* RFC 6455 section 5.5: a control frame has 125 bytes, two of them the code */

static const struct {
    const char *code, *text;
} TEXTS[] = {
    {"unknown_frame", "a message is exactly one frame of events.v1.ClientFrame"},
    {"forbidden", "the token does not allow this"},
    {"invalid_subject", "a subject is type/id or type/*"},
    {"too_many", "at most 32 subscriptions, with 256 subjects (32 with presence) and 256 types each"},
    {"unknown_id", "no subscription has this id"},
    {"duplicate_id", "a subscription of this connection has this id already"},
};

static void tell_error(Session *s, uint32_t id, const char *code) {
    const char *text = "";
    for (size_t i = 0; i < COUNT(TEXTS); i++)
        if (!strcmp(TEXTS[i].code, code)) text = TEXTS[i].text;
    session_send(s, frame_error(session_form(s), id, code, text));
}

static const char *subscribe_fault(Session *s, const Events__V1__Subscribe *in) {
    if (session_subscription(s, in->id)) return "duplicate_id";
    return session_own_subscriptions(s) == SUBSCRIPTIONS_MAX ? "too_many" : NULL;
}

static Subscription *add_subscription(Session *s, const Events__V1__Subscribe *in, Filter *filter,
                                      Cursor cursor) {
    Subscription *sub = session_add_subscription(s, filter, cursor);
    sub->id = in->id;
    sub->interest = interest_in(s->worker->sessions->interests, span_of(s->claims.tenant_id), filter, s);
    return sub;
}

const char *session_subscribe(Session *s, const Events__V1__Subscribe *in) {
    const Sessions *all = s->worker->sessions;
    const char *code = subscribe_fault(s, in);
    Filter *filter = code ? NULL : filter_new(in, &s->claims, &code);
    if (!filter) return code;
    bool resumes = in->resume_case == EVENTS__V1__SUBSCRIBE__RESUME_AFTER;
    if (resumes && *in->epoch && strcmp(in->epoch, all->epoch)) {
        filter_free(filter);
        session_tell_resync(s, in->id, "epoch");
        return NULL;
    }
    Cursor begin = cursor_begin(resumes, in->after, all->position);
    /* it is given nothing live until the rest has left, or before what went ahead */
    if (s->lagging || ahead_any(all->ahead)) begin.live = false;
    session_note_left(s, all->position);
    Subscription *sub = add_subscription(s, in, filter, begin);
    bool told = session_send(s, frame_subscribed(session_form(s), in->id, begin.at, begin.live));
    if (in->presence) watch_begin(s, sub, in);
    if (told) resume_kick(s);
    return NULL;
}

/* Of thousands that are open already each may name 8,192 subjects, which are megabytes. */
static bool is_shed(Session *s) {
    Memory *memory = s->worker->gateway->memory;
    if (!memory_is_short(memory, s->worker->loop)) return false;
    memory_shed(memory);
    session_close(s, SESSION_SLOW, "the gateway is short of memory; try again");
    return true;
}

static void counts_as(Session *s, size_t messages) {
    s->quiet_at_us += (int64_t)messages * MESSAGE_US;
}

static void subscribe(Session *s, const Events__V1__ClientFrame *frame) {
    if (is_shed(s)) return;
    counts_as(s, (frame->subscribe->n_subjects + frame->subscribe->n_event_types) / NAMES_A_MESSAGE);
    const char *code = session_subscribe(s, frame->subscribe);
    if (code) tell_error(s, frame->subscribe->id, code);
}

static void unsubscribe(Session *s, const Events__V1__ClientFrame *frame) {
    Subscription *sub = session_subscription(s, frame->unsubscribe->id);
    if (!sub) {
        tell_error(s, frame->unsubscribe->id, "unknown_id");
        return;
    }
    if (sub->again) session_owe_outcomes(s, sub->cursor.at > s->left ? sub->cursor.at : s->left);
    session_end_subscription(s, sub);
    resume_kick(s);
}

/* A new token for the same user; another user's would change whose stream this is. */
static void refresh_token(Session *s, const Events__V1__ClientFrame *frame) {
    Claims claims;
    Err err = {0};
    int64_t now = clock_now_us();
    if (!token_check(s->worker->tokens, span_of(frame->refresh_token->token), now, &claims, &err)) {
        counts_as(s, MESSAGES_A_REFUSAL);                                       /* signatures are looked at */
        session_send(s, frame_error(session_form(s), 0, "forbidden", err.why)); /* the one before holds */
        return;
    }
    if (strcmp(claims.user_id, s->claims.user_id) || strcmp(claims.tenant_id, s->claims.tenant_id)) {
        session_close(s, SESSION_FORBIDDEN, "the token is another user's");
        return;
    }
    s->claims = claims;
    for (size_t i = 0; i < s->subscription_count && !(claims.scope_bits & SCOPE_READ); i++)
        watch_end(s, &s->subscriptions[i]);
    session_watch_expiry(s);
}

static void ping(Session *s, const Events__V1__ClientFrame *frame) {
    session_send(s, frame_pong(session_form(s), frame->ping->nonce));
}

static void (*const HANDLERS[])(Session *, const Events__V1__ClientFrame *) = {
    [EVENTS__V1__CLIENT_FRAME__FRAME_SUBSCRIBE] = subscribe,
    [EVENTS__V1__CLIENT_FRAME__FRAME_UNSUBSCRIBE] = unsubscribe,
    [EVENTS__V1__CLIENT_FRAME__FRAME_REFRESH_TOKEN] = refresh_token,
    [EVENTS__V1__CLIENT_FRAME__FRAME_PING] = ping,
};

/* A message costs us more than its sender: a token is verified, a page of history is read and encoded. */
static bool may_speak(Session *s) {
    int64_t now = loop_now_us(s->worker->loop);
    if (s->quiet_at_us < now) s->quiet_at_us = now;
    s->quiet_at_us += MESSAGE_US;
    return s->quiet_at_us - now <= (int64_t)MESSAGES_BURST * MESSAGE_US;
}

/* Names of the contract and numbers only: what the bytes hold is not told. */
static void close_undecodable(Session *s, const FieldFaults *faults) {
    char why[CLOSE_REASON] = "not a protobuf message";
    if (faults->count && *faults->at[0].field)
        snprintf(why, sizeof why, "%s: %s", faults->at[0].field, faults->at[0].code);
    session_close(s, SESSION_UNDECODABLE, why);
}

void session_message(Session *s, bool text, Span bytes) {
    if (s->closing) return;
    if (!may_speak(s)) {
        session_close(s, SESSION_FLOOD, "too many messages");
        return;
    }
    if (text) {
        session_close(s, SESSION_TEXT, "messages are binary");
        return;
    }
    AUTO(Arena) arena = arena_new(ARENA_BYTES);
    Events__V1__ClientFrame *frame;
    FieldFaults faults = {0};
    switch (frame_read(bytes, arena, &frame, &faults)) {
    case FRAME_UNDECODABLE: close_undecodable(s, &faults); break;
    case FRAME_UNKNOWN: tell_error(s, 0, "unknown_frame"); break;
    case FRAME_GOOD: HANDLERS[frame->frame_case](s, frame); break;
    }
}
