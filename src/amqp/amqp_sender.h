/* Messages to one address of a broker, in order, each known to be safe before it counts as sent. One thread
 * sends and waits; the connection has its own (amqp_peer.h) and comes back by itself. */
#pragma once
#include "amqp/amqp_url.h"
#include "base/auto.h"

typedef struct AmqpSender AmqpSender;

/* Does not wait for the broker. name: as AmqpPeerOptions.name; both texts are copied. */
bool amqp_sender_open(const AmqpUrl *url, const char *name, const char *address, AmqpSender **ret, Err *err);
AmqpSender *amqp_sender_free(AmqpSender *sender);
AUTO_FREE(AmqpSender, amqp_sender_free)

/* What has become of a call's messages: the first `accepted` are safe. Then, where that is not all, `why`
 * tells about the next one: ERR_INVALID, the broker has refused it; ERR_TOO_LARGE, it would never take it;
 * ERR_UNAVAILABLE, it has not said in time. What came behind may have arrived, too. */
typedef struct AmqpSent {
    size_t accepted;
    Err why;
} AmqpSent;
/* Sends them all, over a new connection where one breaks, and waits until the broker has spoken about each; at
 * most `ms`. */
AmqpSent amqp_sender_send(AmqpSender *sender, const Span *messages, size_t count, int64_t ms);
/* Any thread: the call that waits and all later ones end at once. For shutting down. */
void amqp_sender_interrupt(AmqpSender *sender);
