/* keeper.c - one blocking thread with a connection of its own, so that its code reads top to bottom.
 *
 * The hub starts where the projection stands, so the gateway waits for the read model in the background:
 * commands are accepted meanwhile, reads and streams are answered with 503. If there is still none after
 * READY_ANYWAY_MS, the gateway calls itself ready all the same: a projection that is down for a day must not
 * keep commands out.
 *
 * Events can get lost on the way here (Event Grid gives up, this process was away). The projection says by
 * doorbell up to which number it holds everything; what is missing here for a second is read from its log, and
 * what has been trimmed there is stepped over. A lost ring is caught by looking at the log's head every poll
 * interval.
 *
 * A broker as the source is attached to once the hub has begun, and each time it is, the head is looked at:
 * what was published while nobody was attached stands in the log. So a broker that is out makes events late
 * by a second, and loses none. */
#include "gateway/feed/keeper.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/feed/source.h"
#include "gateway/server.h"
#include "observe/metric.h"
#include <pthread.h>
#include <stdlib.h>

enum { START_RETRY_MS = 250, READY_ANYWAY_MS = 30000 };

struct Keeper {
    KeeperOptions o;
    Queries *queries;
    pthread_t thread;
    bool runs; /* it has a thread */
    atomic_bool stop;
    int64_t begun_us, next_look_us; /* monotonic */
    bool ready;
    Source *source;       /* NULL: not yet, or there is none */
    atomic_bool attached; /* of the broker's thread: look at the head */
    Metric *repaired;
};

bool held_ring_read(Span ring, HeldRing *ret) {
    Span rest, number;
    uint64_t position;
    Span word = span_split(ring, ' ', &rest);
    ret->epoch = span_split(rest, ' ', &number);
    if (!span_is(word, "held") || !ret->epoch.len || !span_to_u64(span_trim(number), INT64_MAX, &position))
        return false;
    ret->position = (int64_t)position;
    return true;
}

static void say_ready(Keeper *k) {
    if (k->ready) return;
    k->ready = true;
    atomic_store(&k->o.gateway->ready, true);
    service_ready(k->o.service, true);
    server_news(k->o.gateway->server);
}

/* The log's head, by the doorbell or by looking. */
static void learn_head(Keeper *k, Span epoch, int64_t position) {
    Gateway *g = k->o.gateway;
    if (!hub_held(g->hub, epoch, position)) return;
    if (position > atomic_load(&g->held)) {
        atomic_store(&g->held, position);
        server_news(g->server);
    }
}

/* The projection knows no epoch before the relay has named it. */
static void start_hub(Keeper *k, const ReplayHead *head) {
    Gateway *g = k->o.gateway;
    if (!*head->epoch) return;
    hub_start(g->hub, head);
    atomic_store(&g->held, head->head);
    server_news(g->server);
    log_info("stream began", LOG_TEXT("epoch", head->epoch), LOG_INT("position", head->head));
    say_ready(k);
    doorbell_ring(k->o.bell, "grid",
                  "up gateway"); /* nobody there: then it will try us first thing when it starts */
}

static void source_attached(void *user) {
    Keeper *k = user;
    atomic_store(&k->attached, true);
    doorbell_interrupt(k->o.bell);
}

static void open_source(Keeper *k) {
    Err err = {0};
    const SourceOptions options = {k->o.gateway, k->o.fanout, source_attached, k};
    if (!source_open(&options, &k->source, &err)) log_error("no events from the broker", LOG_ERR(&err));
}

static void look_at_head(Keeper *k) {
    Err err = {0};
    Db *db;
    ReplayHead head;
    k->next_look_us = clock_mono_us() + k->o.poll_ms * 1000;
    if (!queries_db(k->queries, &db, &err) || !replay_log_head(db, &head, &err)) {
        queries_failed(k->queries, &err);
        return;
    }
    ReplayHead known = hub_position(k->o.gateway->hub, NULL);
    if (!hub_started(k->o.gateway->hub) || strcmp(known.epoch, head.epoch))
        start_hub(k, &head);
    else
        learn_head(k, span_of(head.epoch), head.head);
    if (k->o.fanout && !k->source && hub_started(k->o.gateway->hub)) open_source(k);
}

