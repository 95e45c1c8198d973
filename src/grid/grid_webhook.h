/* The receiver's side of Event Grid's deliveries, for the projection and the gateway: secret, handshakes
 * (CloudEvents' OPTIONS and Event Grid's own validation event), media types, and the body as envelopes.
 *
 * Everything happens on the loop of the exchange. Open the HTTP server with body_limit GRID_WEBHOOK_BODY. */
#pragma once
#include "base/arena.h"
#include "events/v1/envelope.pb-c.h"
#include "net/http_server.h"

enum { GRID_WEBHOOK_BODY = 2 << 20 };
#define GRID_WEBHOOK_PATH "/api/events/webhook"

typedef struct GridBadEvent {
    size_t index; /* its place in the body */
    Span bytes;   /* of this event alone, in the body */
    const char *reason;
} GridBadEvent;

/* One POST whose secret is right. The receiver owns it and ends it with grid_delivery_answer(). */
typedef struct GridDelivery {
    Events__V1__Envelope **events; /* in memory of the arena, like all that hangs on them */
    size_t count;
    GridBadEvent
        *bad; /* events of the batch that nobody can read: dead letters, not a reason to refuse the rest */
    size_t bad_count;
    size_t unknown_members; /* of the events' data: of a newer version, passed over */
    HttpExchange *exchange; /* http_body() has the bytes as they came */
    Arena *arena;           /* the receiver may use it */
    void *user;             /* the receiver's own */
} GridDelivery;

typedef struct GridWebhookOptions {
    const char *secrets; /* one or two values, comma between; borrowed */
    /* A delivery with at least one event or bad event. Keep it and answer later, or answer at once. */
    void (*deliver)(void *user, GridDelivery *delivery);
    void *user;
} GridWebhookOptions;

typedef struct GridWebhook GridWebhook;
GridWebhook *grid_webhook_new(const GridWebhookOptions *options);
GridWebhook *grid_webhook_free(GridWebhook *webhook); /* after every delivery has been answered */
AUTO_FREE(GridWebhook, grid_webhook_free)

/* Takes the exchange when its path is GRID_WEBHOOK_PATH (and answers it, now or by grid_delivery_answer());
 * false, and nothing has happened, for any other path. Reads only immutable state: the loops may share a
 * webhook. */
bool grid_webhook_handle(GridWebhook *webhook, HttpExchange *exchange);
/* How long a body may be, for HttpServerOptions.body_limit_for: next to nothing from those who lack the
 * secret. */
size_t grid_webhook_body_limit(const GridWebhook *webhook, HttpExchange *exchange);
/* status: 200 where the events are safe, 503 where they may be later (Event Grid never retries 400, 401, 403,
 * 413, so nothing else is meant to be said here). On the exchange's loop. Frees the delivery with all its
 * envelopes. */
void grid_delivery_answer(GridDelivery *delivery, int status);

/* Is `given` one of the comma-separated secrets? Takes the same time wherever they differ. */
bool grid_secret_matches(const char *secrets, Span given);
