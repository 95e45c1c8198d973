/* events-relay - carries committed events from the outbox to the topic.
 *
 * One thread, which sleeps at its bell: a ring, a deadline of the relay's own, or the fall-back poll wakes
 * it; then it takes turns until there is nothing left to do. Rings are all read before a turn, so that many
 * make one turn. */
#include "app/relay/relay.h"
#include "base/cleaner.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/place.h"
#include "io/doorbell.h"
#include "service/shell.h"
#include "store/outbox/migrations_relay.h"
#include "store/write/migrations_write.h"
#include <stdio.h>

enum { WAIT_AT_START_MS = 30000, LOOK_MS = 100, FAILURE_MS = 100, FAILURE_MAX_MS = 10000 };

typedef struct Program {
    Service *service;
    Db *numbers, *outbox;
    GridPublisher *publisher;
    Doorbell *bell;
    Relay *relay;
    int64_t poll_ms;
    char owner[PLACE_NAME];
    bool ready; /* as told last */
} Program;

static void publish(void *user, GridRequest *requests, size_t count) {
    Program *p = user;
    grid_publish(p->publisher, requests, count);
}

static void ring(void *user, const char *text) {
    Program *p = user;
    doorbell_ring(p->bell, "projection", "%s", text);
}

static void on_stop(void *user) {
    Program *p = user;
    grid_publisher_interrupt(p->publisher);
    doorbell_interrupt(p->bell);
}

/* ---- opening ---- */

static bool stopping(void *service) {
    return service_stopping(service);
}

/* Numbers beside the rows; where these are in a file of another program's, in a file of its own. */
static bool open_numbers(Program *p, Err *err) {
    const Config *config = service_config(p->service);
    const char *url = config_text(config, "EVENTS_WRITE_DB");
    char own[600];
    if (!strncmp(url, "sqlite:", 7)) {
        snprintf(own, sizeof own, "sqlite:%s", config_path(config, "db/relay.db"));
        url = own;
    }
    return db_open_patiently(url, (DbOptions){0}, WAIT_AT_START_MS, stopping, p->service, &p->numbers, err) &&
           relay_migrate(p->numbers, err) &&
           (db_dialect(p->numbers) == DB_SQLITE || write_migrate(p->numbers, err));
}

/* A server's second connection notes what has been published: that need not be synced. */
static bool try_outbox(Program *p, const char *url, Err *err) {
    bool file = db_dialect(p->numbers) == DB_SQLITE;
    if (!db_open(url, (DbOptions){.read_only = file, .relaxed = !file}, &p->outbox, err)) return false;
    if (db_has_table(p->outbox, "outbox", err)) return true;
    p->outbox = db_free(p->outbox);
    return false;
}

/* In a file the prospect service makes the tables; it may be starting at this moment. */
static bool open_outbox(Program *p, Err *err) {
    const char *url = config_text(service_config(p->service), "EVENTS_WRITE_DB");
    for (int64_t waited = 0; !try_outbox(p, url, err); waited += LOOK_MS) {
        if (waited >= WAIT_AT_START_MS || service_stopping(p->service)) return false;
        err_clear(err);
        doorbell_wait(p->bell, LOOK_MS);
    }
    return true;
}

static bool open_all(Program *p, Err *err) {
    int64_t poll, retention;
    const Config *config = service_config(p->service);
    if (!config_number(config, "EVENTS_POLL_SECONDS", 1, 3600, &poll, err) ||
        !config_number(config, "EVENTS_OUTBOX_RETENTION_SECONDS", 1, RETENTION_MAX_S, &retention, err))
        return false;
    p->poll_ms = poll * 1000;
    if (!doorbell_open(service_home(p->service), "relay", &p->bell, err) ||
        !service_bell(p->service, p->bell, err) || !grid_publisher_open_by(config, &p->publisher, err))
        return false;
    service_on_stop(p->service, on_stop, p);
    if (!open_numbers(p, err) || !open_outbox(p, err)) return false;
    place_name(service_home(p->service), p->owner);
    const RelayOptions options = {.numbers = p->numbers,
                                  .outbox = p->outbox,
                                  .retention_s = retention,
                                  .owner = p->owner,
                                  .publish = publish,
                                  .ring = ring,
                                  .user = p};
    return relay_open(&options, clock_mono_us(), &p->relay, err);
}

static void close_all(Program *p) {
    service_on_stop(p->service, NULL, NULL);
    relay_free(p->relay);
    grid_publisher_free(p->publisher);
    db_free(p->outbox);
    db_free(p->numbers);
    doorbell_free(p->bell);
}

/* ---- working ---- */

static void hear_all(Program *p) {
    char text[RING_MAX];
    while (doorbell_take(p->bell, text)) relay_hear(p->relay, text, clock_mono_us());
    if (p->ready != relay_healthy(p->relay)) service_ready(p->service, p->ready = !p->ready);
}

/* How long a database that fails is left alone: longer and longer. */
static int64_t after_failure(Program *p, unsigned failures, const Err *why) {
    Err err = {0};
    int64_t wait = FAILURE_MS;
    log_warn("turn failed", LOG_INT("failures", failures), LOG_ERR(why));
    if (!db_recover(p->numbers, &err) || !db_recover(p->outbox, &err))
        log_warn("database is down", LOG_ERR(&err));
    for (unsigned i = 1; i < failures && wait < FAILURE_MAX_MS; i++) wait *= 2;
    return wait < FAILURE_MAX_MS ? wait : FAILURE_MAX_MS;
}

static int64_t until_due(const Program *p) {
    int64_t due = relay_due_us(p->relay), now = clock_mono_us();
    if (due <= now) return 0;
    int64_t wait = (due - now) / 1000 + 1;
    return due == INT64_MAX || wait > p->poll_ms ? p->poll_ms : wait;
}

static void run(Program *p) {
    unsigned failures = 0;
    while (!service_stopping(p->service)) {
        Err err = {0};
        bool more;
        int64_t wait;
        hear_all(p);
        if (relay_turn(p->relay, clock_mono_us(), &more, &err)) {
            failures = 0;
            wait = more ? 0 : until_due(p);
        } else {
            wait = after_failure(p, ++failures, &err);
        }
        if (wait > 0) doorbell_wait(p->bell, wait);
    }
}

int main(int argc, char **argv) {
    Err err = {0};
    int code;
    AUTO(Service) service = NULL;
    if (!service_open("relay", argc, argv, &service, &code, &err)) return code;
    Program p = {.service = service};
    bool opened = open_all(&p, &err);
    if (opened) {
        log_info("relay works");
        run(&p);
        if (!relay_close(p.relay, &err)) log_warn("published position not stored", LOG_ERR(&err));
    }
    close_all(&p);
    return opened || service_stopping(service) ? 0 : service_failed(&err);
}
