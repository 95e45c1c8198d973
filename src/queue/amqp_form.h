/* What a broker wants to be told in its own way: RabbitMQ and Azure Service Bus speak the same AMQP 1.0. Fills in
 * proton's objects; on the broker's thread. Inside queue/ only.
 *
 * RabbitMQ: a queue for each lane, with a single active consumer. Service Bus: one queue with sessions, each lane is one,
 * and who holds a session has all its messages in order; what is settled there waits for the broker's word, and a dead
 * letter is a rejection that carries its reason.
 *
 * Service Bus is written down as it is described; nobody here has had one, and tests/unit/queue/test_amqp_form.c is a
 * peer of our own. It will want more before it carries commands: sessions' locks renewed by $management (a lock that
 * lapses detaches its link, and all begins anew), a session that another process holds waited for without a new
 * connection, and tokens by $cbs where a key of SASL PLAIN is not allowed. */
#pragma once
#include "amqp/amqp_url.h"
#include "queue/amqp_message.h"
#include <proton/engine.h>

void amqp_form_sender(const AmqpUrl *url, unsigned lane, pn_link_t *link);
void amqp_form_receiver(const AmqpUrl *url, unsigned lane, pn_link_t *link);
/* The broker has answered the attach: does the receiver hold the lane that it asked for? */
bool amqp_form_granted(const AmqpUrl *url, unsigned lane, pn_link_t *link);
/* How often the broker has had the message back as a try; 0 where it does not tell. */
int amqp_form_tries(const AmqpUrl *url, const AmqpCommand *command);

typedef enum AmqpSettle {
    AMQP_ACCEPT,  /* it is done */
    AMQP_RELEASE, /* it may come again, and this was no try */
    /* It may come again, and this was one. RabbitMQ 3.10 closes the connection of who says so, and counts no tries:
     * it is told AMQP_RELEASE. */
    AMQP_MODIFY,
    AMQP_REJECT, /* it never will: the broker drops it, or keeps it among its dead letters */
} AmqpSettle;
/* reason: of a rejection. False: it is settled only when the broker has said so, with pn_delivery_settled(). */
bool amqp_form_settle(const AmqpUrl *url, pn_delivery_t *delivery, AmqpSettle how, const char *reason);
