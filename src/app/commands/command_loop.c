/* command_loop.c - what becomes of a batch.
 *
 * The commit of write.db is durable (FULL) and comes first; then the relay is rung; then the queue is told,
 * whose marks are not synced. A crash anywhere in between delivers again what command_done already knows. A
 * command that fails by itself waits 50, 150, 400 and 900 ms between its five tries, 1.5 s together, so that
 * with their own time they stay below two seconds; then it is a dead letter. An engine that is out costs no
 * try: the whole batch goes back, and the loop waits with full jitter up to 5 s. */
#include "app/commands/command_loop.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/uuid.h"
#include "observe/metric.h"
#include <stdatomic.h>

enum { LEASE_MS = 30000, BACK_OFF_FIRST_MS = 50, BACK_OFF_MOST_MS = 5000, COUNT_US = 1000000 };

static const int64_t DELAYS_MS[QUEUE_TRIES - 1] = {50, 150, 400, 900};

struct CommandLoop {
    CommandLoopOptions options;
    Handlers *handlers;
    Handled *results;
    int64_t *done;       /* queue ids to complete together */
    int64_t back_off_ms; /* 0: all is well */
    int64_t counted_us;  /* when the queue was counted last */
    bool busy;           /* something was claimed since then */
    atomic_bool recount; /* somebody has changed it */
    Metric *waiting, *dead, *age;
};

CommandLoop *command_loop_new(const CommandLoopOptions *options) {
    CommandLoop *loop = must(calloc(1, sizeof *loop));
    loop->options = *options;
    loop->handlers = handlers_new(options->db);
    loop->results = must(calloc(COMMANDS_AT_ONCE, sizeof *loop->results));
    loop->done = must(calloc(COMMANDS_AT_ONCE, sizeof *loop->done));
    loop->waiting = metric_gauge("events_prospects_queue_waiting", "Commands not settled, as counted last");
    loop->dead = metric_gauge("events_prospects_dead_letters", "Commands given up, as counted last");
    loop->age =
        metric_gauge("events_prospects_queue_age_us", "How long the oldest of the last claim had waited");
    loop->busy = true;
    return loop;
}

CommandLoop *command_loop_free(CommandLoop *loop) {
    if (!loop) return NULL;
    handlers_free(loop->handlers);
    free(loop->results);
    free(loop->done);
    free(loop);
    return NULL;
}

/* A settle that could not be written down is redone after a restart; the work itself is safe. */
static void note(bool settled, Err *err) {
    if (!settled) log_warn("queue mark not written", LOG_ERR(err));
    err_clear(err);
}

static void bury(CommandLoop *loop, const QueueMessage *m, const char *reason) {
    Err err = {0};
    log_error("command moved to the dead letter", LOG_INT("queue_id", m->queue_id),
              LOG_INT("tries", m->deliveries), LOG_TEXT("reason", reason));
    note(queue_dead_letter(loop->options.receiver, m->queue_id, reason, &err), &err);
}

static void try_later(CommandLoop *loop, const QueueMessage *m, const Handled *result) {
    Err err = {0};
    if (m->deliveries >= QUEUE_TRIES) {
        bury(loop, m, result->reason);
        return;
    }
    log_warn("command failed, another try follows", LOG_INT("queue_id", m->queue_id),
             LOG_INT("try", m->deliveries), LOG_ERR(&result->why));
    note(queue_release(loop->options.receiver, m->queue_id, DELAYS_MS[m->deliveries - 1], true, &err), &err);
}

static void settle(CommandLoop *loop, const QueueMessage *messages, size_t count) {
    size_t done = 0;
    Err err = {0};
    for (size_t i = 0; i < count; i++) {
        const Handled *result = &loop->results[i];
        switch (result->as) {
        case HANDLED_DONE: loop->done[done++] = messages[i].queue_id; break;
        case HANDLED_FAILED: try_later(loop, &messages[i], result); break;
        case HANDLED_HOPELESS: bury(loop, &messages[i], result->reason); break;
        case HANDLED_BEHIND:
            note(queue_release(loop->options.receiver, messages[i].queue_id, 0, false, &err), &err);
            break;
        }
    }
    note(queue_complete(loop->options.receiver, loop->done, done, &err), &err);
}

