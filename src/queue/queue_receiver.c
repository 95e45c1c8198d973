/* queue_receiver.c - the one header in front of the engines. */
#include "queue/queue_driver.h"

#include "base/place.h"
#include <stdio.h>

bool queue_receiver_open_worker(const char *url, const char *home, unsigned worker, unsigned workers,
                                QueueReceiver **ret, Err *err) {
    QueuePlace place;
    char owner[PLACE_NAME + 12];
    AUTO(QueueReceiver) r = NULL;
    if (!queue_place(url, home, &place, err)) return false;
    size_t len = place_name(home, owner);
    snprintf(owner + len, sizeof owner - len, "-%u", worker);
    bool opened = place.broker   ? queue_amqp_receiver_open(&place, worker, workers, &r, err)
                  : place.server ? queue_tables_receiver_open(&place, owner, &r, err)
                                 : queue_files_receiver_open(&place, &r, err);
    if (!opened) return false;
    *ret = r;
    r = NULL;
    return true;
}

bool queue_receiver_open(const char *url, const char *home, QueueReceiver **ret, Err *err) {
    return queue_receiver_open_worker(url, home, 0, 1, ret, err);
}

QueueReceiver *queue_receiver_free(QueueReceiver *r) {
    return r ? r->driver->free(r) : NULL;
}

bool queue_claim(QueueReceiver *r, size_t most, int64_t lease_ms, QueueMessage **ret, size_t *count,
                 Err *err) {
    return r->driver->claim(r, most, lease_ms, ret, count, err);
}
bool queue_complete(QueueReceiver *r, const int64_t *queue_ids, size_t count, Err *err) {
    return r->driver->complete(r, queue_ids, count, err);
}
bool queue_release(QueueReceiver *r, int64_t queue_id, int64_t delay_ms, bool counts, Err *err) {
    return r->driver->release(r, queue_id, delay_ms, counts, err);
}
bool queue_dead_letter(QueueReceiver *r, int64_t queue_id, const char *reason, Err *err) {
    return r->driver->dead_letter(r, queue_id, reason, err);
}
int64_t queue_next_due_ms(QueueReceiver *r) {
    return r->driver->next_due_ms(r);
}
bool queue_depth(QueueReceiver *r, QueueDepth *ret, Err *err) {
    *ret = (QueueDepth){-1, -1};
    return !r->driver->depth || r->driver->depth(r, ret, err);
}

void queue_on_arrival(QueueReceiver *r, void (*arrived)(void *user), void *user) {
    if (r->driver->on_arrival) r->driver->on_arrival(r, arrived, user);
}
