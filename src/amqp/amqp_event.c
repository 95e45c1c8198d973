#include "amqp/amqp_event.h"

#include <proton/codec.h>
#include <proton/message.h>

enum { ROOM_FIRST = 512, ROOM_MOST = 4 << 20 };

struct AmqpEventCoder {
    pn_message_t *message;
};

AmqpEventCoder *amqp_event_coder_new(void) {
    AmqpEventCoder *coder = must(calloc(1, sizeof *coder));
    coder->message = must(pn_message());
    return coder;
}

AmqpEventCoder *amqp_event_coder_free(AmqpEventCoder *coder) {
    if (!coder) return NULL;
    pn_message_free(coder->message);
    free(coder);
    return NULL;
}

bool amqp_event_encode(AmqpEventCoder *coder, Span json, Span id, Buf *to, Err *err) {
    pn_message_t *m = coder->message;
    pn_message_clear(m);
    pn_message_set_durable(m, true);
    pn_message_set_inferred(m, true); /* the body is a data section */
    pn_message_set_content_type(m, "application/cloudevents+json; charset=utf-8");
    pn_data_put_string(pn_message_id(m), pn_bytes(id.len, id.at));
    pn_data_put_binary(pn_message_body(m), pn_bytes(json.len, json.at));
    for (size_t room = ROOM_FIRST + json.len; room <= ROOM_MOST; room *= 2) {
        char *at = buf_reserve(to, room);
        if (!at) break;
        size_t len = room;
        int failed = pn_message_encode(m, at, &len);
        if (!failed) return to->len += len, true;
        if (failed != PN_OVERFLOW) break;
    }
    return err_set(err, &ERR_TOO_LARGE, "an event of %zu bytes does not become a message", json.len);
}

bool amqp_event_decode(AmqpEventCoder *coder, Span bytes, AmqpEvent *ret) {
    pn_message_t *m = coder->message;
    pn_message_clear(m);
    if (!bytes.len || pn_message_decode(m, bytes.at, bytes.len)) return false; /* it aborts on nothing */
    pn_data_t *body = pn_message_body(m);
    pn_data_rewind(body);
    if (!pn_data_next(body)) return false;
    pn_type_t type = pn_data_type(body);
    if (type != PN_BINARY && type != PN_STRING) return false;
    pn_bytes_t at = type == PN_BINARY ? pn_data_get_binary(body) : pn_data_get_string(body);
    const char *content_type = pn_message_get_content_type(m);
    *ret = (AmqpEvent){span_bytes(at.start, at.size), span_of(content_type ? content_type : "")};
    return true;
}
