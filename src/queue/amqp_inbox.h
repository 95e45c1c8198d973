/* What a broker has given us and has not been told about: links to its lanes, each with a window of credit,
 * and messages that are read ahead until it is used up. Inside queue/ only; every function on the one thread
 * that handles. */
#pragma once
#include "amqp/amqp_url.h"
#include "queue/amqp_form.h"

typedef struct AmqpInbox AmqpInbox;

/* One message. Owned by whoever took it; its spans live as long as it does. */
typedef struct AmqpArrival {
    struct AmqpArrival *next;
    AmqpCommand command;
    Span key;            /* tenant and ordering key: tenants cannot stand in each other's lines */
    uint64_t connection; /* that has brought it: what came by an earlier one will come again */
    unsigned lane;
    void *delivery; /* the inbox's own */
    char bytes[];
} AmqpArrival;

/* Waits for the broker, a few seconds; ERR_UNAVAILABLE. Its lanes are each `workers`th one, from `worker` on: those of a
 * process have all of them together. */
bool amqp_inbox_open(const AmqpUrl *url, unsigned worker, unsigned workers, AmqpInbox **ret, Err *err);
AmqpInbox *amqp_inbox_free(AmqpInbox *inbox); /* what is not accepted goes back */
AUTO_FREE(AmqpInbox, amqp_inbox_free)
void amqp_inbox_on_arrival(AmqpInbox *inbox, void (*arrived)(void *user), void *user); /* on another thread */
/* All that has come since the last call, in order of each lane; NULL where nothing has. *connection: the one
 * that is now; arrivals of others are void. */
AmqpArrival *amqp_inbox_take(AmqpInbox *inbox, uint64_t *connection);
/* What becomes of it. Said with the next amqp_inbox_flush(); no effect where its connection is gone. reason: of a
 * rejection, else NULL. */
void amqp_inbox_settle(AmqpInbox *inbox, const AmqpArrival *arrival, AmqpSettle how, const char *reason);
void amqp_inbox_flush(AmqpInbox *inbox);
