#include "queue/amqp_message.h"

#include "base/map.h"
#include "base/uuid.h"
#include "queue/queue.h"
#include <stdio.h>

void amqp_message_id(Span tenant_id, Span issued_by, Span command_id, unsigned requeues, char ret[37]) {
    char suffix[16];
    snprintf(suffix, sizeof suffix, "requeue-%u", requeues);
    const Span parts[] = {tenant_id, issued_by, command_id, span_of(suffix)};
    Uuid id = uuid_v5(&UUID_COMMANDS, parts, requeues ? 4 : 3);
    uuid_format(&id, ret);
}

unsigned amqp_lane(Span ordering_key) {
    return (unsigned)(hash_stable(ordering_key) % QUEUE_LANES);
}

void amqp_session(unsigned lane, char ret[AMQP_SESSION]) {
    snprintf(ret, AMQP_SESSION, "lane-%02u", lane % QUEUE_LANES);
}

/* --- writing --- */

static void put_name(pn_data_t *map, const char *name) {
    pn_data_put_string(map, amqp_bytes(span_of(name)));
}

static void put_text(pn_data_t *map, const char *name, Span value) {
    if (!value.len) return;
    put_name(map, name);
    pn_data_put_string(map, amqp_bytes(value));
}

static void fill_properties(pn_data_t *map, const AmqpCommand *c) {
    pn_data_put_map(map);
    pn_data_enter(map);
    put_text(map, "tenantId", c->tenant_id);
    put_text(map, "orderingKey", c->ordering_key);
    put_text(map, "traceparent", c->traceparent);
    put_name(map, "bodyHash");
    pn_data_put_long(map, (int64_t)c->body_hash);
    if (c->requeues) {
        put_name(map, "requeues");
        pn_data_put_int(map, (int32_t)c->requeues);
    }
    pn_data_exit(map);
}

static void fill(pn_message_t *m, const AmqpCommand *c) {
    char session[AMQP_SESSION], type[128];
    amqp_session(c->lane, session);
    pn_message_set_group_id(m, session);
    pn_message_set_creation_time(m, c->accepted_at / 1000);
    if (c->command_type.len && span_copy(c->command_type, type, sizeof type)) pn_message_set_subject(m, type);
    pn_data_put_string(pn_message_id(m), amqp_bytes(c->message_id));
    fill_properties(pn_message_properties(m), c);
    pn_data_put_binary(pn_message_body(m), amqp_bytes(c->body));
}

bool amqp_encode(AmqpCoder *coder, const AmqpCommand *command, Buf *to, Err *err) {
    fill(amqp_coder_begin(coder, "application/x-protobuf"), command);
    return amqp_coder_write(coder, to, err);
}

/* --- reading --- */

static int64_t number_at(pn_data_t *data) {
    switch (pn_data_type(data)) {
    case PN_LONG: return pn_data_get_long(data);
    case PN_ULONG: return (int64_t)pn_data_get_ulong(data);
    case PN_INT: return pn_data_get_int(data);
    case PN_UINT: return pn_data_get_uint(data);
    default: return 0;
    }
}

static bool read_properties(pn_data_t *map, AmqpCommand *c) {
    bool hashed = false;
    pn_data_rewind(map);
    if (!pn_data_next(map) || pn_data_type(map) != PN_MAP || !pn_data_enter(map)) return false;
    while (pn_data_next(map)) {
        Span name = amqp_text(map);
        if (!pn_data_next(map)) break;
        if (span_is(name, "tenantId")) c->tenant_id = amqp_text(map);
        if (span_is(name, "orderingKey")) c->ordering_key = amqp_text(map);
        if (span_is(name, "traceparent")) c->traceparent = amqp_text(map);
        if (span_is(name, "bodyHash")) c->body_hash = (uint64_t)number_at(map), hashed = true;
        if (span_is(name, "requeues") && number_at(map) > 0) c->requeues = (unsigned)number_at(map);
    }
    return hashed;
}

bool amqp_decode(AmqpCoder *coder, Span bytes, AmqpCommand *ret) {
    *ret = (AmqpCommand){0};
    pn_message_t *m = amqp_coder_read(coder, bytes);
    if (!m) return false;
    ret->body = amqp_only_text(pn_message_body(m));
    ret->message_id = amqp_only_text(pn_message_id(m));
    ret->accepted_at = pn_message_get_creation_time(m) * 1000;
    ret->command_type = span_of(pn_message_get_subject(m));
    ret->tries = pn_message_get_delivery_count(m);
    if (!read_properties(pn_message_properties(m), ret)) ret->body_hash = hash_stable(ret->body);
    return true;
}
