/* Who waits for what a command has come to. The stream tells that something has happened to it, and in which
 * event; the doorbell tells when reads show that event. Then, and not before, the outcome is read: once, as a
 * rule. One of a loop, on its thread. */
#pragma once
#include "base/uuid.h"
#include "gateway/feed/event.h"
#include "gateway/gateway.h"

typedef struct Waiting Waiting;
typedef struct Waiter Waiter;
struct Waiter {
    char command_id[UUID_TEXT];
    void (*look)(Waiter *waiter);  /* an event of the command is in the read model: how did it end? */
    void (*drain)(Waiter *waiter); /* the gateway stops */
    int64_t sequence;              /* of the latest event of the command; 0: none has come */
    Waiter *next, **at;            /* its own */
};

Waiting *waiting_new(void);
Waiting *waiting_free(Waiting *waiting);

enum { WAITERS_MAX = 10000 };
/* Before the command goes into the queue, so that no event of it is missed. False: too many wait. */
bool waiting_add(Waiting *waiting, Waiter *waiter);
void waiting_remove(Waiting *waiting, Waiter *waiter); /* no effect where it is not in there */

void waiting_event(Waiting *waiting, Event *event);
void waiting_held(Waiting *waiting, int64_t position);
void waiting_drain(Waiting *waiting);

Waiting *rpc_waiting(const Worker *worker); /* rpc.c */
