/* gateway_side.c - a gateway's one loop, its readers, its doorbell, and the projection's log as they see it.
 */
#include "sim/sim.h"

#include "base/clock.h"
#include "gateway/rpc/rpc.h"
#include "gateway/server.h"
#include "gateway/stream/watch.h"
#include "observe/metric.h"
#include "wire/envelope.h"
#include <stdarg.h>
#include <stdio.h>

#define GATEWAY_OF(pointer) ((SimGateway *)(void *)(pointer))

IN_PLACE_OF(loop_post);
IN_PLACE_OF(loop_now_us);
IN_PLACE_OF(loop_timer_stop);
IN_PLACE_OF(loop_timer_set);
IN_PLACE_OF(pool_submit);
IN_PLACE_OF(queries_new);
IN_PLACE_OF(queries_free);
IN_PLACE_OF(queries_db);
IN_PLACE_OF(queries_failed);
IN_PLACE_OF(read_begin);
IN_PLACE_OF(read_end);
IN_PLACE_OF(replay_log_oldest);
IN_PLACE_OF(replay_log_read);
IN_PLACE_OF(tenant_log_read);
IN_PLACE_OF(doorbell_take);
IN_PLACE_OF(doorbell_ring);
IN_PLACE_OF(service_ready);
IN_PLACE_OF(server_news);
IN_PLACE_OF(rpc_event);
IN_PLACE_OF(metric_counter);
IN_PLACE_OF(metric_gauge);
IN_PLACE_OF(random_bytes);
IN_PLACE_OF(event_size);

/* ---- the loop ---- */

void __wrap_loop_post(Loop *loop, Task *task) {
    SimGateway *g = GATEWAY_OF(loop);
    task->next = NULL;
    *g->last = task;
    g->last = &task->next;
}

int64_t __wrap_loop_now_us(const Loop *loop) {
    (void)loop;
    return w->now;
}

/* slot: its place in the list, from 1. */
void __wrap_loop_timer_stop(Loop *loop, Timer *timer) {
    SimGateway *g = GATEWAY_OF(loop);
    if (!timer->slot) return;
    Timer *last = g->timers[--g->timer_count];
    g->timers[timer->slot - 1] = last;
    last->slot = timer->slot;
    timer->slot = 0;
}

void __wrap_loop_timer_set(Loop *loop, Timer *timer, int64_t after_ms) {
    SimGateway *g = GATEWAY_OF(loop);
    __wrap_loop_timer_stop(loop, timer);
    if (after_ms > 7200000) return; /* a token's end: not in this world */
    timer->at_us = w->now + after_ms * MS;
    g->timers[g->timer_count++] = timer;
    timer->slot = g->timer_count;
}

static void run_posted(SimGateway *g) {
    Task *task = g->first;
    g->first = NULL;
    g->last = &g->first;
    for (Task *next; task; task = next) {
        next = task->next;
        task->run(task);
    }
}

static void run_timers(SimGateway *g) {
    for (size_t i = 0; i < g->timer_count; i++) {
        Timer *timer = g->timers[i];
        if (timer->at_us > w->now) continue;
        __wrap_loop_timer_stop((Loop *)(void *)g, timer);
        timer->expired(timer);
        i = (size_t)-1; /* the list is another one now */
    }
}

/* ---- the readers ---- */

bool __wrap_pool_submit(Pool *pool, Loop *loop, Job *job, Err *err) {
    SimGateway *g = GATEWAY_OF(pool);
    (void)loop;
    if (trouble(5) || g->job_count == JOBS) return err_set(err, &ERR_UNAVAILABLE, "the readers are busy");
    g->jobs[g->job_count++] = job;
    int who = (int)(g - w->gateways);
    int64_t starts = w->now + below(trouble(10) ? 3000 : 5) * MS;
    push(starts, JOB_RUNS, who, g->life, job);
    push(starts + below(trouble(10) ? 1000 : 3) * MS, JOB_BACK, who, g->life, job);
    return true;
}

