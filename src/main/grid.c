/* events-grid - a stand-in for an Event Grid topic on one machine: durable, at least once, with the same wire
 * contract.
 *
 * Main thread: an event loop with the topic's two listeners, and the doorbell. One thread writes the database
 * (app/grid/grid_journal), one per subscription delivers (app/grid/grid_sender).
 * Stop: no new connections; what is in flight is answered; then senders, then the journal end. */
#include "app/grid/grid_exchange.h"
#include "app/grid/grid_journal.h"
#include "app/grid/grid_sender.h"
#include "base/log.h"
#include "io/doorbell.h"
#include "net/http_server.h"
#include "service/shell.h"
#include <stdio.h>
#include <sys/epoll.h>

enum { SUBSCRIPTIONS_MAX = 2, DRAIN_STEP_MS = 10, DRAIN_STEPS = 1000 };
/* There is one or the other for the gateways, and one or none for the projection: it may be fed by the
 * exchange, too. */
typedef struct Subscription {
    const char *name;
    const char *listen; /* setting: the webhook's address; NULL: it is an exchange */
} Subscription;
static const Subscription PROJECTION = {"projection", "EVENTS_PROJECTION_LISTEN"},
                          GATEWAY = {"gateway", "EVENTS_LISTEN_PLAIN"}, FANOUT = {"fanout", NULL};

typedef struct Grid {
    Service *service;
    Loop *loop;
    HttpTls *tls;
    HttpServer *servers[2]; /* plain, TLS */
    GridTopic *topic;
    GridJournal *journal;
    const Subscription *subscriptions[SUBSCRIPTIONS_MAX];
    const char *names[SUBSCRIPTIONS_MAX];
    GridSender *senders[SUBSCRIPTIONS_MAX]; /* NULL: it is an exchange */
    GridExchange *exchange;
    size_t count;
    Doorbell *bell;
    Watch bell_watch;
    Task stop, reload; /* from the signal thread to the loop */
    atomic_flag reload_posted;
    Timer drain;
    unsigned drain_steps;
} Grid;

static void on_request(void *user, HttpExchange *x) {
    Grid *g = user;
    grid_topic_handle(g->topic, x);
}

static void on_publication(void *user, GridPublication *p) {
    Grid *g = user;
    grid_journal_publish(g->journal, p);
}

/* "up NAME": that receiver is ready, so nobody waits for it any longer. "letters": an operator has decided on dead
 * ones, which are counted with the next save. */
static void take_ring(Grid *g, const char *ring) {
    if (!strcmp(ring, "letters")) grid_journal_save(g->journal);
    for (size_t i = 0; i < g->count; i++)
        if (g->senders[i] && !strncmp(ring, "up ", 3) && !strcmp(ring + 3, g->names[i]))
            grid_sender_up(g->senders[i]);
}

static void on_bell(Watch *watch, unsigned events) {
    Grid *g = CONTAINER(watch, Grid, bell_watch);
    char ring[RING_MAX];
    (void)events;
    while (doorbell_take(g->bell, ring)) take_ring(g, ring);
}

static void on_drain(Timer *timer) {
    Grid *g = CONTAINER(timer, Grid, drain);
    size_t open = http_server_connections(g->servers[0]) + http_server_connections(g->servers[1]);
    if (!open || ++g->drain_steps > DRAIN_STEPS) {
        loop_stop(g->loop);
        return;
    }
    loop_timer_set(g->loop, timer, DRAIN_STEP_MS);
}

static void begin_drain(Task *task) {
    Grid *g = CONTAINER(task, Grid, stop);
    for (size_t i = 0; i < COUNT(g->servers); i++) http_server_drain(g->servers[i]);
    on_drain(&g->drain);
}

static void do_reload(Task *task) {
    Grid *g = CONTAINER(task, Grid, reload);
    Err err = {0};
    atomic_flag_clear(&g->reload_posted);
    if (!http_tls_reload(g->tls, &err)) log_error("certificate not reloaded", LOG_ERR(&err));
}

static void on_stop(void *user) {
    Grid *g = user;
    loop_post(g->loop, &g->stop);
}

static void on_reload(void *user) {
    Grid *g = user;
    if (!atomic_flag_test_and_set(&g->reload_posted)) loop_post(g->loop, &g->reload);
}

/* A listener on all addresses is reached over loopback. */
static void webhook_url(const char *listen, char *url, size_t size) {
    Span address = span_of(listen);
    const char *colon = strrchr(listen, ':');
    Span host = {address.at, colon ? (size_t)(colon - listen) : address.len};
    bool any = span_is(host, "0.0.0.0") || span_is(host, "[::]") || span_is(host, "*") || !host.len;
    snprintf(url, size, "http://%.*s%s/api/events/webhook", any ? 9 : (int)host.len,
             any ? "127.0.0.1" : host.at, colon ? colon : "");
}

/* The first of the secrets is the one in use; the second only stays valid during rotation. */
static bool first_secret(const Config *config, char *secret, size_t size, Err *err) {
    const char *both;
    Span rest;
    if (!config_secret(config, "EVENTS_WEBHOOK_SECRET", "webhook", &both, err)) return false;
    if (!span_copy(span_trim(span_split(span_of(both), ',', &rest)), secret, size))
        return err_set(err, &ERR_CONFIG, "EVENTS_WEBHOOK_SECRET is too long");
    return true;
}

