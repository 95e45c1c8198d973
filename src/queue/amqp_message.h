/* A command as an AMQP 1.0 message: the packed envelope in one data section, beside it what a broker, or
 * somebody who looks at its queues, needs. Inside queue/ only. */
#pragma once
#include "amqp/amqp_coder.h"

typedef struct AmqpCommand {
    Span body; /* packed CommandEnvelope */
    Span message_id;
    Span tenant_id, ordering_key;
    Span command_type, traceparent; /* may be empty */
    unsigned lane;                  /* "lane-NN": the session on Service Bus */
    uint64_t body_hash;
    int64_t accepted_at; /* to the millisecond */
    unsigned requeues;   /* how often it has come back from the dead letters */
    unsigned tries;      /* read only: deliveries that the broker counts as failed */
} AmqpCommand;

/* Of (tenant, user, command id), and of the requeue: a broker that drops what it has seen lets it pass again.
 */
void amqp_message_id(Span tenant_id, Span issued_by, Span command_id, unsigned requeues, char ret[37]);
unsigned amqp_lane(Span ordering_key);
enum { AMQP_SESSION = 16 };
void amqp_session(unsigned lane, char ret[AMQP_SESSION]); /* "lane-07" */

/* Appends to `to`. */
bool amqp_encode(AmqpCoder *coder, const AmqpCommand *command, Buf *to, Err *err);
/* Spans live until the coder's next call. What lacks is empty: somebody else's message is no reason to stop, the
 * handler will find that its body is no envelope. False: not even a message. */
bool amqp_decode(AmqpCoder *coder, Span bytes, AmqpCommand *ret);
