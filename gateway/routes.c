#include "gateway/routes.h"

#include "gateway/auth/origin.h"
#include "gateway/rest/answer.h"
#include "gateway/rest/handlers.h"
#include "gateway/rpc/rpc.h"
#include "gateway/tracing.h"
#include <stdio.h>

enum { SMALL = 16 << 10, COMMAND = 256 << 10 };

/* What a route's answers can be (Route.offers). */
static const char *const MESSAGE[] = {"application/json", "application/x-protobuf", NULL};
static const char *const LOG[] = {"application/cloudevents-batch+json", "application/json", NULL};
static const char *const STREAM[] = {"text/event-stream", NULL};
static const char *const TYPES[] = {"application/json", NULL};

static const Route ROUTES[] = {
    {"POST", "/api/auth/login", ACCESS_PUBLIC, BODY_MESSAGE, SMALL, rest_login, MESSAGE},
    {"POST", "/api/auth/refresh", ACCESS_PUBLIC, BODY_MESSAGE, SMALL, rest_refresh, MESSAGE},
    {"POST", "/api/auth/logout", ACCESS_TOKEN, BODY_ANY, SMALL, rest_logout},
    {"POST", "/api/auth/ticket", ACCESS_TOKEN, BODY_ANY, SMALL, rest_ticket, MESSAGE},
    {"GET", "/.well-known/jwks.json", ACCESS_PUBLIC, BODY_NONE, 0, rest_jwks},
    {"GET", "/api/prospects", SCOPE_READ, BODY_NONE, 0, rest_prospects, MESSAGE, ROUTE_COMPRESSES},
    {"POST", "/api/prospects", SCOPE_WRITE, BODY_MESSAGE, COMMAND, rest_create_prospect, MESSAGE},
    {"GET", "/api/prospects/{}", SCOPE_READ, BODY_NONE, 0, rest_prospect, MESSAGE},
    {"PUT", "/api/prospects/{}", SCOPE_WRITE, BODY_MESSAGE, COMMAND, rest_update_prospect, MESSAGE},
    {"GET", "/api/prospects/{}/history", SCOPE_READ, BODY_NONE, 0, rest_history, MESSAGE, ROUTE_COMPRESSES},
    {"GET", "/api/commands/{}", ACCESS_TOKEN, BODY_NONE, 0, rest_outcome, MESSAGE},
    {"POST", "/api/commands/{}", SCOPE_WRITE, BODY_MESSAGE, COMMAND, rest_command, MESSAGE},
    {"GET", "/api/events", SCOPE_READ, BODY_NONE, 0, rest_events, LOG, ROUTE_COMPRESSES},
    {"GET", "/api/events/stream", ACCESS_TOKEN, BODY_NONE, 0, rest_event_stream, STREAM},
    {"GET", "/api/event-types", ACCESS_TOKEN, BODY_NONE, 0, rest_event_types, TYPES},
    {"GET", "/api/status", SCOPE_OPERATOR, BODY_NONE, 0, rest_status, TYPES},
    {"GET", "/metrics", SCOPE_OPERATOR, BODY_NONE, 0, rest_metrics},
    {"GET", "/health/live", ACCESS_PUBLIC, BODY_NONE, 0, rest_live},
    {"GET", "/health/ready", ACCESS_PUBLIC, BODY_NONE, 0, rest_ready},
    {"GET", "/openapi.json", ACCESS_PUBLIC, BODY_NONE, 0, rest_document},
    {"GET", "/asyncapi.json", ACCESS_PUBLIC, BODY_NONE, 0, rest_document},
    {"GET", "/schemas/{}", ACCESS_PUBLIC, BODY_NONE, 0, rest_document},
    {"GET", "/docs", ACCESS_PUBLIC, BODY_NONE, 0, rest_document},
    {"GET", "/docs.css", ACCESS_PUBLIC, BODY_NONE, 0, rest_document},
    {"GET", "/ws/events", ACCESS_PUBLIC, BODY_NONE, 0, ws_events, NULL,
     ROUTE_NO_HEAD | ROUTE_WEBSOCKET}, /* carries a token its own way */
};

