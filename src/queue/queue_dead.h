/* Dead letters of a broker's queue, in tables of our own: with their reason, to be found by command id. A
 * broker of AMQP 1.0 keeps the message but not the reason, and cannot be searched. Inside queue/ only. */
#pragma once
#include "db/db.h"
#include "queue/amqp_message.h"

bool queue_dead_migrate(Db *db, Err *err);
/* Once per command: a later one of the same takes its place. deliveries: its tries. */
bool queue_dead_add(Db *db, const AmqpCommand *command, int deliveries, const char *reason, Err *err);
/* *found: it is dead, correlation_id tells of what. */
bool queue_dead_find(Db *db, Span tenant_id, Span issued_by, Span command_id, bool *found,
                     char correlation_id[160], Err *err);
bool queue_dead_count(Db *db, int64_t *ret, Err *err);
