/* events-projection - applies deliveries of events to the read database.
 *
 * Main thread: an event loop with the webhook (or a broker's queue), the doorbell and a timer. Writer thread (a Batcher):
 * everything that touches the projector, in the order of arrival; deliveries that wait together share one
 * transaction. What the loop wants of the projector (an announcement has come, a hole is due) is handed over
 * as work like a delivery is. After each commit: 200 to the topic, `held` to the relay and the gateway,
 * `repair` where a hole is due. */
#include "app/projection/broker_feed.h"
#include "app/projection/projector.h"
#include "app/projection/read_cleaner.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/batcher.h"
#include "io/doorbell.h"
#include "service/shell.h"
#include "store/read/migrations_read.h"
#include <stdio.h>
#include <sys/epoll.h>

enum {
    BATCH = 256,
    START_MS = 30000, /* for a server that is starting, too */
    WAITING_MAX = 1024,
    TRIES = 4, /* of a transaction, before the topic is told to come again (half a minute later) */
    TRY_AGAIN_MS = 50,
    PATIENCE_MS = 15000,  /* of the 30 s that the topic waits for an answer */
    REPAIRS_PER_RUN = 16, /* a bell holds few rings; the rest is still due in the next run */
    REPAIR_PAUSE_US = 20000,
    OWED_FIRST_US = 20000, /* until a ring that nobody heard is repeated, doubled each time */
    OWED_MOST_US = 5000000,
    DRAIN_STEP_MS = 10,
    DRAIN_STEPS = 1000,
    DRAIN_PATIENCE = 200, /* steps after which connections without work no longer count */
};

typedef struct Program {
    Service *service;
    Loop *loop;
    Db *db;
    Projector *projector;
    Batcher *writer;
    HttpServer *server;
    GridWebhook *webhook;
    BrokerFeed *feed; /* instead of both */
    Doorbell *bell;
    Watch bell_watch;
    Timer due;
    size_t in_flight; /* work handed to the writer; the loop's */
    bool ready;       /* as told last; the loop's */
    Task stop;
    Timer drain;
    unsigned drain_steps;
    /* the writer's */
    char told_epoch[64];
    int64_t told_held;
    bool gateway_owed; /* what was told last was not heard by the gateway */
    int64_t owed_due_us, owed_pause_us;
    ReadRetention retention;
    Cleaner cleaner;
    /* from the writer to the loop */
    atomic_int_fast64_t due_us;
    atomic_bool healthy;
} Program;

typedef enum WorkKind { WORK_DELIVERY, WORK_ANNOUNCEMENT, WORK_DUE } WorkKind;
typedef struct Work {
    BatchItem item;
    Program *program;
    WorkKind kind;
    GridDelivery *delivery;
    BrokerDelivery *broker; /* instead of delivery and events */
    ProjectorItem events;
    char epoch[64];
    int64_t last;
} Work;

/* ---- on the writer's thread ---- */

static bool apply_once(Program *p, ProjectorItem **items, size_t count) {
    Err err = {0};
    if (projector_apply(p->projector, items, count, clock_mono_us(), &err)) return true;
    log_warn("deliveries not applied", LOG_INT("deliveries", count), LOG_ERR(&err));
    err_clear(&err);
    if (!db_recover(p->db, &err)) log_warn("database is down", LOG_ERR(&err));
    return false;
}

static void apply_deliveries(Program *p, BatchItem **items, size_t count) {
    ProjectorItem *deliveries[BATCH];
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        Work *work = CONTAINER(items[i], Work, item);
        if (work->kind == WORK_DELIVERY)
            deliveries[found++] = work->broker ? &work->broker->events : &work->events;
    }
    if (!found) return;
    cleaner_worked(&p->cleaner, clock_mono_us());
    /* a file that fails has been waited for already; a server that restarts is back within seconds */
    bool server = db_dialect(p->db) != DB_SQLITE;
    int64_t end = clock_mono_us() + (int64_t)PATIENCE_MS * 1000;
    for (int i = 1; !apply_once(p, deliveries, found) && projector_healthy(p->projector); i++) {
        bool again = server ? clock_mono_us() < end && !service_stopping(p->service) : i < TRIES;
        if (!again) return;
        clock_sleep_ms(i < TRIES ? TRY_AGAIN_MS : 5 * TRY_AGAIN_MS);
    }
}

