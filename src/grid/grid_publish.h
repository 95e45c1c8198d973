/* The way of events to the topic (Event Grid, or events-grid): packed envelopes in, CloudEvents batches out,
 * several at the same time over one connection of HTTP/2.
 *
 * A publisher belongs to one thread and keeps one connection alive. It never retries by itself: it says what
 * the answers mean, and the caller (the relay) decides. */
#pragma once
#include "base/auto.h"
#include "base/config.h"
#include "base/err.h"
#include "base/span.h"

typedef struct GridPublisher GridPublisher;
typedef struct GridPublisherOptions {
    const char *endpoint; /* "http://host:port" or the whole "https://.../api/events"; copied */
    const char *key;      /* sent as aeg-sas-key; copied */
    const char *ca_file;  /* trusted besides the system's; NULL: none */
} GridPublisherOptions;

typedef enum GridOutcome {
    GRID_PUBLISHED, /* the first `taken` events are safe */
    GRID_RETRY,     /* may pass by itself: the same again, after retry_after_ms (at least) and own back-off */
    GRID_SPLIT,     /* too big (413), or one of them is bad (400): again with half of `taken` */
    GRID_BAD,       /* taken is 1: this event can never be published; give its number to an EventSkipped */
    GRID_REFUSED,   /* 401, 403, 404, 3xx: wrong key or endpoint: retry slowly (once a minute) and say so */
} GridOutcome;

typedef struct GridAnswer {
    GridOutcome outcome;
    size_t taken;           /* how many events, from the first, this answer is about; at least 1 */
    int status;             /* of HTTP; 0 where no answer came */
    int64_t retry_after_ms; /* 0 where not told */
    Err why;                /* set unless GRID_PUBLISHED */
} GridAnswer;

typedef struct GridRequest {
    const Span *packed; /* envelopes, numbers appended; at least one */
    size_t count;
    GridAnswer answer;
} GridRequest;

enum {
    GRID_REQUESTS = 4, /* at the same time */
    GRID_BATCH_EVENTS = 5000,
    GRID_BATCH_BYTES = 1000000,
    GRID_EVENT_BYTES = 1048576
};

bool grid_publisher_open(const GridPublisherOptions *options, GridPublisher **ret, Err *err);
/* As the settings say: the topic's endpoint, or events-grid on loopback. */
bool grid_publisher_open_by(const Config *config, GridPublisher **ret, Err *err);
GridPublisher *grid_publisher_free(GridPublisher *publisher);
AUTO_FREE(GridPublisher, grid_publisher_free)
/* Sends up to GRID_REQUESTS requests at the same time, each with as many of its envelopes, from the first, as
 * fit; returns when all are answered, or after 30 s. The topic may take them in any order. */
void grid_publish(GridPublisher *publisher, GridRequest *requests, size_t count);
/* Any thread: ends a call in flight and all later ones with GRID_RETRY. For shutting down. */
void grid_publisher_interrupt(GridPublisher *publisher);

/* The table behind it: what a status (0: no answer) means for a request of `taken` events. */
GridOutcome grid_publish_outcome(int status, size_t taken);
