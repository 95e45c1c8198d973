/* The projection's events from a broker's queue, instead of by webhook: then it needs no address that others
 * reach. What has come together is delivered together; the broker may forget it once it is committed. All on
 * the loop's thread. */
#pragma once
#include "app/projection/projector.h"
#include "io/loop.h"

typedef struct BrokerFeed BrokerFeed;
typedef struct BrokerDelivery {
    ProjectorItem events;
    BrokerFeed *feed;
    struct BrokerDelivery *next; /* the feed's own, like the following */
    struct AmqpMessage *messages;
    Arena *arena;
} BrokerDelivery;

typedef struct BrokerFeedOptions {
    const char *url; /* amqp[s]://user:password@host:port/queue, or .../topic/subscriptions/name */
    Loop *loop;
    void (*deliver)(void *user, BrokerDelivery *delivery); /* ends with broker_feed_answer() */
    void *user;
} BrokerFeedOptions;

/* Does not wait for the broker. */
bool broker_feed_open(const BrokerFeedOptions *options, BrokerFeed **ret, Err *err);
/* By delivery->events.status: 200, it is done with; else it is delivered again in a moment. */
void broker_feed_answer(BrokerDelivery *delivery);
void broker_feed_drain(BrokerFeed *feed); /* no delivery follows; what is not answered comes again, later */
BrokerFeed *broker_feed_free(BrokerFeed *feed); /* drained; after loop_free() */
AUTO_FREE(BrokerFeed, broker_feed_free)
