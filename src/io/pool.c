#include "io/pool.h"

#include "base/clock.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

struct Pool {
    PoolOptions options;
    char name[12];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    Job *first, *last;
    atomic_size_t waiting;
    int64_t usual_us; /* what a job takes: a moving average */
    bool closing;
    pthread_t *threads;
    size_t started;
};

static void return_home(Task *task) {
    Job *job = CONTAINER(task, Job, task);
    job->done(job);
}

static void go_home(Job *job) {
    job->task.run = return_home;
    loop_post(job->home, &job->task);
}

static Job *pop(Pool *p) {
    Job *job = p->first;
    if (!job) return NULL;
    p->first = job->next;
    if (!p->first) p->last = NULL;
    p->waiting--;
    return job;
}

/* The oldest are in front. Called by whoever takes or brings a job: where all threads hang, new jobs come. */
static void give_back_late(Pool *p, int64_t now) {
    if (!p->options.patience_ms) return;
    while (p->first && now - p->first->since_us > p->options.patience_ms * 1000) {
        Job *job = pop(p);
        job->late = true;
        go_home(job);
    }
}

static Job *take(Pool *p) {
    pthread_mutex_lock(&p->lock);
    while (!p->first && !p->closing) pthread_cond_wait(&p->changed, &p->lock);
    give_back_late(p, clock_mono_us());
    while (!p->first && !p->closing) pthread_cond_wait(&p->changed, &p->lock);
    Job *job = pop(p);
    pthread_mutex_unlock(&p->lock);
    return job;
}

static void learn(Pool *p, int64_t took_us) {
    pthread_mutex_lock(&p->lock);
    p->usual_us += (took_us - p->usual_us) / 16;
    pthread_mutex_unlock(&p->lock);
}

static void *work(void *user) {
    Pool *p = user;
    pthread_setname_np(pthread_self(), p->name);
    void *context = p->options.context_open ? p->options.context_open(p->options.user) : NULL;
    for (Job *job; (job = take(p));) {
        int64_t from = clock_mono_us();
        job->run(job, context);
        learn(p, clock_mono_us() - from);
        go_home(job);
    }
    if (p->options.context_close) p->options.context_close(context);
    return NULL;
}

bool pool_open(const PoolOptions *options, Pool **ret, Err *err) {
    AUTO(Pool) p = must(calloc(1, sizeof *p));
    p->options = *options;
    snprintf(p->name, sizeof p->name, "%s", options->name);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    p->threads = must(calloc(options->threads, sizeof *p->threads));
    for (; p->started < options->threads; p->started++) {
        int failed = pthread_create(&p->threads[p->started], NULL, work, p);
        if (failed) return err_set_errno(err, &ERR_INTERNAL, failed, "pool thread");
    }
    *ret = p;
    p = NULL;
    return true;
}

Pool *pool_free(Pool *p) {
    if (!p) return NULL;
    pthread_mutex_lock(&p->lock);
    p->closing = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 0; i < p->started; i++) pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p->threads);
    free(p);
    return NULL;
}

static bool has_time(const Pool *p) {
    int64_t wait_us = (int64_t)p->waiting * p->usual_us / (int64_t)p->options.threads;
    return !p->options.patience_ms || wait_us <= p->options.patience_ms * 1000;
}

bool pool_submit(Pool *p, Loop *home, Job *job, Err *err) {
    job->home = home;
    job->next = NULL;
    job->late = false;
    job->since_us = clock_mono_us();
    pthread_mutex_lock(&p->lock);
    give_back_late(p, job->since_us);
    bool room = !p->closing && p->waiting < p->options.bound && has_time(p);
    if (room) {
        if (p->last) p->last->next = job;
        else p->first = job;
        p->last = job;
        p->waiting++;
        pthread_cond_signal(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    return room || err_set(err, &ERR_UNAVAILABLE, "%s: too much work is waiting", p->name);
}

