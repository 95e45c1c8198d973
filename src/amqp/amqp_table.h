/* What a sender has laid out for its broker: messages in order, each on a lane, and what has become of each. The
 * sending thread lays them out and waits until none is left; the broker's thread sends the next ones, notes the
 * broker's words, and when the connection breaks makes all new again that was sent without one, so that none is passed
 * over. Pure: no link, no clock, no lock. Both threads hold their owner's lock around every call. */
#pragma once
#include "base/auto.h"
#include "base/span.h"

enum { AMQP_LANES_MOST = 64 }; /* a set of them is one word */
#define AMQP_NO_MESSAGE SIZE_MAX

typedef enum AmqpFate { AMQP_NEW, AMQP_SENT, AMQP_ACCEPTED, AMQP_REFUSED, AMQP_TOO_LARGE } AmqpFate;

typedef struct AmqpTable AmqpTable;
AmqpTable *amqp_table_new(void);
AmqpTable *amqp_table_free(AmqpTable *table);
AUTO_FREE(AmqpTable, amqp_table_free)

/* Takes all away: no word about it counts any more. */
void amqp_table_clear(AmqpTable *table);
/* Behind the others. The bytes are borrowed until the table is cleared. */
void amqp_table_lay(AmqpTable *table, Span message, unsigned lane);
size_t amqp_table_count(const AmqpTable *table);
size_t amqp_table_left(const AmqpTable *table); /* how many the broker has not spoken about */
AmqpFate amqp_table_fate(const AmqpTable *table, size_t index);
/* What the broker has said of the last one that it refused; empty: nothing. Until the table is cleared. */
const char *amqp_table_reason(const AmqpTable *table);

/* The first new one from `from` on whose lane is not in the set `full`; AMQP_NO_MESSAGE: there is none. */
size_t amqp_table_next(const AmqpTable *table, size_t from, uint64_t full);
Span amqp_table_message(const AmqpTable *table, size_t index);
unsigned amqp_table_lane(const AmqpTable *table, size_t index);
/* It is on its way. The mark is another one each time the table is laid. */
uint64_t amqp_table_sent(AmqpTable *table, size_t index);
void amqp_table_too_large(AmqpTable *table, size_t index); /* it will not be sent */
/* The broker's word about what has this mark. reason: why it was refused, may be NULL. No effect where that was not
 * sent, or lies here no more. */
void amqp_table_told(AmqpTable *table, uint64_t mark, bool accepted, const char *reason);
/* The connection has broken. */
void amqp_table_lost(AmqpTable *table);
