/* loop.c - one turn: sleep in epoll until the nearest deadline, call what is ready, run what other threads posted,
 * call expired timers, then the deferred work that writes out what the turn has gathered.
 *
 * Watch, Timer, Task and Deferred live inside their owners, so a turn allocates nothing. An owner may go away in the
 * middle of a turn: loop_unwatch() therefore also takes the watch out of the events still to be called. */
#include "io/loop.h"

#include "base/clock.h"
#include <errno.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum { EVENTS_PER_TURN = 256 };

struct Loop {
    int epoll, bell;
    atomic_bool stopping;
    _Atomic(Task *) posted; /* newest first */
    Deferred *deferred, *deferred_last;
    Timer **heap; /* a binary heap from index 1 */
    size_t timers, heap_size;
    int64_t now_us;
    struct epoll_event events[EVENTS_PER_TURN];
    int event_at, event_count;
};

bool loop_open(Loop **ret, Err *err) {
    AUTO(Loop) loop = must(calloc(1, sizeof *loop));
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->epoll < 0 || loop->bell < 0) return err_set_errno(err, &ERR_INTERNAL, errno, "event loop");
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->bell, &event))
        return err_set_errno(err, &ERR_INTERNAL, errno, "event loop");
    loop->heap_size = 64;
    loop->heap = must(calloc(loop->heap_size, sizeof *loop->heap));
    loop->now_us = clock_mono_us();
    *ret = loop;
    loop = NULL;
    return true;
}

int64_t loop_now_us(const Loop *loop) { return loop->now_us; }

static void ring(Loop *loop) {
    uint64_t one = 1;
    if (write(loop->bell, &one, sizeof one) < 0) return; /* the counter is full: it will wake up anyway */
}

void loop_stop(Loop *loop) {
    atomic_store(&loop->stopping, true);
    ring(loop);
}

/* --- readiness --- */

bool loop_watch(Loop *loop, Watch *watch, unsigned events, Err *err) {
    if (watch->events == events) return true;
    struct epoll_event event = {.events = events, .data.ptr = watch};
    int op = watch->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(loop->epoll, op, watch->fd, &event)) return err_set_errno(err, &ERR_INTERNAL, errno, "epoll_ctl");
    watch->events = events;
    return true;
}

void loop_unwatch(Loop *loop, Watch *watch) {
    if (!watch->events) return;
    epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    watch->events = 0;
    for (int i = loop->event_at; i < loop->event_count; i++)
        if (loop->events[i].data.ptr == watch) loop->events[i].data.ptr = NULL;
}

static void call_ready(Loop *loop) {
    for (loop->event_at = 0; loop->event_at < loop->event_count;) {
        const struct epoll_event *event = &loop->events[loop->event_at++];
        Watch *watch = event->data.ptr; /* NULL: the bell, or unwatched meanwhile */
        if (watch) watch->ready(watch, event->events);
    }
    loop->event_at = loop->event_count = 0;
}

/* --- hand-over from other threads --- */

void loop_post(Loop *loop, Task *task) {
    Task *head = atomic_load_explicit(&loop->posted, memory_order_relaxed);
    do task->next = head;
    while (!atomic_compare_exchange_weak_explicit(&loop->posted, &head, task, memory_order_release,
                                                  memory_order_relaxed));
    if (!head) ring(loop); /* whoever made the list non-empty has rung already */
}

static void run_posted(Loop *loop) {
    Task *newest = atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire), *oldest = NULL;
    while (newest) {
        Task *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        Task *task = oldest;
        oldest = task->next;
        task->run(task);
    }
}

/* --- the end of a turn --- */

void loop_defer(Loop *loop, Deferred *deferred) {
    if (deferred->queued) return;
    deferred->queued = true;
    deferred->next = NULL;
    if (loop->deferred_last) loop->deferred_last->next = deferred;
    else loop->deferred = deferred;
    loop->deferred_last = deferred;
}

void loop_undefer(Loop *loop, Deferred *deferred) {
    if (!deferred->queued) return;
    Deferred *before = NULL;
    for (Deferred *d = loop->deferred; d != deferred; d = d->next) before = d;
    if (before) before->next = deferred->next;
    else loop->deferred = deferred->next;
    if (loop->deferred_last == deferred) loop->deferred_last = before;
    deferred->queued = false;
}

