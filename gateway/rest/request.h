/* One REST call: the exchange and what has been found out about it. Lives in the exchange's memory, until
 * answered. Reader threads look at it too, so whatever they need of the exchange is taken from it beforehand,
 * on the loop. */
#pragma once
#include "gateway/gateway.h"
#include "gateway/rest/negotiate.h"
#include "observe/trace.h"

typedef struct Request Request;

enum {
    ACCESS_TOKEN = 0,         /* any valid token; or SCOPE_ bits, all of them needed */
    ACCESS_PUBLIC = 1 << 8,   /* no token is looked at */
    ACCESS_OPTIONAL = 1 << 9, /* none is needed, but one that is there must be valid */
};
typedef enum BodyKind { BODY_NONE, BODY_MESSAGE /* JSON or protobuf */, BODY_ANY } BodyKind;

enum {
    ROUTE_COMPRESSES = 1 << 0, /* its answers may come in gzip or brotli */
    ROUTE_NO_HEAD = 1 << 1,    /* there is nothing that HEAD could tell */
    ROUTE_STREAMS = 1 << 2,    /* handled with its head: it takes the body in pieces, whatever its length */
    ROUTE_WEBSOCKET = 1 << 3,  /* HTTP/2 says CONNECT where HTTP/1.1 says GET (RFC 8441) */
};

typedef struct Route {
    const char *method, *path; /* "{}" stands for one segment, of which there is at most one */
    unsigned access;
    BodyKind body;
    size_t body_limit;
    void (*handle)(Request *r);
    /* Media types of its answers, the default first, ended by NULL: what the request accepts of them is sent,
     * 406 where it is nothing. NULL: there is one, and Accept is not looked at. */
    const char *const *offers;
    unsigned flags;
} Route;

enum { CORRELATION_ID = 129 };
struct Request {
    HttpExchange *x;
    Worker *worker;
    Gateway *gateway;
    const Route *route;
    Span param; /* the segment at "{}" */
    /* The client's side of the way here: behind a trusted proxy what that says, else what the exchange has.
     */
    Span peer, authority;   /* numeric address; host and port that it asked for */
    bool secure;            /* over TLS */
    Claims claims;          /* zero where the route is public */
    const char *media_type; /* of the answer, by Accept; NULL where the route offers no choice */
    bool wants_protobuf;    /* it is the binary form */
    Coding coding;          /* of the answer, by Accept-Encoding; where the route compresses */
    Span if_match, if_none_match;
    char correlation_id[CORRELATION_ID];
    char traceparent[TRACEPARENT_TEXT]; /* by request_traceparent(), or of the span */
    TraceSpan *span;                    /* NULL: not recorded */
    int64_t began_us;                   /* loop time */
};

/* NULL where the exchange's memory is used up. */
Request *request_new(Worker *worker, HttpExchange *x);
/* Checks the bearer token and the route's scopes; has answered where false. */
bool request_authorise(Request *r);
/* Chooses media type and coding of the answer; has answered (406) where false. */
bool request_negotiate(Request *r);
/* Checks Content-Type, Content-Encoding and length by the route; has answered where false. */
bool request_body_fits(Request *r);
bool request_is_protobuf(const Request *r); /* of the body */
/* The token of `Authorization: Bearer`; at == NULL where there is none. */
Span request_bearer(const HttpExchange *x);
static inline bool request_may(const Request *r, unsigned scope) {
    return r->claims.scope_bits & scope;
}

/* What is passed on: of the request's span, or what came in, or a new one. On the loop, before the answer. */
const char *request_traceparent(Request *r);
bool is_visible_ascii(Span text, size_t most);
/* The id in the path; has answered (404) where it is none. */
bool request_prospect_id(Request *r, int64_t *ret);
/* Query parameter `limit`, 1 to most; false where out of range. */
bool request_limit(Request *r, size_t most, size_t fallback, size_t *ret);
