/* Messages from one address of a broker, over a connection with a thread of its own (amqp_peer.h) that comes
 * back by itself. Whoever works them off gives each back; so many are here at most (`window`), the rest waits
 * at the broker. */
#pragma once
#include "amqp/amqp_url.h"
#include "base/auto.h"

typedef struct AmqpReceiver AmqpReceiver;

typedef struct AmqpMessage {
    struct AmqpMessage *next; /* its holder's */
    uint64_t connection;      /* that has brought it: what came by an earlier one comes again */
    void *delivery;           /* the receiver's own; NULL: settled already */
    Span bytes; /* the encoded message, behind it; empty where it is larger than AMQP_MESSAGE_MOST */
    char room[];
} AmqpMessage;
enum { AMQP_MESSAGE_MOST = 2 << 20 };

typedef struct AmqpReceiverOptions {
    const char *name, *address; /* name: as AmqpPeerOptions.name; both are copied */
    bool durable;               /* the address' queue survives us; else, for an exchange, it is ours alone */
    bool settled; /* the broker forgets each message when it sends it: what is lost on the way is lost */
    int window;
    /* Both on the broker's thread. */
    void (*attached)(
        void *user); /* now, or again: what was sent before and not settled comes again. May be NULL */
    /* True: worked off. False: the holder keeps it, and gives it to amqp_receiver_done(). */
    bool (*message)(void *user, AmqpMessage *message);
    void *user;
} AmqpReceiverOptions;

/* Does not wait for the broker. */
bool amqp_receiver_open(const AmqpUrl *url, const AmqpReceiverOptions *options, AmqpReceiver **ret, Err *err);
AmqpReceiver *amqp_receiver_free(AmqpReceiver *receiver); /* what was not given back comes again, elsewhere */
AUTO_FREE(AmqpReceiver, amqp_receiver_free)
/* Any thread but the broker's. The broker may forget it. Frees it. */
void amqp_receiver_done(AmqpReceiver *receiver, AmqpMessage *message);
