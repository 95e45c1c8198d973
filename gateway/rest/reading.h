/* A read that needs the database: on a reader thread, in one view, and back to the loop for the answer.
 *
 * X-Events-Min-Position: a read that finds the projection behind the wanted number is parked on its loop (no
 * thread waits) until the doorbell says that the number is held, or 2 s are over; then it reads again and
 * answers with what there is. */
#pragma once
#include "gateway/rest/answer.h"

typedef struct Reading Reading;
struct Reading {
    Job job;
    Request *request;
    Arena *arena;     /* for the answer's messages; goes with the Reading */
    ReplayHead head;  /* where the projection stood before the first row was read */
    bool needs_model; /* false: read() looks itself for what there is */
    /* On a reader thread. Fills answer (its field values in the arena), or fails. */
    bool (*read)(Reading *reading, Queries *queries, Db *db, Err *err);
    void *input; /* of the handler, in the request's memory */
    Answer answer;
    Err err;
    int64_t min_position, deadline_us; /* monotonic; 0: has not waited yet */
    bool behind;
    Timer timer;
    Reading *next, **at; /* in the parking list */
};

/* Takes the request over. input may be NULL. */
void reading_start(Request *r, bool (*read)(Reading *, Queries *, Db *, Err *), bool needs_model,
                   void *input);
/* X-Events-Position and X-Events-Epoch of reading->head. */
void reading_position(Reading *reading);

/* The parked reads of one loop. */
Parking *parking_new(void);
Parking *parking_free(Parking *parking); /* nothing is parked any more */
AUTO_FREE(Parking, parking_free)
/* On the loop: the projection holds `position` now. */
void parking_held(Parking *parking, int64_t position);
