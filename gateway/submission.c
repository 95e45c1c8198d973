#include "gateway/submission.h"

#include <stdlib.h>

Submission *submission_new(size_t limit) {
    Submission *s = must(calloc(1, sizeof *s));
    s->arena = arena_new(limit);
    return s;
}

Submission *submission_free(Submission *s) {
    if (!s) return NULL;
    arena_free(s->arena);
    free(s);
    return NULL;
}

static void sent(QueueSend *send) {
    Submission *s = CONTAINER(send, Submission, send);
    s->worker->in_flight--;
    if (send->verdict == QUEUE_FAILED) trace_failed(s->command.span, "unavailable");
    trace_end(s->command.span);
    if (send->verdict == QUEUE_FAILED && !send->err.kind)
        err_set(&send->err, &ERR_UNAVAILABLE, "the queue gave no reason");
    s->done(s);
}

bool submission_send(Submission *s, Worker *worker, const Claims *claims, const char *correlation_id,
                     Err *err) {
    s->worker = worker;
    s->send = (QueueSend){
        .tenant_id = span_of(claims->tenant_id),
        .issued_by = span_of(claims->user_id),
        .command_id = span_of(s->command.command_id),
        .ordering_key = s->command.ordering_key,
        .body = s->command.packed,
        .body_hash = s->command.body_hash,
        .correlation_id = correlation_id,
        .done = sent,
    };
    if (!queue_send(worker->gateway->queue, worker->loop, &s->send, err)) return false;
    worker->in_flight++;
    return true;
}
