#include "amqp/amqp_event.h"

bool amqp_event_encode(AmqpCoder *coder, Span json, Span id, Buf *to, Err *err) {
    pn_message_t *m = amqp_coder_begin(coder, "application/cloudevents+json; charset=utf-8");
    pn_data_put_string(pn_message_id(m), amqp_bytes(id));
    pn_data_put_binary(pn_message_body(m), amqp_bytes(json));
    return amqp_coder_write(coder, to, err);
}

bool amqp_event_decode(AmqpCoder *coder, Span bytes, AmqpEvent *ret) {
    pn_message_t *m = amqp_coder_read(coder, bytes);
    if (!m) return false;
    pn_data_t *body = pn_message_body(m);
    const char *content_type = pn_message_get_content_type(m);
    *ret = (AmqpEvent){amqp_only_text(body), span_of(content_type ? content_type : "")};
    return pn_data_type(body) == PN_BINARY || pn_data_type(body) == PN_STRING;
}
