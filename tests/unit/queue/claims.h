/* What was claimed of a queue, whatever its engine, and the broker of those suites that run on one. Messages are known
 * by their bodies, since a broker brings them when it likes and in any order but that of a key. */
#pragma once
#include "unit/queue/broker.h"
#include "unit/queue/posts.h"

enum { CLAIMS_MOST = 1000, PATIENCE_MS = 30000 };

extern TestRabbitmq *broker; /* of the suite that runs; NULL in those on tables */
int use_rabbitmq(void);      /* begin and end of a suite on it */
int leave_rabbitmq(void);

/* What was claimed, in order. */
typedef struct Got {
    int64_t id;
    int deliveries;
    char body[64];
} Got;
extern Got got[CLAIMS_MOST];
extern size_t got_count;

/* Its home. A broker has one queue for all tests: what others have left is taken off first. */
const char *new_queue(void);
size_t claim_once(QueueReceiver *r, size_t most);
/* One claim that has so many: what comes before all are there goes back. */
void gather(QueueReceiver *r, size_t want);
void gather_and_complete(QueueReceiver *r, size_t want);
void complete_all(QueueReceiver *r);
const Got *find(const char *body);
void expect_nothing(QueueReceiver *r);
/* At a start: what a broker was told just before the last end it may not have heard. */
void expect_nothing_new(QueueReceiver *r);
/* Those of a test in which the broker was out may come at any time after it. */
void drop_late_ones(QueueReceiver *r);