/* method "*": any */
static const Route TEST_ROUTES[] = {
    {"*", "/test/echo", ACCESS_PUBLIC, BODY_NONE, 0, test_echo, NULL, ROUTE_STREAMS},
    {"*", "/test/bytes", ACCESS_OPTIONAL, BODY_ANY, COMMAND, test_bytes},
    {"GET", "/ws/echo", ACCESS_PUBLIC, BODY_NONE, 0, test_ws_echo, NULL, ROUTE_NO_HEAD | ROUTE_WEBSOCKET},
};

static const Route STATIC_ROUTE = {"GET", "/", ACCESS_PUBLIC, BODY_NONE, 0, rest_static};

static inline bool path_fits(const char *pattern, Span path, Span *param) {
    if (path.len > 1 && path.at[1] != pattern[1] && pattern[1] != '{')
        return false; /* most, without a loop */
    size_t same = 0;
    while (same < path.len && pattern[same] == path.at[same] && pattern[same]) same++;
    if (pattern[same] != '{') return same == path.len && !pattern[same];
    Span rest = {path.at + same, path.len - same}, behind = span_of(pattern + same + 2);
    if (rest.len <= behind.len || !span_ends(rest, behind)) return false;
    *param = (Span){rest.at, rest.len - behind.len};
    return !memchr(param->at, '/', param->len);
}

static bool has_head(const Route *route) {
    return !strcmp(route->method, "GET") && !(route->flags & ROUTE_NO_HEAD);
}

static bool method_fits(const Route *route, Span method) {
    if (span_is(method, "CONNECT")) return route->flags & ROUTE_WEBSOCKET;
    if (span_is(method, route->method) || !strcmp(route->method, "*")) return true;
    return span_is(method, "HEAD") && has_head(route);
}

static void match_in(const Route *routes, size_t count, Span method, Span path, RouteMatch *m) {
    for (size_t i = 0; i < count && !m->route; i++) {
        Span param = SPAN_NONE;
        if (!path_fits(routes[i].path, path, &param) || !method_fits(&routes[i], method)) continue;
        m->route = &routes[i];
        m->param = param;
    }
}

/* For requests that no route takes. */
static void add_allowed(const Route *routes, size_t count, Span path, RouteMatch *m) {
    for (size_t i = 0; i < count; i++) {
        Span param;
        if (!path_fits(routes[i].path, path, &param)) continue;
        size_t len = strlen(m->allow);
        snprintf(m->allow + len, sizeof m->allow - len, "%s%s%s", len ? ", " : "OPTIONS, ", routes[i].method,
                 has_head(&routes[i]) ? ", HEAD" : "");
    }
}

static bool is_ours(Span path) {
    static const char *const ROOMS[] = {"/api",     "/ws",   "/test",     "/health",       "/.well-known",
                                        "/metrics", "/docs", "/docs.css", "/openapi.json", "/asyncapi.json",
                                        "/schemas"};
    for (size_t i = 0; i < COUNT(ROOMS); i++) {
        Span room = span_of(ROOMS[i]);
        if (span_starts(path, room) && (path.len == room.len || path.at[room.len] == '/')) return true;
    }
    return false;
}

const Route *routes_all(size_t *count) {
    *count = COUNT(ROUTES);
    return ROUTES;
}

RouteMatch routes_match(Span method, Span path, bool tests) {
    RouteMatch m = {.route = NULL};
    match_in(ROUTES, COUNT(ROUTES), method, path, &m);
    if (tests && !m.route) match_in(TEST_ROUTES, COUNT(TEST_ROUTES), method, path, &m);
    if (m.route) return m;
    if (span_is(path, "*")) { /* the gateway as a whole (RFC 9110 section 9.3.7) */
        strcpy(m.allow, "OPTIONS, GET, HEAD, POST, PUT");
    } else if (is_ours(path)) {
        add_allowed(ROUTES, COUNT(ROUTES), path, &m);
        if (tests) add_allowed(TEST_ROUTES, COUNT(TEST_ROUTES), path, &m);
    } else {
        m.of_client = true;
        match_in(&STATIC_ROUTE, 1, method, SPAN("/"), &m);
        if (!m.route) add_allowed(&STATIC_ROUTE, 1, SPAN("/"), &m);
    }
    return m;
}

