/* queue_sender.c - one thread writes what the loops hand over: what arrives together goes out together. */
#include "io/batcher.h"
#include "queue/queue_driver.h"

enum { BATCH_MOST = 256, BATCH_BOUND = 16384, PATIENCE_MS = 3000 };

struct QueueSender {
    QueueSendEngine *engine;
    Batcher *batcher;
    void (*committed)(void *user);
    void *committed_user;
};

/* What lies in QueueSend.reserved. */
typedef struct Sending {
    BatchItem item;
} Sending;
_Static_assert(sizeof(Sending) <= sizeof(((QueueSend *)0)->reserved), "reserved is large enough");

static QueueSend *send_of(BatchItem *item) {
    return CONTAINER((void *)CONTAINER(item, Sending, item), QueueSend, reserved);
}

static void run_batch(void *user, BatchItem **items, size_t count) {
    QueueSender *sender = user;
    QueueSend *sends[BATCH_MOST];
    for (size_t i = 0; i < count; i++) sends[i] = send_of(items[i]);
    if (sender->engine->driver->store(sender->engine, sends, count) && sender->committed)
        sender->committed(sender->committed_user);
}

static void item_done(BatchItem *item) {
    QueueSend *send = send_of(item);
    if (send->verdict == QUEUE_REPEATED) send->correlation_id = send->first_correlation_id;
    send->done(send);
}

bool queue_send(QueueSender *sender, Loop *home, QueueSend *send, Err *err) {
    Sending *sending = (void *)send->reserved;
    *sending = (Sending){.item.done = item_done};
    send->err = (Err){0};
    send->verdict = QUEUE_FAILED;
    return batcher_submit(sender->batcher, home, &sending->item, err);
}

bool queue_sender_open(const char *url, const char *home, QueueSender **ret, Err *err) {
    QueuePlace place;
    AUTO(QueueSender) sender = must(calloc(1, sizeof *sender));
    BatcherOptions options = {.name = "queue",
                              .most = BATCH_MOST,
                              .bound = BATCH_BOUND,
                              .patience_ms = PATIENCE_MS,
                              .run = run_batch,
                              .user = sender};
    if (!queue_place(url, home, &place, err)) return false;
    bool opened = place.broker ? queue_amqp_sender_open(&place, &sender->engine, err)
                               : queue_tables_sender_open(&place, &sender->engine, err);
    if (!opened || !batcher_open(&options, &sender->batcher, err)) return false;
    *ret = sender;
    sender = NULL;
    return true;
}

QueueSender *queue_sender_free(QueueSender *sender) {
    if (!sender) return NULL;
    batcher_free(sender->batcher);
    if (sender->engine) sender->engine->driver->free(sender->engine);
    free(sender);
    return NULL;
}

void queue_on_commit(QueueSender *sender, void (*committed)(void *user), void *user) {
    sender->committed_user = user;
    sender->committed = committed;
}