/* True where the relay wants an answer. */
static bool take_announcements(Program *p, BatchItem **items, size_t count) {
    bool heard = false;
    for (size_t i = 0; i < count; i++) {
        Work *work = CONTAINER(items[i], Work, item);
        Err err = {0};
        if (work->kind != WORK_ANNOUNCEMENT) continue;
        heard = true;
        if (!projector_announced(p->projector, span_of(work->epoch), work->last, clock_mono_us(), &err))
            log_warn("announcement not taken", LOG_ERR(&err));
    }
    return heard;
}

/* The gateway has no other word of a tail that it lacks, so that a ring which its bell had no room for is
 * repeated. (The relay asks again by itself.) */
static void ring_gateway(Program *p, int64_t now) {
    if (!p->gateway_owed || now < p->owed_due_us) return;
    p->gateway_owed =
        !doorbell_ring(p->bell, "gateway", "held %s %lld", p->told_epoch, (long long)p->told_held);
    p->owed_due_us = now + p->owed_pause_us;
    if (p->owed_pause_us < OWED_MOST_US) p->owed_pause_us *= 2;
}

static void ring_held(Program *p, bool asked) {
    const char *epoch = projector_epoch(p->projector);
    int64_t held = projector_held(p->projector), now = clock_mono_us();
    bool changed = held != p->told_held || strcmp(epoch, p->told_epoch) != 0;
    if (changed || asked)
        doorbell_ring(p->bell, "relay", "held %s %lld", *epoch ? epoch : "-", (long long)held);
    snprintf(p->told_epoch, sizeof p->told_epoch, "%s", epoch);
    p->told_held = held;
    if (changed) p->gateway_owed = *epoch, p->owed_due_us = now, p->owed_pause_us = OWED_FIRST_US;
    ring_gateway(p, now);
}

static void ring_repairs(Program *p) {
    int64_t from, to, now = clock_mono_us();
    for (int i = 0; i < REPAIRS_PER_RUN && projector_due_repair(p->projector, now, &from, &to); i++)
        doorbell_ring(p->bell, "relay", "repair %lld %lld", (long long)from, (long long)to);
    int64_t due = projector_due_us(p->projector);
    if (due <= now) due = now + REPAIR_PAUSE_US;
    if (p->gateway_owed && p->owed_due_us < due) due = p->owed_due_us;
    atomic_store(&p->due_us, due);
}

/* What is old goes in small pieces, with deliveries in between. */
static void clean(Program *p) {
    Err err = {0};
    bool more = false;
    int64_t now = clock_mono_us();
    if (now >= p->cleaner.due_us) {
        bool done = read_clean(p->db, &p->retention, clock_now_us(), &more, &err);
        if (!done) log_warn("old rows could not be removed", LOG_ERR(&err));
        cleaner_done(&p->cleaner, more, !done, now);
    }
    if (p->cleaner.due_us < atomic_load(&p->due_us)) atomic_store(&p->due_us, p->cleaner.due_us);
}

static void run(void *user, BatchItem **items, size_t count) {
    Program *p = user;
    apply_deliveries(p, items, count);
    bool asked = take_announcements(p, items, count);
    ring_held(p, asked);
    ring_repairs(p);
    clean(p);
    atomic_store(&p->healthy, projector_healthy(p->projector));
}

/* ---- on the loop ---- */

static void set_due(Program *p) {
    int64_t due = atomic_load(&p->due_us), now = clock_mono_us();
    if (due == INT64_MAX)
        loop_timer_stop(p->loop, &p->due);
    else
        loop_timer_set(p->loop, &p->due, due > now ? (due - now) / 1000 + 1 : 0);
}

