#include "gateway/rest/reading.h"

#include <stdlib.h>

/* The request's memory stays: the thread may be reading from it. */
static void late(ReadJob *job) {
    Reading *reading = CONTAINER(job, Reading, job);
    Err err = {0};
    err_set(&err, &ERR_UNAVAILABLE, "the read model did not answer within the deadline");
    http_hold(reading->request->x);
    answer_err(reading->request, &err);
}

static void finish(ReadJob *job) {
    Reading *reading = CONTAINER(job, Reading, job);
    if (job->told_late) {
        buf_free(&reading->answer.body);
        http_let_go(reading->request->x);
    } else if (job->err.kind) {
        buf_free(&reading->answer.body);
        answer_err(reading->request, &job->err);
    } else {
        answer_send(reading->request, &reading->answer);
    }
    read_job_clear(job);
    free(reading);
}

static bool read_and_compress(ReadJob *job, Queries *queries, Db *db, Err *err) {
    Reading *reading = CONTAINER(job, Reading, job);
    if (!reading->read(reading, queries, db, err)) return false;
    if (reading->request->route->flags & ROUTE_COMPRESSES)
        answer_compress(reading->request, &reading->answer);
    return true;
}

static bool min_position(const Request *r, int64_t *ret) {
    Span text = http_header(r->x, "x-events-min-position");
    uint64_t value = 0;
    bool fine = !text.at || span_to_u64(text, INT64_MAX, &value);
    *ret = (int64_t)value;
    return fine;
}

void reading_start(Request *r, bool (*read)(Reading *, Queries *, Db *, Err *), bool needs_model,
                   void *input) {
    int64_t least;
    if (!min_position(r, &least)) {
        answer_bad_field(r, "X-Events-Min-Position", "out_of_range");
        return;
    }
    Reading *reading = must(calloc(1, sizeof *reading));
    reading->request = r;
    reading->read = read;
    reading->input = input;
    reading->job = (ReadJob){.worker = r->worker, .needs_model = needs_model, .min_position = least};
    reading->job.read = read_and_compress;
    reading->job.done = finish;
    reading->job.late = late;
    read_job_start(&reading->job);
}

void reading_position(Reading *reading) {
    Arena *arena = reading->job.arena;
    char *position = arena_printf(arena, "%lld", (long long)reading->job.head.head);
    char *epoch = arena_copy(arena, span_of(reading->job.head.epoch));
    if (position) answer_field(&reading->answer, "x-events-position", span_of(position));
    if (epoch) answer_field(&reading->answer, "x-events-epoch", span_of(epoch));
}
