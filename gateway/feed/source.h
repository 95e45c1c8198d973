/* The broker as the source of events, instead of a webhook: any number of gateways get all of them, each by a
 * queue of its own that goes when it goes. What this one misses meanwhile stands in the replay log. */
#pragma once
#include "amqp/amqp_url.h"
#include "gateway/gateway.h"

typedef struct Source Source;
typedef struct SourceOptions {
    Gateway *gateway;
    const AmqpUrl *url; /* an exchange, or a topic's subscription */
    /* On the broker's thread: events come from now on, what was published before may be in the log only. */
    void (*attached)(void *user);
    void *user;
} SourceOptions;

/* After the hub has started. Does not wait for the broker. */
bool source_open(const SourceOptions *options, Source **ret, Err *err);
Source *source_free(Source *source);
