/* The topic's side of publishing, as Event Grid's custom topics do it: POST
 * /api/events?api-version=2018-01-01 with an access key or a signed token, CloudEvents (one, or a batch),
 * errors in Event Grid's own form.
 *
 * Everything happens on the loop of the exchange. Open the HTTP server with body_limit GRID_TOPIC_BODY: what
 * is longer than 1 MB but not absurd gets the right error. */
#pragma once
#include "base/arena.h"
#include "net/http_server.h"

enum { GRID_TOPIC_BODY = 2 << 20 };
#define GRID_TOPIC_PATH "/api/events"

/* One accepted request, to be stored and then ended with grid_publication_answer(). */
typedef struct GridPublication {
    Span *events; /* the JSON text of each, in the exchange's body; at least one */
    size_t count;
    HttpExchange *exchange;
    Arena *arena; /* the owner may use it */
} GridPublication;

typedef struct GridTopicOptions {
    const char *keys; /* one or two, comma between; borrowed */
    void (*publish)(void *user, GridPublication *publication);
    void *user;
} GridTopicOptions;

typedef struct GridTopic GridTopic;
GridTopic *grid_topic_new(const GridTopicOptions *options);
GridTopic *grid_topic_free(GridTopic *topic);
AUTO_FREE(GridTopic, grid_topic_free)
/* Answers every exchange, now or by grid_publication_answer(): any other path is 404. */
void grid_topic_handle(GridTopic *topic, HttpExchange *exchange);
/* stored: 200 with an empty body; else 503 with Retry-After. On the exchange's loop. Frees the publication.
 */
void grid_publication_answer(GridPublication *publication, bool stored);
