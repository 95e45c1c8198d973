/* upgrade.c - how a client gets from a GET, or on HTTP/2 from an extended CONNECT, to a stream: upgrade,
 * origin, subprotocol, token; each refusal is an HTTP answer, before there is a WebSocket.
 *
 * A browser cannot set a header on a WebSocket. So the token may come as a second subprotocol (never echoed:
 * it would end up in logs of proxies), or as a ticket, which is worth nothing a moment later and may thus
 * stand in a URL. */
#include "base/clock.h"
#include "gateway/auth/origin.h"
#include "gateway/rest/answer.h"
#include "gateway/rest/handlers.h"
#include "gateway/rest/login.h"
#include "gateway/stream/socket.h"
#include "gateway/tracing.h"
#include "store/users/user_sessions.h"
#include <stdlib.h>

#define PROTOCOL "events.v1.protobuf"

typedef struct Offered {
    bool any, ours;
    Span bearer;
} Offered;

static bool look_at_protocol(void *user, Span protocol) {
    Offered *offered = user;
    Span bearer = SPAN("bearer.");
    if (span_starts(protocol, bearer))
        offered->bearer = (Span){protocol.at + bearer.len, protocol.len - bearer.len};
    offered->any |= !span_starts(protocol, bearer);
    offered->ours |= span_is(protocol, PROTOCOL);
    return true;
}

static void open_stream(Request *r, const Claims *claims, bool protocol) {
    Worker *worker = r->worker;
    Session *session = session_new(worker, claims);
    WebSocketEvents events = socket_events(session);
    tracing_answered(r, http_is_h2(r->x) ? 200 : 101);
    WebSocket *ws = websocket_accept(r->x, protocol ? PROTOCOL : NULL, &events);
    if (ws)
        session_open(session, socket_wire(ws), ws);
    else
        session_discard(session);
}

/* --- by ticket: looked up on a user thread --- */

typedef struct TicketWork {
    Job job;
    Request *request;
    bool protocol;
    char ticket[SECRET_TEXT], origin[ORIGIN_MAX];
    TicketGrant grant;
    Err err;
} TicketWork;

static void take_ticket(Job *job, void *context) {
    TicketWork *w = CONTAINER(job, TicketWork, job);
    Users *users;
    if (!users_context(context, &users, &w->err) ||
        !ticket_take(users, span_of(w->ticket), span_of(w->origin), clock_now_us(), &w->grant, &w->err))
        users_context_failed(context, &w->err);
}

static Claims claims_of(const TicketGrant *grant) {
    Claims claims = {.generation = grant->generation, .expires_at = grant->session_expires_at};
    memcpy(claims.user_id, grant->user_id, sizeof claims.user_id);
    memcpy(claims.tenant_id, grant->tenant_id, sizeof claims.tenant_id);
    memcpy(claims.scopes, grant->scopes, sizeof claims.scopes);
    memcpy(claims.session_id, grant->session_id, sizeof claims.session_id);
    memcpy(claims.username, grant->username, sizeof claims.username);
    claims.scope_bits = scopes_parse(span_of(claims.scopes), NULL);
    return claims;
}

static void finish_ticket(TicketWork *w) {
    Claims claims = claims_of(&w->grant);
    if (!w->err.kind && token_is_revoked(w->request->worker->tokens, &claims))
        err_set(&w->err, &ERR_UNAUTHENTICATED, "the ticket's user or session is revoked");
    if (w->err.kind)
        answer_err(w->request, &w->err);
    else
        open_stream(w->request, &claims, w->protocol);
    free(w);
}

static void ticket_back(Job *job) {
    TicketWork *w = CONTAINER(job, TicketWork, job);
    w->request->worker->in_flight--;
    if (job->late) err_set(&w->err, &ERR_UNAVAILABLE, "too many tickets wait");
    finish_ticket(w);
}

static void open_by_ticket(Request *r, Span ticket, bool protocol) {
    TicketWork *w = must(calloc(1, sizeof *w));
    *w = (TicketWork){.job = {.run = take_ticket, .done = ticket_back}, .request = r, .protocol = protocol};
    if (!span_copy(ticket, w->ticket, sizeof w->ticket) ||
        !span_copy(http_header(r->x, "origin"), w->origin, sizeof w->origin))
        err_set(&w->err, &ERR_UNAUTHENTICATED, "unknown ticket");
    else if (pool_submit(r->gateway->user_threads, r->worker->loop, &w->job, &w->err)) {
        r->worker->in_flight++;
        return;
    }
    finish_ticket(w);
}

/* --- the request --- */

/* Answers where the request is no good whoever sends it. */
static bool upgrade_is_fine(Request *r, Offered *offered) {
    Err err = {0};
    if (!websocket_wanted(r->x, &err)) {
        answer_no_websocket(r, &err);
        return false;
    }
    websocket_protocols(r->x, look_at_protocol, offered);
    if (!origin_allowed(http_header(r->x, "origin"), r->gateway->allowed_origins, r->secure, r->authority))
        answer_problem(r, &ERR_FORBIDDEN, "this origin may not open a stream");
    else if (offered->any && !offered->ours)
        answer_problem(r, &ERR_INVALID, "the subprotocol is " PROTOCOL);
    else if (!r->worker->sessions->generation || !atomic_load(&r->gateway->ready))
        answer_problem(r, &ERR_UNAVAILABLE, "the stream has not begun yet, or has ended");
    else
        return true;
    return false;
}

void ws_events(Request *r) {
    Offered offered = {0};
    if (!upgrade_is_fine(r, &offered)) return;
    Span ticket, token = request_bearer(r->x);
    if (!token.len) token = offered.bearer;
    if (!token.len && http_query_value(r->x, "ticket", &ticket)) {
        open_by_ticket(r, ticket, offered.ours);
        return;
    }
    Claims claims;
    Err err = {0};
    if (!token.len)
        answer_problem(r, &ERR_UNAUTHENTICATED, "a token or a ticket is needed");
    else if (!token_check(r->worker->tokens, token, clock_now_us(), &claims, &err))
        answer_err(r, &err);
    else
        open_stream(r, &claims, offered.ours);
}
