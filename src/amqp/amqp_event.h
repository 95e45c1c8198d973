/* A CloudEvent as an AMQP 1.0 message, as Event Grid gives them to a topic of Service Bus: one event a message,
 * its JSON in one data section, the media type as content type. One thread per coder. */
#pragma once
#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"

typedef struct AmqpEvent {
    Span json;
    Span content_type; /* may be empty */
} AmqpEvent;

typedef struct AmqpEventCoder AmqpEventCoder;
AmqpEventCoder *amqp_event_coder_new(void);
AmqpEventCoder *amqp_event_coder_free(AmqpEventCoder *coder);
AUTO_FREE(AmqpEventCoder, amqp_event_coder_free)
/* Appends to `to`. id: the same when it is sent again, so that a broker may drop it. */
bool amqp_event_encode(AmqpEventCoder *coder, Span json, Span id, Buf *to, Err *err);
/* Spans live until the next call. False: no message, or one without a body of bytes or text. */
bool amqp_event_decode(AmqpEventCoder *coder, Span bytes, AmqpEvent *ret);
