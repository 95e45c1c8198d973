#include "amqp/amqp_lanes.h"

#include <proton/condition.h>
#include <proton/disposition.h>

static void send_one(AmqpTable *table, size_t index, pn_link_t *link) {
    Span m = amqp_table_message(table, index);
    uint64_t most = pn_link_remote_max_message_size(link);
    if (most && m.len > most) { /* sent, it would cost the link, again and again */
        amqp_table_too_large(table, index);
        return;
    }
    uint64_t mark = amqp_table_sent(table, index);
    pn_delivery_t *d = pn_delivery(link, pn_dtag((const char *)&mark, sizeof mark));
    pn_delivery_set_context(d, (void *)(uintptr_t)mark);
    pn_link_send(link, m.at, m.len);
    pn_link_advance(link);
}

void amqp_lanes_send(AmqpTable *table, pn_link_t *const *lanes) {
    uint64_t full = 0;
    for (size_t i = 0; (i = amqp_table_next(table, i, full)) != AMQP_NO_MESSAGE; i++) {
        unsigned lane = amqp_table_lane(table, i);
        if (pn_link_credit(lanes[lane]) > 0)
            send_one(table, i, lanes[lane]);
        else
            full |= UINT64_C(1) << lane;
    }
}

void amqp_lanes_told(AmqpTable *table, pn_delivery_t *d) {
    if (!pn_delivery_updated(d) || !(pn_delivery_remote_state(d) || pn_delivery_settled(d))) return;
    bool accepted = pn_delivery_remote_state(d) == PN_ACCEPTED;
    const char *reason = pn_condition_get_name(pn_disposition_condition(pn_delivery_remote(d)));
    amqp_table_told(table, (uintptr_t)pn_delivery_get_context(d), accepted, reason);
    pn_delivery_settle(d);
}