/* OPTIONS tells what there is; to a page of an allowed origin also what it may send (CORS preflight). */
static void answer_options(Request *r, const RouteMatch *m) {
    Answer a = {.status = 204};
    answer_field(&a, "allow", span_of(m->allow));
    if (origin_listed(http_header(r->x, "origin"), r->gateway->allowed_origins)) {
        answer_field(&a, "access-control-allow-methods", span_of(m->allow));
        answer_field(&a, "access-control-allow-headers",
                     SPAN("Authorization, Content-Type, Accept, If-Match, If-None-Match, Idempotency-Key, "
                          "Last-Event-ID,"
                          " traceparent, tracestate, X-Correlation-Id, X-Events-Min-Position"));
        answer_field(&a, "access-control-max-age", SPAN("7200"));
    }
    answer_send(r, &a);
}

/* Is there nothing at the path, whatever the method? */
static bool is_nowhere(Request *r, const RouteMatch *m) {
    if (!m->of_client) return !*m->allow;
    const StaticFiles *files = r->gateway->files;
    return !static_file(files, http_path(r->x)) && !static_page(files, http_path(r->x), SPAN_NONE, SPAN_NONE);
}

static void answer_no_route(Request *r, const RouteMatch *m) {
    if (is_nowhere(r, m))
        answer_problem(r, &ERR_NOT_FOUND, "there is nothing at this path");
    else if (span_is(http_method(r->x), "OPTIONS"))
        answer_options(r, m);
    else
        answer_refusal(r, &ERR_METHOD_NOT_ALLOWED, "the path has other methods",
                       (HttpField){"allow", span_of(m->allow)});
}

size_t routes_body_limit(void *user, HttpExchange *x) {
    const Worker *worker = user;
    const RouteMatch *m = http_user(x);
    if (m && m->call) return RPC_BODY;
    if (span_is(http_path(x), GRID_WEBHOOK_PATH)) return grid_webhook_body_limit(worker->gateway->webhook, x);
    return m && m->route && m->route->body_limit > SMALL ? m->route->body_limit : SMALL;
}

static void dispatch(Worker *worker, HttpExchange *x) {
    const RouteMatch *m = http_user(x);
    Request *r = m ? request_new(worker, x) : NULL;
    if (!r) {
        http_respond(x, &(HttpAnswer){.status = 503});
        return;
    }
    r->route = m->route;
    r->param = m->param;
    tracing_request(r);
    if (!m->route)
        answer_no_route(r, m);
    else if (request_authorise(r) && request_negotiate(r) && request_body_fits(r))
        m->route->handle(r);
}

/* Above the memory's limit nothing new is begun. Who looks whether the gateway lives is answered, and
 * deliveries come in: their sender would wait half a minute, and the queue behind it grow. */
static bool is_shed(Worker *worker, HttpExchange *x) {
    if (!memory_is_short(worker->gateway->memory, worker->loop)) return false;
    return !span_starts(http_path(x), SPAN("/health/")) && !span_is(http_path(x), GRID_WEBHOOK_PATH);
}

static void shed(Worker *worker, HttpExchange *x, const RouteMatch *m) {
    Request *r = request_new(worker, x);
    memory_shed(worker->gateway->memory);
    if (!r) {
        http_respond(x, &(HttpAnswer){.status = 503});
        return;
    }
    r->route = m->route;
    answer_problem(r, &ERR_UNAVAILABLE, "the gateway is short of memory; try again");
}

void routes_on_head(void *user, HttpExchange *x) {
    Worker *worker = user;
    if (rpc_concerns(x)) {
        rpc_head(worker, x);
        return;
    }
    RouteMatch *m = http_alloc(x, sizeof *m);
    if (!m) return;
    *m = routes_match(http_method(x), http_path(x), worker->gateway->test_endpoints);
    http_set_user(x, m);
    if (is_shed(worker, x))
        shed(worker, x, m);
    else if (m->route && m->route->flags & ROUTE_STREAMS)
        dispatch(worker, x);
}

void routes_on_request(void *user, HttpExchange *x) {
    Worker *worker = user;
    const RouteMatch *m = http_user(x);
    if (m && m->call)
        rpc_request(m->call);
    else if (!grid_webhook_handle(worker->gateway->webhook, x))
        dispatch(worker, x);
}

bool routes_on_refuse(void *user, HttpExchange *x, int status, const char *why) {
    const RouteMatch *m = http_user(x);
    if (m && m->call) return rpc_refuse(m->call, status);
    Request *r = request_new(user, x);
    if (!r) return false;
    r->route = m ? m->route : NULL;
    answer_faults(r, status, http_problem_code(status), why, NULL);
    return true;
}
