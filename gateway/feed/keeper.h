/* The gateway's own thread beside the loops: it hears the doorbell, starts the hub at the log's position, and
 * fills the hub's holes from the log. */
#pragma once
#include "amqp/amqp_url.h"
#include "gateway/gateway.h"
#include "io/doorbell.h"
#include "service/shell.h"

typedef struct Keeper Keeper;
typedef struct KeeperOptions {
    Gateway *gateway;
    Service *service;
    Doorbell *bell; /* its only listener; others may ring from it */
    QueriesOptions queries;
    int64_t poll_ms;
    const AmqpUrl *fanout; /* where events come from a broker (source.h); NULL: they come by webhook */
} KeeperOptions;

Keeper *keeper_new(const KeeperOptions *options); /* without a thread: for who calls keeper_turn() */
/* Hears what was rung, looks, repairs. How long to wait, in milliseconds, where nobody rings. */
int64_t keeper_turn(Keeper *keeper);
bool keeper_open(const KeeperOptions *options, Keeper **ret, Err *err); /* starts the thread */
Keeper *keeper_free(Keeper *keeper);                                    /* ends and joins it */
AUTO_FREE(Keeper, keeper_free)

typedef struct HeldRing {
    Span epoch;
    int64_t position;
} HeldRing;
/* "held EPOCH N". Pure. */
bool held_ring_read(Span ring, HeldRing *ret);
