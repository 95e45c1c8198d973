#include "io/pool.h"

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
    bool closing;
    pthread_t *threads;
    size_t started;
};

static void return_home(Task *task) {
    Job *job = CONTAINER(task, Job, task);
    job->done(job);
}

static Job *take(Pool *p) {
    pthread_mutex_lock(&p->lock);
    while (!p->first && !p->closing) pthread_cond_wait(&p->changed, &p->lock);
    Job *job = p->first;
    if (job) {
        p->first = job->next;
        if (!p->first) p->last = NULL;
        p->waiting--;
    }
    pthread_mutex_unlock(&p->lock);
    return job;
}

static void *work(void *user) {
    Pool *p = user;
    pthread_setname_np(pthread_self(), p->name);
    void *context = p->options.context_open ? p->options.context_open(p->options.user) : NULL;
    for (Job *job; (job = take(p));) {
        job->run(job, context);
        job->task.run = return_home;
        loop_post(job->home, &job->task);
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

bool pool_submit(Pool *p, Loop *home, Job *job, Err *err) {
    job->home = home;
    job->next = NULL;
    pthread_mutex_lock(&p->lock);
    bool room = !p->closing && p->waiting < p->options.bound;
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

