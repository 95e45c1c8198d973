/* A CloudEvent as an AMQP 1.0 message, as Event Grid gives them to a topic of Service Bus: one event a message,
 * its JSON in one data section, the media type as content type. */
#pragma once
#include "amqp/amqp_coder.h"

typedef struct AmqpEvent {
    Span json;
    Span content_type; /* may be empty */
} AmqpEvent;

/* Appends to `to`. id: the same when it is sent again, so that a broker may drop it. */
bool amqp_event_encode(AmqpCoder *coder, Span json, Span id, Buf *to, Err *err);
/* Spans live until the coder's next call. False: no message, or one without a body of bytes or text. */
bool amqp_event_decode(AmqpCoder *coder, Span bytes, AmqpEvent *ret);