void gateway_job(int who, Job *job, int64_t life, bool back) {
    SimGateway *g = &w->gateways[who];
    if (!g->up || g->life != life) return;
    if (!back) {
        job->run(job, g);
        return;
    }
    for (size_t i = 0; i < g->job_count; i++)
        if (g->jobs[i] == job) g->jobs[i--] = g->jobs[--g->job_count];
    w->resumes++;
    job->done(job);
}

Queries *__wrap_queries_new(const QueriesOptions *options) {
    return (Queries *)(void *)options->read_url; /* which is the gateway */
}

Queries *__wrap_queries_free(Queries *queries) {
    (void)queries;
    return NULL;
}

bool __wrap_queries_db(Queries *queries, Db **ret, Err *err) {
    *ret = (Db *)(void *)queries;
    return hiccup(err);
}

void __wrap_queries_failed(Queries *queries, const Err *err) {
    (void)queries, (void)err;
}

bool __wrap_read_begin(Db *db, Err *err) {
    (void)db;
    return hiccup(err);
}

void __wrap_read_end(Db *db) {
    (void)db;
}

bool __wrap_replay_log_oldest(Db *db, int64_t *ret, Err *err) {
    (void)db;
    *ret = w->fault == FAULT_SILENT_TRIM ? 1 : w->stored.oldest;
    if (w->stored.head.head < *ret) *ret = w->stored.head.head + 1;
    return hiccup(err);
}

static bool give_row(int64_t number, const ReplayVisitor *visitor) {
    ReplayRow row = {.sequence = number, .body = w->stored.log[number]};
    EnvelopePeek p;
    if (!envelope_peek(row.body, &p)) fail("an event of the log is damaged");
    row.tenant_id = p.tenant_id;
    row.subject = p.subject;
    row.subject_version = p.subject_version;
    row.event_type = p.event_type;
    row.issued_by = p.issued_by;
    return visitor->row(visitor->user, &row);
}

bool __wrap_replay_log_read(Db *db, int64_t after, int64_t upto, int64_t limit, const ReplayVisitor *visitor,
                            Err *err) {
    (void)db;
    int64_t n = after + 1 > w->stored.oldest ? after + 1 : w->stored.oldest;
    for (; n <= upto && n <= w->stored.head.head && limit-- > 0; n++)
        if (!give_row(n, visitor)) break;
    return hiccup(err);
}

bool __wrap_tenant_log_read(Db *db, Span tenant_id, int64_t after, int64_t upto, int64_t limit,
                            const ReplayVisitor *visitor, Err *err) {
    (void)db;
    if (!hiccup(err)) return false;
    int tenant = span_is(tenant_id, "b");
    for (int64_t n = after + 1; n <= upto && n <= w->stored.head.head && limit > 0; n++) {
        if (n < w->stored.oldest || w->rows[w->first_row_of[n]].tenant != tenant) continue;
        if (w->fault == FAULT_PAGE && chance(10)) continue;
        limit--;
        if (!give_row(n, visitor)) break;
    }
    return true;
}

size_t __real_event_size(const Event *event);
size_t __wrap_event_size(const Event *event) {
    return WEIGHT * __real_event_size(event);
}

/* ---- the doorbell, and what is not here ---- */

bool __wrap_doorbell_take(Doorbell *bell, char text[RING_MAX]) {
    SimGateway *g = GATEWAY_OF(bell);
    if (!g->ring_count) return false;
    snprintf(text, RING_MAX, "%s", g->rings[0]);
    memmove(g->rings, g->rings + 1, --g->ring_count * sizeof *g->rings);
    return true;
}

bool __wrap_doorbell_ring(Doorbell *bell, const char *program, const char *format, ...) {
    (void)bell, (void)program, (void)format;
    return true;
}

void __wrap_service_ready(Service *service, bool ready) {
    (void)service, (void)ready;
}

