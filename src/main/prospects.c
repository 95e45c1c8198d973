/* events-prospects - takes commands from the queue and turns them into entities and events
 * (app/commands/command_workers). The main thread listens to the bell, which the gateway rings after each commit, and
 * calls the workers; they ring the relay. It binds its bell, then they look. */
#include "app/commands/command_workers.h"
#include "app/commands/prospect_cleaner.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/doorbell.h"
#include "observe/metric.h"
#include "service/shell.h"
#include "store/write/migrations_write.h"
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { START_MS = 30000, START_STEP_MS = 50, INSIST_US = 5000, DEAF_FIRST_MS = 50 };

typedef struct Prospects {
    Service *service;
    Doorbell *bell;
    CommandWorkers *workers;
    int64_t poll_ms;
    atomic_bool relay_deaf; /* the last ring was not heard: repeat it */
    WriteRetention retention;
    char relay_url[600];
    Cleaner cleaner;    /* the first worker's */
    atomic_bool worked; /* since it has looked */
    Metric *commands, *events;
} Prospects;

static void ring_relay(Prospects *p) {
    p->relay_deaf = !doorbell_ring(p->bell, "relay", "work");
}

static void events_written(void *user, size_t events) {
    Prospects *p = user;
    metric_add(p->events, (int64_t)events);
    ring_relay(p);
    if (p->relay_deaf) doorbell_interrupt(p->bell);
}

static void handled(void *user, size_t commands) {
    Prospects *p = user;
    metric_add(p->commands, (int64_t)commands);
    p->worked = true;
}

