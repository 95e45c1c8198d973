/* One subscription of events-grid that is no webhook but a broker's exchange, as Event Grid delivers to a topic
 * of Service Bus: one event a message, in order, each until the broker has accepted it. Several gateways get
 * all events so, each by a queue of its own. */
#pragma once
#include "app/grid/grid_journal.h"

typedef struct GridExchange GridExchange;
typedef struct GridExchangeOptions {
    GridJournal *journal; /* must live longer */
    size_t index;         /* the subscription's place in the journal */
    const char *name;     /* borrowed */
    const char *url;      /* amqp[s]://user:password@host:port/exchange */
} GridExchangeOptions;

/* Does not wait for the broker. */
bool grid_exchange_open(const GridExchangeOptions *options, GridExchange **ret, Err *err);
GridExchange *grid_exchange_free(GridExchange *exchange); /* interrupts a delivery; joins the thread */
AUTO_FREE(GridExchange, grid_exchange_free)
