/* events-prospects - takes commands from the queue and turns them into entities and events
 * (app/command_loop). One thread. It binds its bell, then looks; the gateway rings it after each commit, and
 * it rings the relay. */
#include "app/command_loop.h"
#include "app/prospect_cleaner.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/doorbell.h"
#include "observe/metric.h"
#include "service/shell.h"
#include "store/migrations_write.h"
#include <stdio.h>

enum { START_MS = 30000, START_STEP_MS = 50 };

typedef struct Prospects {
    Service *service;
    Doorbell *bell;
    Db *db;
    QueueReceiver *receiver;
    CommandLoop *loop;
    bool relay_deaf; /* the last ring was not heard: repeat it */
    WriteRetention retention;
    char relay_url[600];
    Cleaner cleaner;
    Metric *commands, *events;
} Prospects;

static void ring_relay(Prospects *p) {
    p->relay_deaf = !doorbell_ring(p->bell, "relay", "work");
}

static void events_written(void *user, size_t events) {
    Prospects *p = user;
    metric_add(p->events, (int64_t)events);
    ring_relay(p);
}

static void interrupt(void *bell) {
    doorbell_interrupt(bell);
}

/* queue.db is made by the gateway, which may start later. */
static bool open_receiver(Prospects *p, Err *err) {
    const char *url = config_text(service_config(p->service), "EVENTS_QUEUE");
    for (int64_t end = clock_mono_us() + START_MS * 1000;; clock_sleep_ms(START_STEP_MS)) {
        err_clear(err);
        if (queue_receiver_open(url, service_home(p->service), &p->receiver, err)) return true;
        if (!err->kind->retry || clock_mono_us() > end || service_stopping(p->service)) return false;
    }
}

static bool stopping(void *service) {
    return service_stopping(service);
}

static int64_t earlier(int64_t a, int64_t b) {
    return a < b ? a : b;
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
    const Config *config = service_config(p->service);
    if (!read_retention(p, err) ||
        !db_open_patiently(config_text(config, "EVENTS_WRITE_DB"), (DbOptions){0}, START_MS, stopping,
                           p->service, &p->db, err) ||
        !write_migrate(p->db, err) || !doorbell_open(service_home(p->service), "prospects", &p->bell, err) ||
        !open_receiver(p, err))
        return false;
    p->loop = command_loop_new(&(CommandLoopOptions){
        .receiver = p->receiver, .db = p->db, .events_written = events_written, .user = p});
    p->commands = metric_counter("events_prospects_commands_total", "Commands handled, repeats included");
    p->events = metric_counter("events_prospects_events_total", "Events written to the outbox");
    return true;
}

static void wait_out(Prospects *p, int64_t wait_ms, bool only_wait) {
    char ring[RING_MAX];
    int64_t end = clock_mono_us() + wait_ms * 1000, left = wait_ms;
    do {
        doorbell_wait(p->bell, left);
        while (doorbell_take(p->bell, ring)) continue;
        left = (end - clock_mono_us()) / 1000;
    } while (only_wait && left > 0 && !service_stopping(p->service));
}

/* Between two looks at the queue; how long until it is due again. */
static int64_t clean(Prospects *p, int64_t poll_ms) {
    Err err = {0};
    bool more = false;
    int64_t now = clock_mono_us();
    if (now >= p->cleaner.due_us) {
        bool done = write_clean(p->db, &p->retention, clock_now_us(), &more, &err);
        if (!done) log_warn("old rows could not be removed", LOG_ERR(&err));
        cleaner_done(&p->cleaner, more, !done, now);
    }
    int64_t left = p->cleaner.due_us == CLEANER_NEVER ? poll_ms : (p->cleaner.due_us - now) / 1000 + 1;
    return more ? 0 : earlier(left, poll_ms);
}

static void work(Prospects *p, int64_t poll_ms) {
    for (int64_t deaf_ms = 0; !service_stopping(p->service);) {
        int64_t wait_ms;
        bool only_wait;
        size_t handled = command_loop_turn(p->loop, &wait_ms, &only_wait);
        metric_add(p->commands, (int64_t)handled);
        if (handled) cleaner_worked(&p->cleaner, clock_mono_us());
        if (!wait_ms) continue;
        if (wait_ms < 0 || wait_ms > poll_ms) wait_ms = poll_ms;
        if (!only_wait) wait_ms = earlier(wait_ms, clean(p, poll_ms));
        deaf_ms = !p->relay_deaf ? 0 : deaf_ms ? deaf_ms * 2 : 50;
        if (deaf_ms > poll_ms) deaf_ms = poll_ms;
        if (deaf_ms && deaf_ms < wait_ms) wait_ms = deaf_ms;
        wait_out(p, wait_ms, only_wait);
        if (p->relay_deaf) ring_relay(p);
    }
}

static void close_engines(Prospects *p) {
    service_on_stop(p->service, NULL, NULL);
    p->loop = command_loop_free(p->loop);
    p->receiver = queue_receiver_free(p->receiver);
    p->db = db_free(p->db);
    p->bell = doorbell_free(p->bell);
}

int main(int argc, char **argv) {
    Err err = {0};
    int code;
    AUTO(Service) service = NULL;
    if (!service_open("prospects", argc, argv, &service, &code, &err)) return code;
    Prospects p = {.service = service};
    int64_t poll_seconds;
    if (!config_number(service_config(service), "EVENTS_POLL_SECONDS", 1, 3600, &poll_seconds, &err) ||
        !open_engines(&p, &err)) {
        bool stopped = service_stopping(service);
        close_engines(&p);
        return stopped ? 0 : service_failed(&err);
    }
    service_on_stop(service, interrupt, p.bell);
    service_ready(service, true);
    work(&p, poll_seconds * 1000);
    close_engines(&p);
    return 0;
}
