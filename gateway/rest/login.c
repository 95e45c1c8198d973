/* login.c - signing in. Everything here runs on threads of its own, the loops only carry it there and
 * back. A hash takes 40 ms, all else 1 ms: so hashes have their own threads, and who is signed in already
 * does not wait behind somebody who tries passwords. */
#include "gateway/rest/login.h"

#include "base/clock.h"
#include "base/log.h"
#include "events/v1/rest.pb-c.h"
#include "gateway/rest/answer.h"
#include "gateway/rest/handlers.h"
#include "store/users/user_sessions.h"
#include <stdio.h>
#include <stdlib.h>

enum { ARENA_BYTES = 64 << 10 };

struct UsersContext {
    const char *url;
    Users *users;
};

void *users_context_open(void *url) {
    UsersContext *c = must(calloc(1, sizeof *c));
    c->url = url;
    return c;
}

void users_context_close(void *context) {
    UsersContext *c = context;
    users_free(c->users);
    free(c);
}

bool users_context(UsersContext *c, Users **ret, Err *err) {
    if (!c->users && !users_open(c->url, &c->users, err)) return false;
    *ret = c->users;
    return true;
}

void users_context_failed(UsersContext *c, const Err *err) {
    if (err->kind && err->kind->http >= 500) c->users = users_free(c->users);
}

/* A call of those below, on its way. */
typedef struct AuthWork {
    Job job;
    Request *request;
    Arena *arena;
    bool (*work)(struct AuthWork *w, Users *users, Err *err);
    ProtobufCMessage *message; /* the request's; NULL where it has none */
    char origin[ORIGIN_MAX];
    Answer answer;
    Err err;
} AuthWork;

static void run(Job *job, void *context) {
    AuthWork *w = CONTAINER(job, AuthWork, job);
    Users *users;
    if (!users_context(context, &users, &w->err) || !w->work(w, users, &w->err))
        users_context_failed(context, &w->err);
}

static void finish(AuthWork *w) {
    if (w->err.kind)
        answer_err(w->request, &w->err);
    else
        answer_send(w->request, &w->answer);
    arena_free(w->arena);
    free(w);
}

static void back(Job *job) {
    AuthWork *w = CONTAINER(job, AuthWork, job);
    w->request->worker->in_flight--;
    if (job->late) err_set(&w->err, &ERR_UNAVAILABLE, "too many log-ins wait");
    finish(w);
}

static AuthWork *work_new(Request *r, bool (*work)(AuthWork *, Users *, Err *)) {
    AuthWork *w = must(calloc(1, sizeof *w));
    w->job = (Job){.run = run, .done = back};
    w->request = r;
    w->arena = arena_new(ARENA_BYTES);
    w->work = work;
    return w;
}

static void work_start(AuthWork *w, Pool *threads) {
    Worker *worker = w->request->worker;
    if (pool_submit(threads, worker->loop, &w->job, &w->err))
        worker->in_flight++;
    else
        finish(w);
}

/* Decodes the body; has answered and freed the work where false. */
static bool read_body(AuthWork *w, const char *type) {
    Request *r = w->request;
    FieldFaults faults = {0};
    const MessageType *t = message_type(span_of(type));
    Span body = http_body(r->x);
    bool ok = request_is_protobuf(r) ? message_from_protobuf(t, body, w->arena, &w->message, &faults)
                                     : message_from_json(t, body, w->arena, &w->message, &faults);
    if (ok && w->message) return true;
    answer_faults(r, 400, "invalid", "the body is not what this call takes", &faults);
    arena_free(w->arena);
    free(w);
    return false;
}

/* --- tokens --- */

static SessionTimes times_now(const Gateway *g) {
    return (SessionTimes){.now = clock_now_us(), .access_us = g->access_us, .refresh_us = g->refresh_us};
}

static Claims claims_of(const User *user, int64_t expires_at) {
    Claims claims = {.generation = user->generation, .expires_at = expires_at};
    memcpy(claims.user_id, user->user_id, sizeof claims.user_id);
    memcpy(claims.tenant_id, user->tenant_id, sizeof claims.tenant_id);
    memcpy(claims.scopes, user->scopes, sizeof claims.scopes);
    memcpy(claims.session_id, user->session_id, sizeof claims.session_id);
    memcpy(claims.username, user->username, sizeof claims.username);
    return claims;
}

static bool answer_tokens(AuthWork *w, const User *user, const char *refresh, int64_t now, Err *err) {
    Gateway *g = w->request->gateway;
    AUTO_BUF access = {0};
    Claims claims = claims_of(user, now + g->access_us);
    if (!token_mint(g->tokens, &claims, now, &access, err)) return false;
    buf_byte(&access, 0);
    Events__V1__TokenReply reply = EVENTS__V1__TOKEN_REPLY__INIT;
    reply.access_token = access.at;
    reply.refresh_token = (char *)refresh;
    reply.token_type = (char *)"Bearer";
    reply.expires_in = (int32_t)(g->access_us / 1000000);
    answer_message(w->request, &w->answer, &reply.base);
    return true;
}