static int64_t earlier(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* Between two looks at the queue; how long until it is due again. */
static int64_t clean(void *user, Db *db) {
    Prospects *p = user;
    Err err = {0};
    bool more = false;
    int64_t now = clock_mono_us();
    if (atomic_exchange(&p->worked, false)) cleaner_worked(&p->cleaner, now);
    if (now >= p->cleaner.due_us) {
        bool done = write_clean(db, &p->retention, clock_now_us(), &more, &err);
        if (!done) log_warn("old rows could not be removed", LOG_ERR(&err));
        cleaner_done(&p->cleaner, more, !done, now);
    }
    int64_t left = p->cleaner.due_us == CLEANER_NEVER ? p->poll_ms : (p->cleaner.due_us - now) / 1000 + 1;
    return more ? 0 : earlier(left, p->poll_ms);
}

static void interrupt(void *bell) {
    doorbell_interrupt(bell);
}

static bool stopping(void *service) {
    return service_stopping(service);
}

/* queue.db is made by the gateway, which may start later. */
static bool open_receiver(Prospects *p, unsigned worker, unsigned workers, QueueReceiver **ret, Err *err) {
    const char *url = config_text(service_config(p->service), "EVENTS_QUEUE");
    for (int64_t end = clock_mono_us() + START_MS * 1000;; clock_sleep_ms(START_STEP_MS)) {
        err_clear(err);
        if (queue_receiver_open_worker(url, service_home(p->service), worker, workers, ret, err)) return true;
        if (!err->kind->retry || clock_mono_us() > end || service_stopping(p->service)) return false;
    }
}

/* *workers becomes one where the write model is a file: it has one writer. */
static bool add_worker(Prospects *p, unsigned worker, unsigned *workers, Err *err) {
    AUTO(Db) db = NULL;
    QueueReceiver *receiver = NULL;
    if (!db_open_patiently(config_text(service_config(p->service), "EVENTS_WRITE_DB"), (DbOptions){0},
                           START_MS, stopping, p->service, &db, err) ||
        (!worker && !write_migrate(db, err)))
        return false;
    if (db_dialect(db) == DB_SQLITE) *workers = 1;
    if (!open_receiver(p, worker, *workers, &receiver, err)) return false;
    Db *its_db = db;
    db = NULL;
    return command_workers_add(p->workers, its_db, receiver, err);
}

/* Two can use the time in which one waits for its commit; more than four only wait for each other. */
static bool wanted_workers(const Config *config, int64_t *ret, Err *err) {
    if (!config_number(config, "EVENTS_WORKERS", 0, COMMAND_WORKERS_MAX, ret, err)) return false;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (!*ret) *ret = processors < 2 ? 2 : processors > 4 ? 4 : processors;
    return true;
}

static bool open_workers(Prospects *p, Err *err) {
    int64_t wanted;
    if (!wanted_workers(service_config(p->service), &wanted, err)) return false;
    p->workers = command_workers_new(&(CommandWorkersOptions){.poll_ms = (size_t)p->poll_ms,
                                                              .events_written = events_written,
                                                              .handled = handled,
                                                              .idle = clean,
                                                              .user = p});
    unsigned workers = (unsigned)wanted;
    for (unsigned i = 0; i < workers; i++)
        if (!add_worker(p, i, &workers, err)) return false;
    return true;
}

static bool read_retention(Prospects *p, Err *err) {
    const Config *config = service_config(p->service);
    WriteRetention *r = &p->retention;
    snprintf(p->relay_url, sizeof p->relay_url, "sqlite:%s", config_path(config, "db/relay.db"));
    r->relay_url = p->relay_url;
    if (!config_number(config, "EVENTS_COMMAND_RETENTION_SECONDS", 1, RETENTION_MAX_S, &r->command_s, err) ||
        !config_number(config, "EVENTS_OUTBOX_RETENTION_SECONDS", 1, RETENTION_MAX_S, &r->outbox_s, err))
        return false;
    p->cleaner = cleaner_start(earlier(r->command_s, r->outbox_s), clock_mono_us());
    return true;
}

static bool open_engines(Prospects *p, Err *err) {
    int64_t poll_seconds;
    if (!config_number(service_config(p->service), "EVENTS_POLL_SECONDS", 1, 3600, &poll_seconds, err))
        return false;
    p->poll_ms = poll_seconds * 1000;
    p->commands = metric_counter("events_prospects_commands_total", "Commands handled, repeats included");
    p->events = metric_counter("events_prospects_events_total", "Events written to the outbox");
    return read_retention(p, err) && doorbell_open(service_home(p->service), "prospects", &p->bell, err) &&
           service_bell(p->service, p->bell, err) && open_workers(p, err);
}

/* "work": there are commands; "letters": an operator has decided on dead ones. */
static bool take_rings(Prospects *p) {
    char ring[RING_MAX];
    bool rung = false, letters = false;
    for (; doorbell_take(p->bell, ring); rung = true) letters = letters || !strcmp(ring, "letters");
    if (letters)
        command_workers_recount(p->workers);
    else if (rung)
        command_workers_ring(p->workers);
    return rung;
}

static void listen_to_bell(Prospects *p) {
    int64_t insist_us = 0, deaf_ms = 0;
    while (!service_stopping(p->service)) {
        deaf_ms = !p->relay_deaf ? 0 : deaf_ms ? deaf_ms * 2 : DEAF_FIRST_MS;
        if (deaf_ms > p->poll_ms) deaf_ms = p->poll_ms;
        doorbell_wait(p->bell, insist_us ? INSIST_US / 1000 : deaf_ms ? deaf_ms : p->poll_ms);
        bool rung = take_rings(p);
        if (rung && !insist_us) insist_us = clock_mono_us() + INSIST_US;
        if (insist_us && clock_mono_us() >= insist_us) {
            command_workers_insist(p->workers);
            insist_us = 0;
        }
        if (p->relay_deaf) ring_relay(p);
    }
}

static void close_engines(Prospects *p) {
    p->workers = command_workers_free(p->workers);
    service_on_stop(p->service, NULL, NULL);
    p->bell = doorbell_free(p->bell);
}

int main(int argc, char **argv) {
    Err err = {0};
    int code;
    AUTO(Service) service = NULL;
    if (!service_open("prospects", argc, argv, &service, &code, &err)) return code;
    Prospects p = {.service = service};
    if (!open_engines(&p, &err)) {
        bool stopped = service_stopping(service);
        close_engines(&p);
        return stopped ? 0 : service_failed(&err);
    }
    service_on_stop(service, interrupt, p.bell);
    service_ready(service, true);
    listen_to_bell(&p);
    close_engines(&p);
    return 0;
}