static void run_deferred(Loop *loop) {
    for (Deferred *d; (d = loop->deferred);) {
        loop->deferred = d->next;
        if (!loop->deferred) loop->deferred_last = NULL;
        d->queued = false;
        d->run(d);
    }
}

/* --- timers --- */

static void heap_place(Loop *loop, size_t slot, Timer *timer) {
    loop->heap[slot] = timer;
    timer->slot = slot;
}

static void heap_up(Loop *loop, size_t slot, Timer *timer) {
    for (; slot > 1 && loop->heap[slot / 2]->at_us > timer->at_us; slot /= 2) heap_place(loop, slot, loop->heap[slot / 2]);
    heap_place(loop, slot, timer);
}

static void heap_down(Loop *loop, size_t slot, Timer *timer) {
    for (size_t child; (child = slot * 2) <= loop->timers; slot = child) {
        if (child < loop->timers && loop->heap[child + 1]->at_us < loop->heap[child]->at_us) child++;
        if (loop->heap[child]->at_us >= timer->at_us) break;
        heap_place(loop, slot, loop->heap[child]);
    }
    heap_place(loop, slot, timer);
}

static void heap_settle(Loop *loop, size_t slot, Timer *timer) {
    if (slot > 1 && loop->heap[slot / 2]->at_us > timer->at_us) heap_up(loop, slot, timer);
    else heap_down(loop, slot, timer);
}

static void timer_at(Loop *loop, Timer *timer, int64_t at_us) {
    timer->at_us = at_us;
    if (timer->slot) {
        heap_settle(loop, timer->slot, timer);
        return;
    }
    if (loop->timers + 2 > loop->heap_size) {
        loop->heap_size *= 2;
        loop->heap = must(realloc(loop->heap, loop->heap_size * sizeof(Timer *)));
    }
    heap_up(loop, ++loop->timers, timer);
}

void loop_timer_set(Loop *loop, Timer *timer, int64_t after_ms) {
    timer_at(loop, timer, loop->now_us + after_ms * 1000);
}

void loop_timer_soon(Loop *loop, Timer *timer) {
    timer_at(loop, timer, loop->now_us + 1);
}

void loop_timer_stop(Loop *loop, Timer *timer) {
    size_t slot = timer->slot;
    if (!slot) return;
    timer->slot = 0;
    Timer *last = loop->heap[loop->timers--];
    if (last != timer) heap_settle(loop, slot, last);
}

static void call_expired(Loop *loop) {
    while (loop->timers && loop->heap[1]->at_us <= loop->now_us) {
        Timer *timer = loop->heap[1];
        loop_timer_stop(loop, timer);
        timer->expired(timer);
    }
}

/* Milliseconds until the nearest deadline, rounded up so that a turn never comes too early and spins. */
static int sleep_ms(const Loop *loop) {
    if (loop->deferred) return 0;
    if (!loop->timers) return -1;
    int64_t left = loop->heap[1]->at_us - clock_mono_us();
    if (left <= 0) return 0;
    return left > 3600000000LL ? 3600000 : (int)((left + 999) / 1000);
}

static void drain_bell(Loop *loop) {
    uint64_t rings;
    if (read(loop->bell, &rings, sizeof rings) < 0) return; /* nobody rang */
}

void loop_run(Loop *loop) {
    while (!atomic_load(&loop->stopping)) {
        int count = epoll_wait(loop->epoll, loop->events, EVENTS_PER_TURN, sleep_ms(loop));
        loop->now_us = clock_mono_us();
        loop->event_count = count > 0 ? count : 0;
        for (int i = 0; i < loop->event_count; i++)
            if (!loop->events[i].data.ptr) drain_bell(loop);
        call_ready(loop);
        run_posted(loop);
        call_expired(loop);
        run_deferred(loop);
    }
}

Loop *loop_free(Loop *loop) {
    if (!loop) return NULL;
    while (atomic_load(&loop->posted) || loop->deferred) {
        run_posted(loop);
        run_deferred(loop);
    }
    if (loop->epoll >= 0) close(loop->epoll);
    if (loop->bell >= 0) close(loop->bell);
    free(loop->heap);
    free(loop);
    return NULL;
}
