#include "io/batcher.h"

#include "base/clock.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

struct Batcher {
    BatcherOptions options;
    char name[12];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    BatchItem *first, *last;
    atomic_size_t waiting;
    int64_t running_us; /* since when a run is under way, 0: none is */
    bool closing, started;
    pthread_t thread;
};

static void return_home(Task *task) {
    BatchItem *item = CONTAINER(task, BatchItem, task);
    item->done(item);
}

/* Until something waits, the end has come, or pause_ms are over (-1: never). Under the lock. */
static void rest(Batcher *b, int64_t pause_ms) {
    struct timespec until = clock_deadline(pause_ms < 0 ? 0 : pause_ms);
    for (int late = 0; !b->first && !b->closing && !late;)
        if (pause_ms < 0) pthread_cond_wait(&b->changed, &b->lock);
        else late = pthread_cond_timedwait(&b->changed, &b->lock, &until);
}

/* Everything that waits, up to the most of a run; nothing where the pause is over. False at the end. */
static bool take(Batcher *b, int64_t pause_ms, BatchItem **items, size_t *count) {
    *count = 0;
    pthread_mutex_lock(&b->lock);
    b->running_us = 0;
    rest(b, pause_ms);
    for (; b->first && *count < b->options.most; b->first = b->first->next) items[(*count)++] = b->first;
    if (!b->first) b->last = NULL;
    b->waiting -= *count;
    b->running_us = *count ? clock_mono_us() : 0;
    bool more = *count || !b->closing;
    pthread_mutex_unlock(&b->lock);
    return more;
}

static void run(Batcher *b, BatchItem **items, size_t count) {
    b->options.run(b->options.user, items, count);
    for (size_t i = 0; i < count; i++) {
        items[i]->task.run = return_home;
        loop_post(items[i]->home, &items[i]->task);
    }
}

static int64_t tend(const Batcher *b) {
    return b->options.tend ? b->options.tend(b->options.user) : -1;
}

static void *work(void *user) {
    Batcher *b = user;
    pthread_setname_np(pthread_self(), b->name);
    BatchItem **items = must(calloc(b->options.most, sizeof(BatchItem *)));
    for (size_t count; take(b, tend(b), items, &count);)
        if (count) run(b, items, count);
    free(items);
    return NULL;
}

bool batcher_open(const BatcherOptions *options, Batcher **ret, Err *err) {
    AUTO(Batcher) b = must(calloc(1, sizeof *b));
    b->options = *options;
    snprintf(b->name, sizeof b->name, "%s", options->name);
    pthread_mutex_init(&b->lock, NULL);
    clock_cond_init(&b->changed);
    int failed = pthread_create(&b->thread, NULL, work, b);
    if (failed) return err_set_errno(err, &ERR_INTERNAL, failed, "batch thread");
    b->started = true;
    *ret = b;
    b = NULL;
    return true;
}

Batcher *batcher_free(Batcher *b) {
    if (!b) return NULL;
    pthread_mutex_lock(&b->lock);
    b->closing = true;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
    if (b->started) pthread_join(b->thread, NULL);
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->lock);
    free(b);
    return NULL;
}

static bool is_stuck(const Batcher *b, int64_t now) {
    int64_t patience_us = b->options.patience_ms * 1000;
    if (!patience_us) return false;
    return (b->running_us && now - b->running_us > patience_us) ||
           (b->first && now - b->first->since_us > patience_us);
}

bool batcher_submit(Batcher *b, Loop *home, BatchItem *item, Err *err) {
    item->home = home;
    item->next = NULL;
    item->since_us = clock_mono_us();
    pthread_mutex_lock(&b->lock);
    bool room = !b->closing && b->waiting < b->options.bound && !is_stuck(b, item->since_us);
    if (room) {
        if (b->last) b->last->next = item;
        else b->first = item;
        b->last = item;
        b->waiting++;
        pthread_cond_signal(&b->changed);
    }
    pthread_mutex_unlock(&b->lock);
    return room || err_set(err, &ERR_UNAVAILABLE, "%s: too much work is waiting", b->name);
}

