/* A read_job.h of a REST call. X-Events-Min-Position says which position it wants. */
#pragma once
#include "gateway/read_job.h"
#include "gateway/rest/answer.h"

typedef struct Reading Reading;
struct Reading {
    ReadJob job;
    Request *request;
    /* On a reader thread. Fills answer (its field values in job.arena), or fails. */
    bool (*read)(Reading *reading, Queries *queries, Db *db, Err *err);
    void *input; /* of the handler, in the request's memory */
    Answer answer;
};

/* Takes the request over. input may be NULL. needs_model: as in ReadJob. */
void reading_start(Request *r, bool (*read)(Reading *, Queries *, Db *, Err *), bool needs_model,
                   void *input);
/* X-Events-Position and X-Events-Epoch of reading->job.head. */
void reading_position(Reading *reading);