static bool open_exchange(Grid *g, size_t index, Err *err) {
    const GridExchangeOptions options = {.journal = g->journal,
                                         .index = index,
                                         .name = g->names[index],
                                         .url = config_text(service_config(g->service), "EVENTS_FANOUT")};
    return grid_exchange_open(&options, &g->exchange, err);
}

static bool open_webhook(Grid *g, size_t index, const char *secret, Err *err) {
    char url[300];
    webhook_url(config_text(service_config(g->service), g->subscriptions[index]->listen), url, sizeof url);
    const GridSenderOptions options = {
        .journal = g->journal, .index = index, .name = g->names[index], .url = url, .secret = secret};
    return grid_sender_open(&options, &g->senders[index], err);
}

static bool open_senders(Grid *g, Err *err) {
    char secret[1024];
    if (!first_secret(service_config(g->service), secret, sizeof secret, err)) return false;
    for (size_t i = 0; i < g->count; i++) {
        bool webhook = g->subscriptions[i]->listen;
        if (!(webhook ? open_webhook(g, i, secret, err) : open_exchange(g, i, err))) return false;
    }
    return true;
}

static void subscribe(Grid *g, const Subscription *subscription) {
    g->subscriptions[g->count] = subscription;
    g->names[g->count++] = subscription->name;
}

static bool choose_subscriptions(Grid *g, Err *err) {
    const Config *config = service_config(g->service);
    bool exchange = strcmp(config_text(config, "EVENTS_FANOUT"), "webhook:");
    bool webhook = !strcmp(config_text(config, "EVENTS_PROJECTION_SOURCE"), "webhook:");
    if (webhook) subscribe(g, &PROJECTION);
    subscribe(g, exchange ? &FANOUT : &GATEWAY);
    return webhook || exchange ||
           err_set(err, &ERR_CONFIG,
                   "EVENTS_PROJECTION_SOURCE: only with EVENTS_FANOUT=amqp://... is the broker fed");
}

static bool open_journal(Grid *g, Err *err) {
    const Config *config = service_config(g->service);
    char url[600];
    if (!choose_subscriptions(g, err)) return false;
    snprintf(url, sizeof url, "sqlite:%s", config_path(config, "db/grid.db"));
    const GridJournalOptions options = {
        .url = url, .home = g->loop, .subscriptions = g->names, .count = g->count};
    return grid_journal_open(&options, &g->journal, err);
}

static bool open_servers(Grid *g, Err *err) {
    const Config *config = service_config(g->service);
    const char *keys;
    const HttpTlsOptions tls = {config_path(config, "tls.crt"), config_path(config, "tls.key")};
    if (!config_secret(config, "EVENTS_GRID_KEY", "grid-key", &keys, err) ||
        !http_tls_open(&tls, &g->tls, err))
        return false;
    g->topic = grid_topic_new(&(GridTopicOptions){.keys = keys, .publish = on_publication, .user = g});
    HttpServerOptions options = {.on_request = on_request, .user = g, .body_limit = GRID_TOPIC_BODY};
    if (!http_server_open(g->loop, config_text(config, "EVENTS_GRID_LISTEN_PLAIN"), HTTP_ALONE, &options,
                          &g->servers[0], err))
        return false;
    options.tls = g->tls;
    return http_server_open(g->loop, config_text(config, "EVENTS_GRID_LISTEN"), HTTP_ALONE, &options,
                            &g->servers[1], err);
}

static bool open_bell(Grid *g, Err *err) {
    if (!doorbell_open(service_home(g->service), "grid", &g->bell, err)) return false;
    g->bell_watch = (Watch){.ready = on_bell, .fd = doorbell_fd(g->bell)};
    return loop_watch(g->loop, &g->bell_watch, EPOLLIN, err);
}

static bool open_grid(Grid *g, Err *err) {
    g->stop.run = begin_drain;
    g->reload.run = do_reload;
    g->drain.expired = on_drain;
    return loop_open(&g->loop, err) && open_journal(g, err) && open_servers(g, err) && open_senders(g, err) &&
           open_bell(g, err);
}

/* Senders first: they read the journal. Its last answers are posted to the loop, which runs them when it is
 * freed. */
static void close_grid(Grid *g) {
    service_on_stop(g->service, NULL, NULL);
    service_on_reload(g->service, NULL, NULL);
    for (size_t i = 0; i < g->count; i++) grid_sender_free(g->senders[i]);
    grid_exchange_free(g->exchange);
    if (g->bell && g->bell_watch.events) loop_unwatch(g->loop, &g->bell_watch);
    doorbell_free(g->bell);
    grid_journal_stop(g->journal);
    for (size_t i = 0; i < COUNT(g->servers); i++) http_server_free(g->servers[i]);
    loop_free(g->loop);
    grid_journal_free(g->journal);
    grid_topic_free(g->topic);
    http_tls_free(g->tls);
}

int main(int argc, char **argv) {
    Err err = {0};
    int code;
    Grid grid = {.reload_posted = ATOMIC_FLAG_INIT};
    AUTO(Service) service = NULL;
    if (!service_open("grid", argc, argv, &service, &code, &err)) return code;
    grid.service = service;
    bool opened = open_grid(&grid, &err);
    if (opened) {
        service_on_reload(service, on_reload, &grid);
        service_on_stop(service, on_stop, &grid);
        service_ready(service, true);
        /* A relay that has found nobody here waits for up to half a minute. Its request finds the listeners open. */
        doorbell_ring(grid.bell, "relay", "up grid");
        loop_run(grid.loop);
    }
    close_grid(&grid);
    return opened ? 0 : service_failed(&err);
}
