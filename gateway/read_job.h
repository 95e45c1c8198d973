/* A read that needs the database: on a reader thread, in one view, and back to the loop. It is answered
 * within 5 s of its being given to the threads, whether or not the database answers.
 *
 * Where it wants a position that the projection has not reached, it is parked on its loop (no thread waits)
 * until the doorbell says that the number is held, or 2 s are over; then it reads again and makes do with
 * what there is. */
#pragma once
#include "gateway/gateway.h"

typedef struct ReadJob ReadJob;
struct ReadJob {
    /* Set by the caller. */
    Worker *worker;
    bool needs_model;     /* false: read() looks itself for what there is */
    int64_t min_position; /* 0: any */
    bool (*read)(ReadJob *job, Queries *queries, Db *db, Err *err); /* on a reader thread */
    void (*done)(
        ReadJob *job); /* on the loop, exactly once; job->err says whether. It frees what holds the job */
    /* On the loop, at most once, before done(): the database has not answered within the deadline. To be
     * answered now (job->err is not to be touched); a thread may still be reading for the job. */
    void (*late)(ReadJob *job);
    /* For them. */
    Arena *arena;    /* for what is read; until read_job_clear() */
    ReplayHead head; /* where the projection stood before the first row was read */
    Err err;
    /* Its own. */
    Job job;
    int64_t deadline_us; /* monotonic; 0: has not waited yet */
    bool behind, given_up, told_late;
    Timer timer;         /* of the parking, or of the thread's work */
    ReadJob *next, **at; /* in the parking list */
};

void read_job_start(ReadJob *job); /* may call done() at once */
/* Nobody wants what it reads any more: done() comes as soon as may be, at once where it is parked. */
void read_job_give_up(ReadJob *job);
void read_job_clear(ReadJob *job);

/* The parked reads of one loop. */
Parking *parking_new(void);
Parking *parking_free(Parking *parking); /* nothing is parked any more */
AUTO_FREE(Parking, parking_free)
/* On the loop: the projection holds `position` now. */
void parking_held(Parking *parking, int64_t position);