void __wrap_server_news(Server *server) {
    (void)server;
}

void __wrap_rpc_event(Worker *worker, Event *event) {
    (void)worker, (void)event;
}

static Metric *any_metric;
Metric *__real_metric_counter(const char *name, const char *help);
Metric *__wrap_metric_counter(const char *name, const char *help) {
    if (!any_metric) any_metric = __real_metric_counter(name, help);
    return any_metric;
}

Metric *__wrap_metric_gauge(const char *name, const char *help) {
    return __wrap_metric_counter(name, help);
}

void __wrap_random_bytes(void *to, size_t len) {
    for (size_t i = 0; i < len; i++) ((char *)to)[i] = (char)below(256);
}

/* ---- the program ---- */

static void repair_needed(void *user) {
    ((SimGateway *)user)->keeper_us = w->now;
}

void gateway_starts(int who) {
    SimGateway *g = &w->gateways[who];
    int64_t life = g->life + 1;
    memset(g, 0, sizeof *g);
    g->life = life;
    g->up = true;
    g->last = &g->first;
    g->g.readers = (Pool *)(void *)g;
    g->g.presence = presence_new(true);
    g->g.hub = hub_new(&w->limits, repair_needed, g);
    g->worker = (Worker){.gateway = &g->g, .loop = (Loop *)(void *)g, .counts = loop_counts((size_t)who)};
    g->worker.sessions = sessions_new(&g->worker);
    KeeperOptions options = {.gateway = &g->g,
                             .bell = (Doorbell *)(void *)g,
                             .queries = {.read_url = (const char *)(void *)g},
                             .poll_ms = 5000};
    g->keeper = keeper_new(&options);
    g->keeper_us = w->now;
}

/* Killed: what is freed here is freed by the end of a process. */
void gateway_stops(int who) {
    SimGateway *g = &w->gateways[who];
    for (int i = 0; i < CLIENTS; i++)
        if (w->clients[i].session && w->clients[i].gateway == who) client_lost(&w->clients[i]);
    while (g->job_count) {
        Job *job = g->jobs[--g->job_count];
        job->late = true;
        job->done(job);
    }
    while (g->first) run_posted(g);
    live_stop(g->worker.sessions);
    watches_stop(g->worker.sessions->watches);
    g->worker.sessions = sessions_free(g->worker.sessions);
    g->keeper = keeper_free(g->keeper);
    g->g.hub = hub_free(g->g.hub);
    g->g.presence = presence_free(g->g.presence);
    g->up = false;
}

void gateway_hears(int who, const char *text) {
    SimGateway *g = &w->gateways[who];
    if (!g->up || g->ring_count == RINGS) return;
    g->rings[g->ring_count++] = (char *)text;
    g->keeper_us = w->now;
}

void gateway_receives(int who, const Events__V1__Envelope *event) {
    SimGateway *g = &w->gateways[who];
    if (g->up && hub_offer(g->g.hub, event)) return;
    if (chance(70))
        push(w->now + 400 * MS, EVENT_TO_GATEWAY, who, 0, (void *)event); /* the grid tries again */
}

void gateway_works(SimGateway *g) {
    if (!g->up) return;
    if (g->keeper_us <= w->now) {
        int64_t wait = keeper_turn(g->keeper);
        g->keeper_us = w->now + (wait > 0 ? wait : 1) * MS;
    }
    if (g->stalled_us > w->now) return;
    run_posted(g);
    run_timers(g);
}

int64_t gateway_due_us(const SimGateway *g) {
    if (!g->up) return INT64_MAX;
    int64_t due = INT64_MAX;
    for (size_t i = 0; i < g->timer_count; i++)
        if (g->timers[i]->at_us < due) due = g->timers[i]->at_us;
    if (g->first) due = w->now;
    if (due < g->stalled_us) due = g->stalled_us;
    return g->keeper_us < due ? g->keeper_us : due;
}
