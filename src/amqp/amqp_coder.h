/* Between the bytes of an AMQP 1.0 message and its parts, which are read and filled with proton's own calls
 * (proton/message.h, proton/codec.h). It holds the one message that all are made of, so that none is
 * allocated for each. One thread per coder. */
#pragma once
#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include <proton/codec.h>
#include <proton/message.h>

typedef struct AmqpCoder AmqpCoder;
AmqpCoder *amqp_coder_new(void);
AmqpCoder *amqp_coder_free(AmqpCoder *coder);
AUTO_FREE(AmqpCoder, amqp_coder_free)

/* The coder's own, without parts but that it is durable and its body, to be put in, will be one data section. */
pn_message_t *amqp_coder_begin(AmqpCoder *coder, const char *content_type);
/* Appends it as it has been filled. False, ERR_TOO_LARGE: it would not fit into 16 MiB, or not into `to`. */
bool amqp_coder_write(AmqpCoder *coder, Buf *to, Err *err);
/* The coder's own, until the next call; NULL where the bytes are none. */
pn_message_t *amqp_coder_read(AmqpCoder *coder, Span bytes);

static inline pn_bytes_t amqp_bytes(Span s) {
    return pn_bytes(s.len, s.at);
}
/* The string, symbol or bytes at the cursor, or that are all of it. Empty where something else is. */
Span amqp_text(pn_data_t *data);
Span amqp_only_text(pn_data_t *data);