static void work_done(BatchItem *item) {
    Work *work = CONTAINER(item, Work, item);
    Program *p = work->program;
    if (work->delivery) grid_delivery_answer(work->delivery, work->events.status);
    if (work->broker) broker_feed_answer(work->broker);
    free(work);
    p->in_flight--;
    if (p->ready != atomic_load(&p->healthy)) service_ready(p->service, p->ready = !p->ready);
    set_due(p);
}

static void submit(Program *p, Work *work) {
    Err err = {0};
    work->item.done = work_done;
    work->program = p;
    if (batcher_submit(p->writer, p->loop, &work->item, &err)) {
        p->in_flight++;
        return;
    }
    log_warn("too much work is waiting", LOG_ERR(&err));
    if (work->delivery) grid_delivery_answer(work->delivery, 503);
    if (work->broker) broker_feed_answer(work->broker); /* its status says that it is to come again */
    free(work);
}

static Work *work_new(WorkKind kind) {
    Work *work = must(calloc(1, sizeof *work));
    work->kind = kind;
    return work;
}

static void on_delivery(void *user, GridDelivery *delivery) {
    Work *work = work_new(WORK_DELIVERY);
    work->delivery = delivery;
    work->events = (ProjectorItem){.events = delivery->events,
                                   .count = delivery->count,
                                   .bad = delivery->bad,
                                   .bad_count = delivery->bad_count,
                                   .unknown_members = delivery->unknown_members,
                                   .status = 503};
    submit(user, work);
}

static void on_broker_delivery(void *user, BrokerDelivery *delivery) {
    Work *work = work_new(WORK_DELIVERY);
    work->broker = delivery;
    delivery->events.status = 503;
    submit(user, work);
}

static void on_request(void *user, HttpExchange *x) {
    Program *p = user;
    if (!grid_webhook_handle(p->webhook, x)) http_respond(x, &(HttpAnswer){.status = 404});
}

static size_t body_limit(void *user, HttpExchange *x) {
    const Program *p = user;
    return grid_webhook_body_limit(p->webhook, x);
}

static void on_due(Timer *timer) {
    submit(CONTAINER(timer, Program, due), work_new(WORK_DUE));
}

/* "last EPOCH N" */
static void take_ring(Program *p, const char *ring) {
    Span rest, number, verb = span_split(span_of(ring), ' ', &rest), epoch = span_split(rest, ' ', &number);
    uint64_t last;
    if (!span_is(verb, "last") || !epoch.len || !span_to_u64(number, INT64_MAX, &last)) return;
    Work *work = work_new(WORK_ANNOUNCEMENT);
    work->last = (int64_t)last;
    if (span_copy(epoch, work->epoch, sizeof work->epoch))
        submit(p, work);
    else
        free(work);
}

static void on_bell(Watch *watch, unsigned events) {
    Program *p = CONTAINER(watch, Program, bell_watch);
    char ring[RING_MAX];
    (void)events;
    while (doorbell_take(p->bell, ring)) take_ring(p, ring);
}

/* ---- the end ---- */

static void on_drain(Timer *timer) {
    Program *p = CONTAINER(timer, Program, drain);
    bool open = p->server && http_server_connections(p->server);
    bool quiet = !p->in_flight && (!open || p->drain_steps > DRAIN_PATIENCE);
    if (quiet || ++p->drain_steps > DRAIN_STEPS)
        loop_stop(p->loop);
    else
        loop_timer_set(p->loop, timer, DRAIN_STEP_MS);
}

static void begin_drain(Task *task) {
    Program *p = CONTAINER(task, Program, stop);
    if (p->server) http_server_drain(p->server);
    broker_feed_drain(p->feed);
    on_drain(&p->drain);
}

static void on_stop(void *user) {
    Program *p = user;
    loop_post(p->loop, &p->stop);
}

/* ---- opening ---- */

static bool stopping(void *service) {
    return service_stopping(service);
}

