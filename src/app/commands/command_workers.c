#include "app/commands/command_workers.h"

#include "base/clock.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

typedef struct Worker {
    CommandWorkers *all;
    Db *db;
    QueueReceiver *receiver;
    CommandLoop *loop;
    bool first;
    bool rung; /* it alone: something has come to its receiver */
    pthread_t thread;
} Worker;

struct CommandWorkers {
    CommandWorkersOptions options;
    Worker *at[COMMAND_WORKERS_MAX];
    size_t count, idle,
        deaf;  /* idle: of them wait to be called; deaf: only for the end of a time, or of all */
    bool rung; /* and nobody has looked since */
    atomic_bool stop;
    pthread_mutex_t lock;
    pthread_cond_t called, ended;
};

CommandWorkers *command_workers_new(const CommandWorkersOptions *options) {
    CommandWorkers *w = must(calloc(1, sizeof *w));
    w->options = *options;
    pthread_mutex_init(&w->lock, NULL);
    clock_cond_init(&w->called);
    clock_cond_init(&w->ended);
    return w;
}

static void call_one(CommandWorkers *w) {
    pthread_mutex_lock(&w->lock);
    w->rung = true;
    pthread_cond_signal(&w->called);
    pthread_mutex_unlock(&w->lock);
}

/* Whoever is at work looks again before he rests. */
void command_workers_ring(CommandWorkers *w) {
    pthread_mutex_lock(&w->lock);
    w->rung = true;
    if (w->idle + w->deaf == w->count) pthread_cond_signal(&w->called);
    pthread_mutex_unlock(&w->lock);
}

void command_workers_recount(CommandWorkers *w) {
    for (size_t i = 0; i < w->count; i++) command_loop_recount(w->at[i]->loop);
    command_workers_ring(w);
}

void command_workers_insist(CommandWorkers *w) {
    pthread_mutex_lock(&w->lock);
    if (w->rung) pthread_cond_signal(&w->called);
    pthread_mutex_unlock(&w->lock);
}

/* A broker brings each receiver its own messages. */
static void arrived(void *user) {
    Worker *me = user;
    CommandWorkers *w = me->all;
    pthread_mutex_lock(&w->lock);
    me->rung = true;
    pthread_cond_broadcast(&w->called); /* whom it does not concern rests on */
    pthread_mutex_unlock(&w->lock);
}

/* Until somebody calls, or the time is over; deaf: a call shall not shorten it. */
static void rest(Worker *me, int64_t wait_ms, bool deaf) {
    CommandWorkers *w = me->all;
    struct timespec until = clock_deadline(wait_ms);
    int late = 0;
    size_t *resting = deaf ? &w->deaf : &w->idle;
    pthread_mutex_lock(&w->lock);
    ++*resting;
    while (!w->stop && (deaf || !(w->rung || me->rung)) && !late)
        late = pthread_cond_timedwait(deaf ? &w->ended : &w->called, &w->lock, &until);
    --*resting;
    if (!deaf) w->rung = me->rung = false;
    pthread_mutex_unlock(&w->lock);
}

/* How long to rest. */
static int64_t pause_of(const Worker *me, int64_t wait_ms, bool deaf) {
    const CommandWorkersOptions *o = &me->all->options;
    int64_t most = (int64_t)o->poll_ms;
    if (wait_ms < 0 || wait_ms > most) wait_ms = most;
    if (!wait_ms || deaf || !me->first || !o->idle) return wait_ms;
    int64_t again = o->idle(o->user, me->db);
    return again < wait_ms ? again : wait_ms;
}

static void *work(void *user) {
    Worker *me = user;
    CommandWorkers *w = me->all;
    pthread_setname_np(pthread_self(), "commands");
    while (!w->stop) {
        int64_t wait_ms;
        bool deaf;
        size_t handled = command_loop_turn(me->loop, &wait_ms, &deaf);
        if (handled) w->options.handled(w->options.user, handled);
        if (handled == COMMANDS_AT_ONCE) call_one(w);
        wait_ms = pause_of(me, wait_ms, deaf);
        if (wait_ms) rest(me, wait_ms, deaf);
    }
    return NULL;
}

static Worker *worker_free(Worker *me) {
    command_loop_free(me->loop);
    queue_receiver_free(me->receiver);
    db_free(me->db);
    free(me);
    return NULL;
}

bool command_workers_add(CommandWorkers *w, Db *db, QueueReceiver *receiver, Err *err) {
    Worker *me = must(calloc(1, sizeof *me));
    *me = (Worker){.all = w, .db = db, .receiver = receiver};
    me->loop = command_loop_new(&(CommandLoopOptions){.receiver = receiver,
                                                      .db = db,
                                                      .events_written = w->options.events_written,
                                                      .user = w->options.user});
    queue_on_arrival(receiver, arrived, me);
    pthread_mutex_lock(&w->lock);
    bool room = w->count < COMMAND_WORKERS_MAX;
    me->first = !w->count;
    int failed = room ? pthread_create(&me->thread, NULL, work, me) : EAGAIN;
    if (!failed) w->at[w->count++] = me;
    pthread_mutex_unlock(&w->lock);
    if (!failed) return true;
    worker_free(me);
    return err_set_errno(err, &ERR_INTERNAL, failed, "a worker's thread");
}

CommandWorkers *command_workers_free(CommandWorkers *w) {
    if (!w) return NULL;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_broadcast(&w->called);
    pthread_cond_broadcast(&w->ended);
    pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < w->count; i++) pthread_join(w->at[i]->thread, NULL);
    for (size_t i = 0; i < w->count; i++) worker_free(w->at[i]);
    pthread_cond_destroy(&w->called);
    pthread_cond_destroy(&w->ended);
    pthread_mutex_destroy(&w->lock);
    free(w);
    return NULL;
}
