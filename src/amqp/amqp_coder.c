#include "amqp/amqp_coder.h"

enum { ROOM_FIRST = 1024, ROOM_MOST = 16 << 20 };

struct AmqpCoder {
    pn_message_t *message;
};

AmqpCoder *amqp_coder_new(void) {
    AmqpCoder *coder = must(calloc(1, sizeof *coder));
    coder->message = must(pn_message());
    return coder;
}

AmqpCoder *amqp_coder_free(AmqpCoder *coder) {
    if (!coder) return NULL;
    pn_message_free(coder->message);
    free(coder);
    return NULL;
}

pn_message_t *amqp_coder_begin(AmqpCoder *coder, const char *content_type) {
    pn_message_clear(coder->message);
    pn_message_set_durable(coder->message, true);
    pn_message_set_inferred(coder->message, true); /* the body is a data section */
    pn_message_set_content_type(coder->message, content_type);
    return coder->message;
}

bool amqp_coder_write(AmqpCoder *coder, Buf *to, Err *err) {
    pn_data_t *body = pn_message_body(coder->message);
    size_t len = amqp_only_text(body).len;
    for (size_t room = ROOM_FIRST + len; room <= ROOM_MOST; room *= 2) {
        char *at = buf_reserve(to, room);
        if (!at) break;
        size_t used = room;
        int failed = pn_message_encode(coder->message, at, &used);
        if (!failed) return to->len += used, true;
        if (failed != PN_OVERFLOW) break;
    }
    return err_set(err, &ERR_TOO_LARGE, "%zu bytes do not become a message", len);
}

pn_message_t *amqp_coder_read(AmqpCoder *coder, Span bytes) {
    pn_message_clear(coder->message);
    if (!bytes.len || pn_message_decode(coder->message, bytes.at, bytes.len))
        return NULL; /* it aborts on nothing */
    return coder->message;
}

Span amqp_text(pn_data_t *data) {
    pn_bytes_t b = pn_bytes_null;
    switch (pn_data_type(data)) {
    case PN_STRING: b = pn_data_get_string(data); break;
    case PN_SYMBOL: b = pn_data_get_symbol(data); break;
    case PN_BINARY: b = pn_data_get_binary(data); break;
    default: break;
    }
    return span_bytes(b.start, b.size);
}

Span amqp_only_text(pn_data_t *data) {
    pn_data_rewind(data);
    return pn_data_next(data) ? amqp_text(data) : SPAN_NONE;
}