static bool read_retention(Program *p, Err *err) {
    const Config *c = service_config(p->service);
    ReadRetention *r = &p->retention;
    if (!config_number(c, "EVENTS_INBOX_RETENTION_SECONDS", 1, RETENTION_MAX_S, &r->inbox_s, err) ||
        !config_number(c, "EVENTS_COMMAND_RETENTION_SECONDS", 1, RETENTION_MAX_S, &r->command_s, err) ||
        !config_number(c, "EVENTS_LOG_RETENTION_SECONDS", 1, RETENTION_MAX_S, &r->log_s, err))
        return false;
    int64_t shortest = r->inbox_s < r->command_s ? r->inbox_s : r->command_s;
    p->cleaner = cleaner_start(shortest < r->log_s ? shortest : r->log_s, clock_mono_us());
    return true;
}

static bool open_database(Program *p, Err *err) {
    const char *url = config_text(service_config(p->service), "EVENTS_READ_DB");
    return db_open_patiently(url, (DbOptions){0}, START_MS, stopping, p->service, &p->db, err) &&
           read_migrate(p->db, err) && projector_open(p->db, clock_mono_us(), &p->projector, err);
}

static bool open_webhook(Program *p, Err *err) {
    const Config *config = service_config(p->service);
    const char *secrets;
    if (!config_secret(config, "EVENTS_WEBHOOK_SECRET", "webhook", &secrets, err)) return false;
    p->webhook =
        grid_webhook_new(&(GridWebhookOptions){.secrets = secrets, .deliver = on_delivery, .user = p});
    const HttpServerOptions options = {
        .on_request = on_request, .body_limit_for = body_limit, .user = p, .body_limit = GRID_WEBHOOK_BODY};
    return http_server_open(p->loop, config_text(config, "EVENTS_PROJECTION_LISTEN"), HTTP_ALONE, &options,
                            &p->server, err);
}

static bool open_source(Program *p, Err *err) {
    const char *url = config_text(service_config(p->service), "EVENTS_PROJECTION_SOURCE");
    if (!strcmp(url, "webhook:")) return open_webhook(p, err);
    const BrokerFeedOptions options = {.url = url, .loop = p->loop, .deliver = on_broker_delivery, .user = p};
    return broker_feed_open(&options, &p->feed, err);
}

static bool open_all(Program *p, Err *err) {
    const BatcherOptions writer = {
        .name = "writer", .most = BATCH, .bound = WAITING_MAX, .run = run, .user = p};
    p->told_held = -1; /* the first run says what is held, whatever it is */
    p->bell_watch.ready = on_bell;
    p->due.expired = on_due;
    p->drain.expired = on_drain;
    p->stop.run = begin_drain;
    if (!read_retention(p, err) || !loop_open(&p->loop, err) || !open_database(p, err) ||
        !doorbell_open(service_home(p->service), "projection", &p->bell, err) ||
        !service_bell(p->service, p->bell, err) || !batcher_open(&writer, &p->writer, err))
        return false;
    p->bell_watch.fd = doorbell_fd(p->bell);
    return loop_watch(p->loop, &p->bell_watch, EPOLLIN, err) && open_source(p, err);
}

static void close_all(Program *p) {
    service_on_stop(p->service, NULL, NULL);
    broker_feed_drain(p->feed);
    batcher_free(p->writer);
    http_server_free(p->server);
    loop_free(p->loop);
    broker_feed_free(p->feed);
    grid_webhook_free(p->webhook);
    doorbell_free(p->bell);
    projector_free(p->projector);
    db_free(p->db);
}

int main(int argc, char **argv) {
    Err err = {0};
    int code;
    AUTO(Service) service = NULL;
    if (!service_open("projection", argc, argv, &service, &code, &err)) return code;
    Program p = {.service = service};
    bool opened = open_all(&p, &err);
    if (opened) {
        service_on_stop(service, on_stop, &p);
        submit(&p, work_new(WORK_DUE));
        doorbell_ring(p.bell, "grid", "up projection");
        log_info("projection works", LOG_INT("held", projector_held(p.projector)));
        loop_run(p.loop);
    }
    close_all(&p);
    return opened ? 0 : service_failed(&err);
}
