/* Threads for what blocks (database reads, password hashes), and the way back to a loop.
 *
 * A Job is embedded in the caller's own struct. run() is called on a pool thread with that thread's context; then
 * done() is called on the loop that submitted it, exactly once, also when the pool is closing.
 *
 * Where the pool has a patience, waiting is bounded by time: a job that would probably wait longer is refused at once,
 * and one that has waited longer all the same (its threads hang) is given back without having been run. */
#pragma once
#include "io/loop.h"

typedef struct Pool Pool;
typedef struct Job {
    void (*run)(struct Job *job, void *context);
    void (*done)(struct Job *job);
    Task task; /* the pool's own */
    Loop *home;
    struct Job *next;
    int64_t since_us; /* waits */
    bool late;        /* for done(): it has waited too long, run() was not called */
} Job;

typedef struct PoolOptions {
    const char *name; /* of the threads, at most 11 characters */
    size_t threads;
    size_t bound; /* jobs waiting at most */
    int64_t patience_ms; /* how long they may wait; 0: for ever */
    void *(*context_open)(void *user); /* on each thread before its first job; e.g. a database connection */
    void (*context_close)(void *context);
    void *user;
} PoolOptions;

bool  pool_open(const PoolOptions *options, Pool **ret, Err *err);
Pool *pool_free(Pool *pool); /* finishes what waits, joins the threads */
AUTO_FREE(Pool, pool_free)
/* false (ERR_UNAVAILABLE) when the bound is reached, or patience would be: answer 503, do not queue without end. */
bool pool_submit(Pool *pool, Loop *home, Job *job, Err *err);
