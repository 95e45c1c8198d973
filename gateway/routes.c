#include "gateway/routes.h"

#include "gateway/rest/answer.h"
#include "gateway/auth/origin.h"
#include "gateway/rest/handlers.h"
#include "gateway/tracing.h"
#include "wire/problem.h"
#include <stdio.h>

enum { SMALL = 16 << 10, COMMAND = 256 << 10, ECHO = 16 << 20 };

static const Route ROUTES[] = {
    {"POST", "/api/auth/login", ACCESS_PUBLIC, BODY_MESSAGE, SMALL, rest_login},
    {"POST", "/api/auth/refresh", ACCESS_PUBLIC, BODY_MESSAGE, SMALL, rest_refresh},
    {"POST", "/api/auth/ticket", ACCESS_TOKEN, BODY_ANY, SMALL, rest_ticket},
    {"GET", "/.well-known/jwks.json", ACCESS_PUBLIC, BODY_NONE, 0, rest_jwks},
    {"GET", "/api/prospects", SCOPE_READ, BODY_NONE, 0, rest_prospects},
    {"POST", "/api/prospects", SCOPE_WRITE, BODY_MESSAGE, COMMAND, rest_create_prospect},
    {"GET", "/api/prospects/{}", SCOPE_READ, BODY_NONE, 0, rest_prospect},
    {"PUT", "/api/prospects/{}", SCOPE_WRITE, BODY_MESSAGE, COMMAND, rest_update_prospect},
    {"GET", "/api/prospects/{}/history", SCOPE_READ, BODY_NONE, 0, rest_history},
    {"GET", "/api/commands/{}", ACCESS_TOKEN, BODY_NONE, 0, rest_outcome},
    {"POST", "/api/commands/{}", SCOPE_WRITE, BODY_MESSAGE, COMMAND, rest_command},
    {"GET", "/api/events", SCOPE_READ, BODY_NONE, 0, rest_events},
    {"GET", "/api/event-types", ACCESS_TOKEN, BODY_NONE, 0, rest_event_types},
    {"GET", "/health/live", ACCESS_PUBLIC, BODY_NONE, 0, rest_live},
    {"GET", "/health/ready", ACCESS_PUBLIC, BODY_NONE, 0, rest_ready},
    {"GET", "/openapi.json", ACCESS_PUBLIC, BODY_NONE, 0, rest_document},
    {"GET", "/asyncapi.json", ACCESS_PUBLIC, BODY_NONE, 0, rest_document},
    {"GET", "/schemas/{}", ACCESS_PUBLIC, BODY_NONE, 0, rest_document},
    {"GET", "/docs", ACCESS_PUBLIC, BODY_NONE, 0, rest_document},
    {"GET", "/docs.css", ACCESS_PUBLIC, BODY_NONE, 0, rest_document},
    {"GET", "/ws/events", ACCESS_PUBLIC, BODY_NONE, 0, ws_events}, /* has ways of its own to carry a token */
};

/* method "*": any */
static const Route TEST_ROUTES[] = {
    {"*", "/test/echo", ACCESS_PUBLIC, BODY_ANY, ECHO, test_echo},
    {"GET", "/test/bytes", ACCESS_PUBLIC, BODY_NONE, 0, test_bytes},
    {"GET", "/ws/echo", ACCESS_PUBLIC, BODY_NONE, 0, test_ws_echo},
};

static const Route STATIC_ROUTE = {"GET", "/", ACCESS_PUBLIC, BODY_NONE, 0, rest_static};

static bool path_fits(const char *pattern, Span path, Span *param) {
    const char *hole = strstr(pattern, "{}");
    if (!hole) return span_is(path, pattern);
    Span before = {pattern, (size_t)(hole - pattern)}, behind = span_of(hole + 2);
    if (path.len <= before.len + behind.len || !span_starts(path, before) || !span_ends(path, behind))
        return false;
    *param = (Span){path.at + before.len, path.len - before.len - behind.len};
    return !memchr(param->at, '/', param->len);
}

static bool method_fits(const char *of_route, Span method) {
    if (span_is(method, of_route) || !strcmp(of_route, "*")) return true;
    return span_is(method, "HEAD") && !strcmp(of_route, "GET");
}

static void match_in(const Route *routes, size_t count, Span method, Span path, RouteMatch *m) {
    for (size_t i = 0; i < count && !m->route; i++) {
        Span param = SPAN_NONE;
        if (!path_fits(routes[i].path, path, &param)) continue;
        size_t len = strlen(m->allow);
        const char *also = strcmp(routes[i].method, "GET") ? "" : ", HEAD";
        snprintf(m->allow + len, sizeof m->allow - len, "%s%s%s", len ? ", " : "OPTIONS, ", routes[i].method,
                 also);
        if (!method_fits(routes[i].method, method)) continue;
        m->route = &routes[i];
        m->param = param;
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
    RouteMatch m = {0};
    if (!is_ours(path)) {
        match_in(&STATIC_ROUTE, 1, method, SPAN("/"), &m);
        return m;
    }
    match_in(ROUTES, COUNT(ROUTES), method, path, &m);
    if (tests && !m.route) match_in(TEST_ROUTES, COUNT(TEST_ROUTES), method, path, &m);
    return m;
}

/* OPTIONS tells what there is; to a page of an allowed origin also what it may send (CORS preflight). */
static void answer_options(Request *r, const RouteMatch *m) {
    Answer a = {.status = 204};
    answer_field(&a, "allow", span_of(m->allow));
    if (origin_listed(http_header(r->x, "origin"), r->gateway->allowed_origins)) {
        answer_field(&a, "access-control-allow-methods", span_of(m->allow));
        answer_field(
            &a, "access-control-allow-headers",
            SPAN("Authorization, Content-Type, Accept, If-Match, If-None-Match, Idempotency-Key, traceparent,"
                 " X-Correlation-Id, X-Events-Min-Position"));
        answer_field(&a, "access-control-max-age", SPAN("600"));
    }
    answer_send(r, &a);
}

static void answer_no_route(Request *r, const RouteMatch *m) {
    if (!*m->allow) {
        answer_problem(r, &ERR_NOT_FOUND, "there is nothing at this path");
        return;
    }
    Answer a = {.status = 405, .media_type = "application/problem+json"};
    answer_field(&a, "allow", span_of(m->allow));
    problem_write(&a.body, "method_not_allowed", 405, "the path has other methods", r->correlation_id, NULL);
    answer_send(r, &a);
}

size_t routes_body_limit(void *user, HttpExchange *x) {
    const Worker *worker = user;
    if (span_is(http_path(x), GRID_WEBHOOK_PATH)) return grid_webhook_body_limit(worker->gateway->webhook, x);
    RouteMatch m = routes_match(http_method(x), http_path(x), worker->gateway->test_endpoints);
    return m.route && m.route->body_limit > SMALL ? m.route->body_limit : SMALL;
}

void routes_dispatch(void *user, HttpExchange *x) {
    Worker *worker = user;
    if (grid_webhook_handle(worker->gateway->webhook, x)) return;
    Request *r = request_new(worker, x);
    if (!r) {
        http_respond(x, &(HttpAnswer){.status = 503});
        return;
    }
    RouteMatch m = routes_match(http_method(x), http_path(x), worker->gateway->test_endpoints);
    r->route = m.route;
    r->param = m.param;
    tracing_request(r);
    if (!m.route && *m.allow && span_is(http_method(x), "OPTIONS"))
        answer_options(r, &m);
    else if (!m.route)
        answer_no_route(r, &m);
    else if (request_authorise(r) && request_body_fits(r))
        m.route->handle(r);
}
