/* One command on its way through the queue's writer: the same for REST and gRPC. */
#pragma once
#include "gateway/command.h"
#include "gateway/gateway.h"

typedef struct Submission Submission;
struct Submission {
    Command command; /* command_build() fills it, in memory of the arena */
    Arena *arena;
    QueueSend send; /* after done(): the verdict; err.kind is set where that is QUEUE_FAILED */
    Worker *worker;
    void (*done)(Submission *s); /* on the loop, once; the submission is still the caller's */
    void *user;
};

Submission *submission_new(size_t limit); /* of the arena */
Submission *submission_free(Submission *s);
AUTO_FREE(Submission, submission_free)
/* claims and correlation_id must live until done(). False: nothing was sent, done() does not follow. */
bool submission_send(Submission *s, Worker *worker, const Claims *claims, const char *correlation_id,
                     Err *err);
