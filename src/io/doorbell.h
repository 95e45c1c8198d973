/* Wake-ups between the programs of one machine: a Unix datagram socket per program in <home>/run/<program>.bell.
 *
 * A ring is a line of text, one datagram: "work", "last EPOCH N", "held EPOCH N", "repair FROM TO", "up PROGRAM",
 * "revoked" (gateways: what is revoked has changed).
 * Rings may be lost (a full queue, a program that is down): they are hints, and what they announce must also be found
 * by looking. A program binds its bell, then looks. */
#pragma once
#include "base/auto.h"
#include "base/err.h"
#include "base/span.h"

typedef struct Doorbell Doorbell;
enum { RING_MAX = 256 };

bool doorbell_open(const char *home, const char *program, Doorbell **ret, Err *err); /* binds; replaces a stale one */
Doorbell *doorbell_free(Doorbell *bell);
AUTO_FREE(Doorbell, doorbell_free)
int doorbell_fd(const Doorbell *bell); /* readable when somebody rang; non-blocking */
/* Next ring, NUL-terminated; false when none waits. */
bool doorbell_take(Doorbell *bell, char ring[RING_MAX]);
/* Blocks until a ring, the time-out, or doorbell_interrupt(). True where a ring waits. */
bool doorbell_wait(Doorbell *bell, int64_t timeout_ms);
void doorbell_interrupt(Doorbell *bell); /* any thread, and signal handlers */
/* Rings for which send() returns true go to another machine: it has taken them, and repeats them by itself. Before
 * others ring; NULL ends it. */
void doorbell_forward(Doorbell *bell, bool (*send)(void *user, const char *program, const char *ring), void *user);
/* What came from another machine: rings the own bell. Any thread. */
bool doorbell_ring_self(Doorbell *bell, const char *ring);
/* Rings another program's bell from this one's socket. Any thread. False where nobody heard it (not bound, or its
 * queue is full): the caller may ring again later, with back-off. */
bool doorbell_ring(Doorbell *bell, const char *program, const char *format, ...) __attribute__((format(printf, 3, 4)));
