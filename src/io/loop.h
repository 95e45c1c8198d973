/* One event loop: one thread, one epoll. Everything registered with it is called on its thread and must not block.
 * Only loop_post() and loop_stop() may be called from other threads. */
#pragma once
#include "base/auto.h"
#include "base/err.h"

typedef struct Loop Loop;

bool  loop_open(Loop **ret, Err *err);
Loop *loop_free(Loop *loop); /* after loop_run() has returned; runs what is still posted */
AUTO_FREE(Loop, loop_free)
void loop_run(Loop *loop); /* until loop_stop() */
void loop_stop(Loop *loop);
int64_t loop_now_us(const Loop *loop);  /* monotonic, read once per turn */

/* A file descriptor watched for readiness (level-triggered). Embedded in its owner; the owner closes the descriptor
 * after loop_unwatch(). `ready` gets EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR bits. */
typedef struct Watch {
    void (*ready)(struct Watch *watch, unsigned events);
    int fd;
    unsigned events; /* of interest; 0 while not registered */
} Watch;
bool loop_watch(Loop *loop, Watch *watch, unsigned events, Err *err); /* registers, or changes the interest */
void loop_unwatch(Loop *loop, Watch *watch); /* no ready() call follows, even for events of this turn */

/* Work handed over from any thread, in order per thread. Embedded in its owner; run once; may be freed by run(). */
typedef struct Task {
    void (*run)(struct Task *task);
    struct Task *next;
} Task;
void loop_post(Loop *loop, Task *task);

/* Work at the end of this turn, once, before the loop sleeps: for writing out what the turn has gathered. */
typedef struct Deferred {
    void (*run)(struct Deferred *deferred);
    struct Deferred *next;
    bool queued;
} Deferred;
void loop_defer(Loop *loop, Deferred *deferred); /* no effect while it is queued */
void loop_undefer(Loop *loop, Deferred *deferred);

/* A deadline. Embedded in its owner. */
typedef struct Timer {
    void (*expired)(struct Timer *timer);
    int64_t at_us;
    size_t slot; /* place in the heap, 0 while idle */
} Timer;
void loop_timer_set(Loop *loop, Timer *timer, int64_t after_ms); /* sets or moves it */
void loop_timer_soon(Loop *loop, Timer *timer); /* the same, for the next turn */
void loop_timer_stop(Loop *loop, Timer *timer);