/* Where the marks are out too, memory alone knows that these were no tries: enough until a restart. */
static void give_back(CommandLoop *loop, const QueueMessage *messages, size_t count) {
    for (size_t i = 0; i < count; i++)
        queue_release(loop->options.receiver, messages[i].queue_id, 0, false, NULL);
}

/* Full jitter: anything up to the bound, which doubles. */
static int64_t back_off(CommandLoop *loop, const char *what, const Err *err) {
    int64_t bound = loop->back_off_ms ? loop->back_off_ms * 2 : BACK_OFF_FIRST_MS;
    loop->back_off_ms = bound < BACK_OFF_MOST_MS ? bound : BACK_OFF_MOST_MS;
    uint32_t random;
    random_bytes(&random, sizeof random);
    int64_t wait = 1 + random % loop->back_off_ms;
    log_warn(what, LOG_INT("retry_ms", wait), LOG_ERR(err));
    return wait;
}

static size_t count_events(const CommandLoop *loop, size_t count) {
    size_t events = 0;
    for (size_t i = 0; i < count; i++)
        events += loop->results[i].as == HANDLED_DONE ? loop->results[i].events : 0;
    return events;
}

/* Commits to a file that has no name any more would be lost: a write.db that was replaced wants a new start.
 */
static bool ready(CommandLoop *loop, Err *err) {
    if (!db_is_current(loop->options.db))
        return err_set(err, &ERR_DB_DOWN,
                       "write.db is not the file that was opened; start this program again");
    return !loop->back_off_ms || db_recover(loop->options.db, err);
}

/* For who asks how we are, who shall cost no query: counted once a second while there is work, and when it
 * has come to an end. */
static void count_queue(CommandLoop *loop, const QueueMessage *messages, size_t count) {
    int64_t now = clock_mono_us(), age = count ? clock_now_us() - messages[0].accepted_at : 0;
    metric_set(loop->age, age > 0 ? age : 0);
    bool changed = atomic_exchange(&loop->recount, false);
    loop->busy = loop->busy || changed || count;
    if (!loop->busy || (count && now - loop->counted_us < COUNT_US)) return;
    QueueDepth depth;
    Err err = {0};
    loop->counted_us = now;
    loop->busy = count;
    if (!queue_depth(loop->options.receiver, &depth, &err)) return; /* the next claim says why */
    metric_set(loop->waiting, depth.waiting);
    metric_set(loop->dead, depth.dead);
}

void command_loop_recount(CommandLoop *loop) {
    atomic_store(&loop->recount, true);
}

size_t command_loop_turn(CommandLoop *loop, int64_t *wait_ms, bool *only_wait) {
    QueueMessage *messages = NULL;
    size_t count = 0;
    Err err = {0};
    *only_wait = true;
    if (!ready(loop, &err) ||
        !queue_claim(loop->options.receiver, COMMANDS_AT_ONCE, LEASE_MS, &messages, &count, &err)) {
        *wait_ms = back_off(loop, "commands cannot be claimed", &err);
        return 0;
    }
    if (count && !handlers_run(loop->handlers, messages, count, loop->results, &err)) {
        give_back(loop, messages, count);
        *wait_ms = back_off(loop, "commands cannot be handled", &err);
        return 0;
    }
    *only_wait = false;
    loop->back_off_ms = 0;
    *wait_ms = count ? 0 : queue_next_due_ms(loop->options.receiver);
    size_t events = count_events(loop, count);
    if (events) loop->options.events_written(loop->options.user, events);
    settle(loop, messages, count);
    count_queue(loop, messages, count);
    return count;
}
