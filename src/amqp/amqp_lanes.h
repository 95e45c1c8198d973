/* Between what is laid out (amqp_table.h) and the sending links, one for each lane of it. On the broker's thread, under
 * the table's lock. */
#pragma once
#include "amqp/amqp_table.h"
#include <proton/delivery.h>
#include <proton/link.h>

/* All that is new, as far as there is credit: where a lane has none, the rest of it waits in its order. */
void amqp_lanes_send(AmqpTable *table, pn_link_t *const *lanes);
/* Notes what the broker says of one that was sent so, and settles it. */
void amqp_lanes_told(AmqpTable *table, pn_delivery_t *delivery);
