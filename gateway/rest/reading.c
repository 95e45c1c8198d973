#include "gateway/rest/reading.h"

#include "base/clock.h"
#include <stdlib.h>

enum { ARENA_BYTES = 16 << 20, WAIT_MS = 2000, PARKED_MAX = 1000 };

struct Parking {
    Reading *first;
    size_t count;
};

Parking *parking_new(void) {
    return must(calloc(1, sizeof(Parking)));
}

Parking *parking_free(Parking *parking) {
    free(parking);
    return NULL;
}

static void unpark(Reading *reading) {
    if (!reading->at) return;
    loop_timer_stop(reading->request->worker->loop, &reading->timer);
    *reading->at = reading->next;
    if (reading->next) reading->next->at = reading->at;
    reading->at = NULL;
    reading->request->worker->parking->count--;
    reading->request->worker->in_flight--;
}

static void finish(Reading *reading) {
    Request *r = reading->request;
    if (reading->err.kind) {
        buf_free(&reading->answer.body);
        answer_err(r, &reading->err);
    } else {
        answer_send(r, &reading->answer);
    }
    arena_free(reading->arena);
    free(reading);
}

static void submit(Reading *reading) {
    Worker *w = reading->request->worker;
    if (!pool_submit(w->gateway->readers, w->loop, &reading->job, &reading->err)) {
        finish(reading);
        return;
    }
    w->in_flight++;
}

static void wait_is_over(Timer *timer) {
    Reading *reading = CONTAINER(timer, Reading, timer);
    unpark(reading);
    submit(reading);
}

static void park(Reading *reading) {
    Worker *w = reading->request->worker;
    Parking *p = w->parking;
    reading->behind = false;
    reading->timer.expired = wait_is_over;
    reading->deadline_us = loop_now_us(w->loop) + (int64_t)WAIT_MS * 1000;
    /* the ring may have come while the read was on its way back */
    if (p->count >= PARKED_MAX || atomic_load(&w->gateway->held) >= reading->min_position) {
        submit(reading);
        return;
    }
    reading->next = p->first;
    if (p->first) p->first->at = &reading->next;
    reading->at = &p->first;
    p->first = reading;
    p->count++;
    w->in_flight++;
    loop_timer_set(w->loop, &reading->timer, WAIT_MS);
}

void parking_held(Parking *parking, int64_t position) {
    for (Reading *reading = parking->first, *next; reading; reading = next) {
        next = reading->next;
        if (reading->min_position > position) continue;
        unpark(reading);
        submit(reading);
    }
}

static void back(Job *job) {
    Reading *reading = CONTAINER(job, Reading, job);
    reading->request->worker->in_flight--;
    if (reading->behind)
        park(reading);
    else
        finish(reading);
}

static bool read_in_view(Reading *reading, Queries *queries, Err *err) {
    Db *db;
    if (!queries_db(queries, &db, err) || !read_begin(db, err)) return false;
    bool ok = replay_log_head(db, &reading->head, err);
    reading->behind = ok && !reading->deadline_us && reading->head.head < reading->min_position;
    if (ok && !reading->behind) ok = reading->read(reading, queries, db, err);
    read_end(db);
    return ok;
}

static void run(Job *job, void *context) {
    Reading *reading = CONTAINER(job, Reading, job);
    Err *err = &reading->err;
    bool ok = reading->needs_model ? read_in_view(reading, context, err)
                                   : reading->read(reading, context, NULL, err);
    if (ok && !reading->behind && reading->request->route->flags & ROUTE_COMPRESSES)
        answer_compress(reading->request, &reading->answer);
    if (!ok) queries_failed(context, err);
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
    reading->job = (Job){.run = run, .done = back};
    reading->request = r;
    reading->arena = arena_new(ARENA_BYTES);
    reading->read = read;
    reading->needs_model = needs_model;
    reading->input = input;
    reading->min_position = least;
    submit(reading);
}

void reading_position(Reading *reading) {
    char *position = arena_printf(reading->arena, "%lld", (long long)reading->head.head);
    char *epoch = arena_copy(reading->arena, span_of(reading->head.epoch));
    if (position) answer_field(&reading->answer, "x-events-position", span_of(position));
    if (epoch) answer_field(&reading->answer, "x-events-epoch", span_of(epoch));
}
