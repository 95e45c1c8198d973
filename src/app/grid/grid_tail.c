#include "app/grid/grid_tail.h"

#include "base/clock.h"

struct GridTail {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    Blob **ring; /* the event of position p stands at p % size */
    size_t size, bytes, bytes_max;
    int64_t first, last; /* positions held: first..last; none where first > last */
};

GridTail *grid_tail_new(size_t events_max, size_t bytes_max, int64_t last) {
    GridTail *t = must(calloc(1, sizeof *t));
    clock_cond_init(&t->changed);
    pthread_mutex_init(&t->lock, NULL);
    t->ring = must(calloc(events_max, sizeof *t->ring));
    t->size = events_max;
    t->bytes_max = bytes_max;
    t->last = last;
    t->first = last + 1;
    return t;
}

static Blob **place(GridTail *t, int64_t position) {
    return &t->ring[(uint64_t)position % t->size];
}

static void drop_first(GridTail *t) {
    Blob **at = place(t, t->first++);
    t->bytes -= (*at)->len;
    *at = blob_unref(*at);
}

GridTail *grid_tail_free(GridTail *t) {
    if (!t) return NULL;
    while (t->first <= t->last) drop_first(t);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t->ring);
    free(t);
    return NULL;
}

void grid_tail_push(GridTail *t, Blob *const *events, size_t count) {
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < count; i++) {
        while (t->first <= t->last &&
               (t->last - t->first + 1 == (int64_t)t->size || t->bytes + events[i]->len > t->bytes_max))
            drop_first(t);
        *place(t, ++t->last) = events[i];
        t->bytes += events[i]->len;
    }
    pthread_mutex_unlock(&t->lock);
    pthread_cond_broadcast(&t->changed);
}

int64_t grid_tail_last(GridTail *t) {
    pthread_mutex_lock(&t->lock);
    int64_t last = t->last;
    pthread_mutex_unlock(&t->lock);
    return last;
}

size_t grid_tail_take(GridTail *t, int64_t after, Blob **events, size_t most, size_t bytes, bool *older) {
    size_t count = 0, sum = 0;
    pthread_mutex_lock(&t->lock);
    *older = after < t->last && after + 1 < t->first;
    for (int64_t p = after + 1; !*older && p <= t->last && count < most; p++) {
        Blob *event = *place(t, p);
        sum += event->len;
        if (count && sum > bytes) break;
        events[count++] = blob_ref(event);
    }
    pthread_mutex_unlock(&t->lock);
    return count;
}

void grid_tail_wait(GridTail *t, int64_t after, int64_t timeout_ms, const atomic_bool *alarm) {
    struct timespec until = clock_deadline(timeout_ms < 0 ? 0 : timeout_ms);
    int failed = 0;
    pthread_mutex_lock(&t->lock);
    while (t->last <= after && !atomic_load(alarm) && !failed)
        failed = timeout_ms < 0 ? pthread_cond_wait(&t->changed, &t->lock)
                                : pthread_cond_timedwait(&t->changed, &t->lock, &until);
    pthread_mutex_unlock(&t->lock);
}

void grid_tail_alarm(GridTail *t, atomic_bool *alarm) {
    pthread_mutex_lock(&t->lock);
    atomic_store(alarm, true);
    pthread_mutex_unlock(&t->lock);
    pthread_cond_broadcast(&t->changed);
}
