/* queries.c - the order of the two looks in queries_outcome() is the proof that a command is always found.
 *
 * A row of the queue is there from the 202 on, an outcome is there from the projection's commit on, and
 * neither is taken away before the 7 days are over. So the queue alone says "is it known at all?", and the
 * read model says how it ended. The read model is asked first only because most questions come after the
 * outcome. */
#include "app/queries.h"

#include "base/clock.h"
#include <stdlib.h>

enum { RETRY_US = 250000 };

struct Queries {
    QueriesOptions options;
    Db *db;
    QueueReader *queue;
    bool doubtful;       /* the last read failed in a way that may be the connection's */
    int64_t retry_at_us; /* monotonic */
};

Queries *queries_new(const QueriesOptions *options) {
    Queries *q = must(calloc(1, sizeof *q));
    q->options = *options;
    return q;
}

Queries *queries_free(Queries *q) {
    if (!q) return NULL;
    queue_reader_free(q->queue);
    db_free(q->db);
    free(q);
    return NULL;
}

static bool open_again(Queries *q, Err *err) {
    q->db = db_free(q->db);
    Db *db;
    ReplayHead head;
    if (!db_open(q->options.read_url, (DbOptions){.read_only = true}, &db, err)) return false;
    q->db = db;
    q->doubtful = false;
    if (replay_log_head(db, &head, err)) return true;
    q->db = db_free(q->db);
    return false;
}

bool queries_db(Queries *q, Db **ret, Err *err) {
    if (!q->db || q->doubtful || !db_is_current(q->db)) {
        int64_t now = clock_mono_us();
        if (now < q->retry_at_us) return err_set(err, &ERR_UNAVAILABLE, "the read model is not available");
        q->retry_at_us = now + RETRY_US;
        Err why = {0};
        if (!open_again(q, &why)) return err_set(err, &ERR_UNAVAILABLE, "the read model is not available");
        q->retry_at_us = 0;
    }
    *ret = q->db;
    return true;
}

void queries_failed(Queries *q, const Err *err) {
    if (err->kind && err->kind->http >= 500) q->doubtful = true;
}

static bool queue_of(Queries *q, Err *err) {
    return q->queue || queue_reader_open(q->options.queue_url, q->options.home, &q->queue, err);
}

static bool from_queue(Queries *q, Span tenant_id, Span issued_by, Span command_id, Arena *arena,
                       Events__V1__CommandOutcome **ret, Err *err) {
    char correlation_id[160] = "";
    QueueState state;
    if (!queue_of(q, err)) return false;
    if (!queue_find(q->queue, tenant_id, issued_by, command_id, &state, correlation_id, err)) {
        q->queue = queue_reader_free(q->queue); /* opened again by the next question */
        return false;
    }
    if (state == QUEUE_UNKNOWN) return err_set(err, &ERR_NOT_FOUND, "no such command");
    Events__V1__CommandOutcome *o = arena_alloc(arena, sizeof *o);
    if (!o) return err_set(err, &ERR_TOO_LARGE, "the outcome does not fit");
    events__v1__command_outcome__init(o);
    o->status = state == QUEUE_DEAD ? EVENTS__V1__COMMAND_STATUS__COMMAND_STATUS_FAILED
                                    : EVENTS__V1__COMMAND_STATUS__COMMAND_STATUS_PENDING;
    o->command_id = arena_copy(arena, command_id);
    o->correlation_id = arena_copy(arena, span_of(correlation_id));
    *ret = o;
    return (o->command_id && o->correlation_id) || err_set(err, &ERR_TOO_LARGE, "the outcome does not fit");
}

bool queries_outcome(Queries *q, Span tenant_id, Span issued_by, Span command_id, Arena *arena,
                     Events__V1__CommandOutcome **ret, Err *err) {
    Err none = {0};
    Db *db;
    if (queries_db(q, &db, &none) && outcome_find(db, tenant_id, issued_by, command_id, arena, ret, &none))
        return true;
    /* the projection is down: what the queue knows is better than nothing */
    if (!err_is(&none, &ERR_NOT_FOUND)) queries_failed(q, &none);
    return from_queue(q, tenant_id, issued_by, command_id, arena, ret, err);
}