static void hear(Keeper *k, Span ring) {
    HeldRing held;
    if (span_is(ring, "revoked")) revocations_look(k->o.gateway->revocations);
    if (!held_ring_read(ring, &held)) return;
    ReplayHead known = hub_position(k->o.gateway->hub, NULL);
    if (span_is(held.epoch, known.epoch))
        learn_head(k, held.epoch, held.position);
    else
        look_at_head(k); /* another log than the one we know: see for ourselves */
}

static bool offer_row(void *user, const ReplayRow *row) {
    Keeper *k = user;
    metric_add(k->repaired, 1);
    return hub_offer_row(k->o.gateway->hub, row);
}

/* The log has lost what is older than its retention: a gateway that slept for longer would wait for ever. */
static bool step_over_trimmed(Keeper *k, Db *db, int64_t from, Err *err) {
    Hub *hub = k->o.gateway->hub;
    ReplayHead head, known = hub_position(hub, NULL);
    int64_t oldest;
    if (known.head >= from) return true;
    if (!replay_log_head(db, &head, err) || !replay_log_oldest(db, &oldest, err)) return false;
    if (strcmp(head.epoch, known.epoch) || !hub_step_over(hub, from, oldest - 1)) return true;
    log_error("events that did not come are in the log no more: streams that need them end with too_old",
              LOG_INT("from", from), LOG_INT("to", oldest - 1));
    hub_held(hub, span_of(head.epoch), head.head);
    return true;
}

static bool repair_hole(Keeper *k, int64_t from, int64_t to, Err *err) {
    Db *db;
    return queries_db(k->queries, &db, err) &&
           replay_log_read(db, from - 1, to, to - from + 1, &(ReplayVisitor){offer_row, k}, err) &&
           step_over_trimmed(k, db, from, err);
}

static void repair(Keeper *k) {
    int64_t from, to;
    Err err = {0};
    while (hub_due_repair(k->o.gateway->hub, &from, &to)) {
        if (repair_hole(k, from, to, &err)) continue;
        queries_failed(k->queries, &err);
        log_warn("holes not repaired", LOG_INT("from", from), LOG_INT("to", to), LOG_ERR(&err));
        return;
    }
}

static int64_t next_wait_ms(const Keeper *k) {
    int64_t now = clock_mono_us(), due = hub_next_due_us(k->o.gateway->hub);
    if (k->next_look_us < due) due = k->next_look_us;
    int64_t wait = due > now ? (due - now) / 1000 + 1 : 1;
    bool started = hub_started(k->o.gateway->hub);
    return !started && wait > START_RETRY_MS ? START_RETRY_MS : wait;
}

int64_t keeper_turn(Keeper *k) {
    char ring[RING_MAX];
    while (doorbell_take(k->o.bell, ring)) hear(k, span_of(ring));
    int64_t now = clock_mono_us();
    bool attached = atomic_exchange(&k->attached, false);
    if (attached || !hub_started(k->o.gateway->hub) || now >= k->next_look_us) look_at_head(k);
    if (now - k->begun_us > (int64_t)READY_ANYWAY_MS * 1000) say_ready(k);
    repair(k);
    return next_wait_ms(k);
}

static void *keep(void *user) {
    Keeper *k = user;
    while (!atomic_load(&k->stop)) doorbell_wait(k->o.bell, keeper_turn(k));
    return NULL;
}

Keeper *keeper_new(const KeeperOptions *options) {
    Keeper *k = must(calloc(1, sizeof *k));
    k->o = *options;
    k->queries = queries_new(&options->queries);
    k->begun_us = clock_mono_us();
    k->repaired =
        metric_counter("events_gateway_repaired_total", "events read from the log because they did not come");
    return k;
}

bool keeper_open(const KeeperOptions *options, Keeper **ret, Err *err) {
    Keeper *k = keeper_new(options);
    int failed = pthread_create(&k->thread, NULL, keep, k);
    k->runs = !failed;
    if (k->runs) {
        *ret = k;
        return true;
    }
    keeper_free(k);
    return err_set_errno(err, &ERR_INTERNAL, failed, "keeper");
}

Keeper *keeper_free(Keeper *k) {
    if (!k) return NULL;
    atomic_store(&k->stop, true);
    if (k->runs) {
        doorbell_interrupt(k->o.bell);
        pthread_join(k->thread, NULL);
    }
    source_free(k->source);
    queries_free(k->queries);
    free(k);
    return NULL;
}
