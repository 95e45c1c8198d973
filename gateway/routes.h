/* From a request to its handler: one table for everything that the gateway answers. */
#pragma once
#include "gateway/rest/request.h"

/* For the HTTP server's options; user is the Worker. The route is found once, when the head is here, and kept
 * as the exchange's user. */
void routes_on_head(void *user, HttpExchange *x);
void routes_on_request(void *user, HttpExchange *x);
bool routes_on_refuse(void *user, HttpExchange *x, int status, const char *why);
/* What the route takes, so that nobody fills the memory before it is known who he is. */
size_t routes_body_limit(void *user, HttpExchange *x);

typedef struct RouteMatch {
    struct Call *call;  /* of gRPC and the like (rpc/), which need no route */
    const Route *route; /* NULL: none with this method */
    Span param;
    char allow[96]; /* without a route: methods of the path, for Allow; "" where no route has this path */
    bool of_client; /* the path is the web client's */
} RouteMatch;
/* Pure, for tests. HEAD matches GET. tests: also the routes of EVENTS_TEST_ENDPOINTS. */
RouteMatch routes_match(Span method, Span path, bool tests);
/* What is always served, but for the web client ("/") and the webhook. */
const Route *routes_all(size_t *count);
