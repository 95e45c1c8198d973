/* queue_sender.c - one thread writes what the loops hand over: what arrives together goes out together. */
#include "base/cleaner.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/batcher.h"
#include "queue/queue_driver.h"
#include <stdatomic.h>

/* CLEAN_PAUSE_US: between two pieces, so that the commands that come meanwhile are not held up. */
enum { BATCH_MOST = 256, BATCH_BOUND = 16384, PATIENCE_MS = 3000, CLEAN_PAUSE_US = 20000 };

struct QueueSender {
    QueueSendEngine *engine;
    Batcher *batcher;
    void (*committed)(void *user);
    void *committed_user;
    atomic_int_fast64_t keep_s; /* 0: for ever */
    /* of the writing thread */
    Cleaner cleaner; /* every_us 0: not begun */
    bool worked;     /* since it has looked */
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
    sender->worked = true;
}

static void clean(QueueSender *sender, int64_t keep_s, int64_t now) {
    Err err = {0};
    bool more = false;
    int64_t before = clock_now_us() - keep_s * 1000000;
    bool done = sender->engine->driver->clean(sender->engine, before, &more, &err);
    if (!done) log_warn("old commands could not be removed", LOG_ERR(&err));
    cleaner_done(&sender->cleaner, more, !done, more ? now + CLEAN_PAUSE_US : now);
}

static int64_t tend(void *user) {
    QueueSender *sender = user;
    int64_t keep_s = atomic_load(&sender->keep_s), now = clock_mono_us();
    if (!keep_s || !sender->engine->driver->clean) return -1;
    if (!sender->cleaner.every_us) sender->cleaner = cleaner_start(keep_s, now);
    if (sender->worked) cleaner_worked(&sender->cleaner, now);
    sender->worked = false;
    if (now >= sender->cleaner.due_us) clean(sender, keep_s, now);
    if (sender->cleaner.due_us == CLEANER_NEVER) return -1;
    return sender->cleaner.due_us > now ? (sender->cleaner.due_us - now + 999) / 1000 : 0;
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
                              .tend = tend,
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

void queue_keep(QueueSender *sender, int64_t seconds) {
    atomic_store(&sender->keep_s, seconds);
}