static bool login(AuthWork *w, Users *users, Err *err) {
    const Events__V1__LoginRequest *in = (const Events__V1__LoginRequest *)w->message;
    SessionTimes times = times_now(w->request->gateway);
    User user;
    char refresh[SECRET_TEXT];
    return user_login(users, span_of(in->username), span_of(in->password), &user, err) &&
           refresh_issue(users, &times, &user, refresh, err) &&
           answer_tokens(w, &user, refresh, times.now, err);
}

static bool refresh(AuthWork *w, Users *users, Err *err) {
    const Events__V1__RefreshRequest *in = (const Events__V1__RefreshRequest *)w->message;
    SessionTimes times = times_now(w->request->gateway);
    Renewal renewal;
    bool ok = refresh_rotate(users, &times, span_of(in->refresh_token), &renewal, err);
    if (renewal.revoked) revocations_spread(w->request->gateway->revocations);
    return ok && answer_tokens(w, &renewal.user, renewal.token, times.now, err);
}

/* Of the session that the token belongs to; the user's others stay. */
static bool logout(AuthWork *w, Users *users, Err *err) {
    Gateway *g = w->request->gateway;
    SessionTimes times = times_now(g);
    Span session = span_of(w->request->claims.session_id);
    if (!session.len) return err_set(err, &ERR_INVALID, "the token belongs to no session");
    if (!session_end(users, &times, session, err)) return false;
    revocations_spread(g->revocations);
    w->answer.status = 204;
    return true;
}

static void answer_slow_down(AuthWork *w, int64_t seconds) {
    Request *r = w->request;
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)seconds);
    answer_refusal(r, &ERR_RATE_LIMITED, "too many attempts from this address",
                   (HttpField){"retry-after", span_of(text)});
    arena_free(w->arena);
    free(w);
}

/* The attempt is counted before the password is looked at, and given back where it was right. */
static void login_back(Job *job) {
    AuthWork *w = CONTAINER(job, AuthWork, job);
    const Events__V1__LoginRequest *in = (const Events__V1__LoginRequest *)w->message;
    if (!w->err.kind)
        attempts_forgive(w->request->gateway->attempts, span_of(in->username), w->request->peer);
    back(job);
}

void rest_login(Request *r) {
    AuthWork *w = work_new(r, login);
    if (!read_body(w, "LoginRequest")) return;
    const Events__V1__LoginRequest *in = (const Events__V1__LoginRequest *)w->message;
    int64_t retry_after;
    w->job.done = login_back;
    if (attempts_take(r->gateway->attempts, span_of(in->username), r->peer, clock_mono_us(), &retry_after))
        work_start(w, r->gateway->logins);
    else
        answer_slow_down(w, retry_after);
}

void rest_refresh(Request *r) {
    AuthWork *w = work_new(r, refresh);
    if (read_body(w, "RefreshRequest")) work_start(w, r->gateway->user_threads);
}

void rest_logout(Request *r) {
    work_start(work_new(r, logout), r->gateway->user_threads);
}

/* --- tickets --- */

static bool ticket(AuthWork *w, Users *users, Err *err) {
    const Claims *claims = &w->request->claims;
    TicketGrant grant = {.generation = claims->generation, .session_expires_at = claims->expires_at};
    char text[SECRET_TEXT];
    memcpy(grant.user_id, claims->user_id, sizeof grant.user_id);
    memcpy(grant.tenant_id, claims->tenant_id, sizeof grant.tenant_id);
    memcpy(grant.scopes, claims->scopes, sizeof grant.scopes);
    memcpy(grant.session_id, claims->session_id, sizeof grant.session_id);
    memcpy(grant.username, claims->username, sizeof grant.username);
    memcpy(grant.origin, w->origin, sizeof grant.origin);
    if (!ticket_issue(users, &grant, clock_now_us(), text, err)) return false;
    Events__V1__TicketReply reply = EVENTS__V1__TICKET_REPLY__INIT;
    reply.ticket = text;
    reply.expires_in = TICKET_SECONDS;
    answer_message(w->request, &w->answer, &reply.base);
    return true;
}

void rest_ticket(Request *r) {
    AuthWork *w = work_new(r, ticket);
    if (span_copy(http_header(r->x, "origin"), w->origin, sizeof w->origin)) {
        work_start(w, r->gateway->user_threads);
        return;
    }
    err_set(&w->err, &ERR_INVALID, "the Origin is too long");
    finish(w);
}
