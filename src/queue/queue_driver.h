/* What an engine does. Inside queue/ only. */
#pragma once
#include "queue/queue.h"
#include "queue/queue_place.h"

/* --- for the sending side; called by the one thread that writes --- */
typedef struct QueueSendDriver {
    void *(*free)(void *engine);
    /* Sets the verdict of each, and the err of those that failed. True: at least one is durable now. */
    bool (*store)(void *engine, QueueSend **sends, size_t count);
    /* Takes away a few of the settled commands that are older than before_us. NULL: the engine keeps none. */
    bool (*clean)(void *engine, int64_t before_us, bool *more, Err *err);
} QueueSendDriver;

/* First member of each engine's own. */
typedef struct QueueSendEngine {
    const QueueSendDriver *driver;
} QueueSendEngine;

/* They wait for an engine that is starting. False: *ret is half made (or NULL) and is to be freed. */
bool queue_tables_sender_open(const QueuePlace *place, QueueSendEngine **ret, Err *err);
bool queue_amqp_sender_open(const QueuePlace *place, QueueSendEngine **ret, Err *err);

/* --- for the handling side --- */
typedef struct QueueDriver {
    void *(*free)(void *receiver);
    bool (*claim)(void *receiver, size_t most, int64_t lease_ms, QueueMessage **ret, size_t *count, Err *err);
    bool (*complete)(void *receiver, const int64_t *queue_ids, size_t count, Err *err);
    bool (*release)(void *receiver, int64_t queue_id, int64_t delay_ms, bool counts, Err *err);
    bool (*dead_letter)(void *receiver, int64_t queue_id, const char *reason, Err *err);
    int64_t (*next_due_ms)(void *receiver);
    bool (*depth)(void *receiver, QueueDepth *ret, Err *err); /* NULL: the engine does not tell */
    void (*on_arrival)(void *receiver, void (*arrived)(void *user), void *user); /* NULL: nobody tells */
} QueueDriver;

/* First member of each engine's own. */
struct QueueReceiver {
    const QueueDriver *driver;
};

/* False: *ret is half made (or NULL) and is to be freed. */
bool queue_files_receiver_open(const QueuePlace *place, QueueReceiver **ret, Err *err);
bool queue_tables_receiver_open(const QueuePlace *place, const char *owner, QueueReceiver **ret, Err *err);
bool queue_amqp_receiver_open(const QueuePlace *place, unsigned worker, unsigned workers, QueueReceiver **ret,
                              Err *err);
