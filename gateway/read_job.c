#include "gateway/read_job.h"

#include <stdlib.h>

enum { ARENA_BYTES = 16 << 20, WAIT_MS = 2000, DEADLINE_MS = 5000, PARKED_MAX = 1000 };

struct Parking {
    ReadJob *first;
    size_t count;
};

Parking *parking_new(void) {
    return must(calloc(1, sizeof(Parking)));
}

Parking *parking_free(Parking *parking) {
    free(parking);
    return NULL;
}

static void unpark(ReadJob *j) {
    loop_timer_stop(j->worker->loop, &j->timer);
    *j->at = j->next;
    if (j->next) j->next->at = j->at;
    j->at = NULL;
    j->worker->parking->count--;
    j->worker->in_flight--;
}

/* The thread hangs in the database: who asked is told, and the thread's work comes back when it may. */
static void deadline_is_over(Timer *timer) {
    ReadJob *j = CONTAINER(timer, ReadJob, timer);
    j->given_up = j->told_late = true;
    j->late(j);
}

static void submit(ReadJob *j) {
    Worker *w = j->worker;
    if (!pool_submit(w->gateway->readers, w->loop, &j->job, &j->err)) {
        j->done(j);
        return;
    }
    w->in_flight++;
    j->timer.expired = deadline_is_over;
    if (j->late && !j->given_up) loop_timer_set(w->loop, &j->timer, DEADLINE_MS);
}

static void wait_is_over(Timer *timer) {
    ReadJob *j = CONTAINER(timer, ReadJob, timer);
    unpark(j);
    submit(j);
}

static void park(ReadJob *j) {
    Worker *w = j->worker;
    Parking *p = w->parking;
    j->behind = false;
    j->timer.expired = wait_is_over;
    j->deadline_us = loop_now_us(w->loop) + (int64_t)WAIT_MS * 1000;
    /* the ring may have come while the read was on its way back */
    if (p->count >= PARKED_MAX || atomic_load(&w->gateway->held) >= j->min_position) {
        submit(j);
        return;
    }
    j->next = p->first;
    if (p->first) p->first->at = &j->next;
    j->at = &p->first;
    p->first = j;
    p->count++;
    w->in_flight++;
    loop_timer_set(w->loop, &j->timer, WAIT_MS);
}

void parking_held(Parking *parking, int64_t position) {
    for (ReadJob *j = parking->first, *next; j; j = next) {
        next = j->next;
        if (j->min_position > position) continue;
        unpark(j);
        submit(j);
    }
}

static void back(Job *job) {
    ReadJob *j = CONTAINER(job, ReadJob, job);
    j->worker->in_flight--;
    loop_timer_stop(j->worker->loop, &j->timer);
    if (job->late) err_set(&j->err, &ERR_UNAVAILABLE, "the readers are busy");
    if (j->behind && !j->given_up)
        park(j);
    else
        j->done(j);
}

static bool read_in_view(ReadJob *j, Queries *queries, Err *err) {
    Db *db;
    if (!queries_db(queries, &db, err) || !read_begin(db, err)) return false;
    bool ok = replay_log_head(db, &j->head, err);
    j->behind = ok && !j->deadline_us && j->head.head < j->min_position;
    if (ok && !j->behind) ok = j->read(j, queries, db, err);
    read_end(db);
    return ok;
}

static void run(Job *job, void *context) {
    ReadJob *j = CONTAINER(job, ReadJob, job);
    bool ok = j->needs_model ? read_in_view(j, context, &j->err) : j->read(j, context, NULL, &j->err);
    if (!ok) queries_failed(context, &j->err);
}

void read_job_start(ReadJob *j) {
    j->job = (Job){.run = run, .done = back};
    j->arena = arena_new(ARENA_BYTES);
    submit(j);
}

void read_job_give_up(ReadJob *j) {
    j->given_up = true;
    if (!j->at) loop_timer_stop(j->worker->loop, &j->timer);
    if (!j->at) return;
    unpark(j);
    j->done(j);
}

void read_job_clear(ReadJob *j) {
    j->arena = arena_free(j->arena);
}
