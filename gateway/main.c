/* events-gateway: the edge. Loops that never block (server.h), threads for what blocks (readers, users), the
 * queue's writer, and the keeper that hears the other programs. */
#include "base/cleaner.h"
#include "base/log.h"
#include "gateway/feed/keeper.h"
#include "gateway/feed/webhook.h"
#include "gateway/rest/login.h"
#include "gateway/server.h"
#include <stdlib.h>
#include <unistd.h>

enum { DRAIN_MOST_S = 14 }; /* of the 15 that server_drain() takes at most */
enum {
    START_MS = 30000,
    READERS = 4,
    READS_WAITING = 1024,
    LOGIN_THREADS = 2,
    LOGINS_WAITING = 64,
    USERS_WAITING = 1024
};
/* How long each may wait for a thread: a read is answered within that and what the database waits for a lock. */
enum { READS_MS = 1000, LOGINS_MS = 10000, USERS_MS = 3000 };

/* Everything that lives as long as the process, beside the Gateway that points to it. */
typedef struct Program {
    Service *service;
    const Config *config;
    Gateway gateway;
    HttpTls *tls;
    Doorbell *bell;
    Keeper *keeper;
    QueriesOptions queries;
    int64_t threads, poll_seconds, memory_mib, command_seconds;
    bool broker; /* fans the events out */
    AmqpUrl fanout;
} Program;

static bool is_loopback(const char *address) {
    Span a = span_of(address);
    return span_starts(a, SPAN("127.")) || span_starts(a, SPAN("[::1]:")) ||
           span_starts(a, SPAN("localhost:"));
}

static bool read_fanout(Program *p, Err *err) {
    const char *url = config_text(p->config, "EVENTS_FANOUT");
    p->broker = strcmp(url, "webhook:");
    if (!p->broker || amqp_url_parse(url, &p->fanout, err)) return true;
    return err_set(err, &ERR_CONFIG,
                   "EVENTS_FANOUT is webhook: or amqp[s]://user:password@host:port/exchange");
}

static bool read_settings(Program *p, Err *err) {
    const Config *c = p->config;
    Gateway *g = &p->gateway;
    int64_t access, refresh, stream, drain;
    if (!config_number(c, "EVENTS_THREADS", 0, 64, &p->threads, err) ||
        !config_number(c, "EVENTS_POLL_SECONDS", 1, 3600, &p->poll_seconds, err) ||
        !config_number(c, "EVENTS_MEMORY_LIMIT", 0, 1 << 24, &p->memory_mib, err) ||
        !config_number(c, "EVENTS_COMMAND_RETENTION_SECONDS", 1, RETENTION_MAX_S, &p->command_seconds, err) ||
        !config_number(c, "EVENTS_ACCESS_TOKEN_SECONDS", 1, ACCESS_TOKEN_MAX_S, &access, err) ||
        !config_number(c, "EVENTS_REFRESH_TOKEN_SECONDS", 1, 366 * 86400, &refresh, err) ||
        !config_number(c, "EVENTS_STREAM_MAX_SECONDS", 0, 86400, &stream, err) ||
        !config_number(c, "EVENTS_DRAIN_SECONDS", 0, DRAIN_MOST_S, &drain, err))
        return false;
    g->access_us = access * 1000000;
    g->refresh_us = refresh * 1000000;
    g->stream_us = stream * 1000000;
    g->drain_us = drain * 1000000;
    g->allowed_origins = config_text(c, "EVENTS_ALLOWED_ORIGINS");
    if (!proxies_read(config_text(c, "EVENTS_TRUSTED_PROXIES"), &g->proxies, err)) return false;
    g->test_endpoints = config_flag(c, "EVENTS_TEST_ENDPOINTS");
    g->ws_deflate = config_flag(c, "EVENTS_WS_DEFLATE");
    p->queries = (QueriesOptions){config_text(c, "EVENTS_READ_DB"), config_text(c, "EVENTS_QUEUE"),
                                  service_home(p->service)};
    bool loopback =
        is_loopback(config_text(c, "EVENTS_LISTEN")) && is_loopback(config_text(c, "EVENTS_LISTEN_PLAIN"));
    if (g->test_endpoints && !loopback)
        return err_set(err, &ERR_CONFIG, "EVENTS_TEST_ENDPOINTS needs loopback addresses to listen on");
    return read_fanout(p, err);
}

static void *reader_open(void *user) {
    return queries_new(user);
}
static void reader_close(void *context) {
    queries_free(context);
}

static bool stopping(void *service) {
    return service_stopping(service);
}

static bool open_threads(Program *p, Err *err) {
    const char *users_url = config_text(p->config, "EVENTS_USERS_DB");
    Users *users;
    AUTO(Db) there = NULL; /* a server may be starting, too */
    if (!db_open_patiently(users_url, (DbOptions){0}, START_MS, stopping, p->service, &there, err) ||
        !users_open(users_url, &users, err)) /* makes the tables, once, before the threads */
        return false;
    users_free(users);
    PoolOptions readers = {"reader",    READERS,      READS_WAITING, READS_MS,
                           reader_open, reader_close, &p->queries};
    PoolOptions logins = {
        .name = "logins", .threads = LOGIN_THREADS, .bound = LOGINS_WAITING, .patience_ms = LOGINS_MS};
    logins.context_open = users_context_open, logins.context_close = users_context_close;
    logins.user = (void *)users_url;
    PoolOptions user_threads = logins;
    user_threads.name = "users", user_threads.threads = 1, user_threads.bound = USERS_WAITING;
    user_threads.patience_ms = USERS_MS;
    return pool_open(&readers, &p->gateway.readers, err) && pool_open(&logins, &p->gateway.logins, err) &&
           pool_open(&user_threads, &p->gateway.user_threads, err) &&
           peers_open(service_home(p->service), &p->gateway.peers, err);
}

static void repair_needed(void *user) {
    Program *p = user;
    doorbell_interrupt(p->bell);
}

static void committed(void *user) {
    Program *p = user;
    doorbell_ring(p->bell, "prospects", "work"); /* nobody there: it looks by itself when it starts */
}

/* What a client's certificate means: with "required" nobody gets past the handshake without a valid one, with
 * "optional" a bad one ends it. Who the user is, the token says. */
static bool open_tls(Program *p, Err *err) {
    const Config *c = p->config;
    Span verify = span_of(config_text(c, "EVENTS_TLS_CLIENT_VERIFY"));
    HttpTlsOptions options = {config_path(c, "tls.crt"), config_path(c, "tls.key")};
    const char *authorities = config_text(c, "EVENTS_TLS_CLIENT_CA");
    options.client_ca_file = *authorities ? authorities : NULL;
    options.client_required = span_is(verify, "required");
    if (!options.client_required && !span_is(verify, "optional"))
        return err_set(err, &ERR_CONFIG, "EVENTS_TLS_CLIENT_VERIFY is required or optional");
    return http_tls_open(&options, &p->tls, err);
}

/* The bell of all gateways: the own one's keeper hears it, too. */
static void tell_revoked(void *user) {
    Program *p = user;
    doorbell_ring(p->bell, "gateway", "revoked");
}

static void revoked(void *user, Revoked *set) {
    Program *p = user;
    server_revoke(p->gateway.server, set);
}

static bool open_revocations(Program *p, Err *err) {
    RevocationsOptions options = {.users_url = config_text(p->config, "EVENTS_USERS_DB"),
                                  .poll_ms = p->poll_seconds * 1000,
                                  .changed = revoked,
                                  .tell_others = tell_revoked,
                                  .user = p};
    return revocations_open(&options, &p->gateway.revocations, err);
}

static bool open_parts(Program *p, Err *err) {
    const Config *c = p->config;
    Gateway *g = &p->gateway;
    const char *secrets;
    if (!config_secret(c, "EVENTS_WEBHOOK_SECRET", "webhook", &secrets, err) ||
        !tokens_open(config_path(c, "keys"), &g->tokens, err) ||
        !static_files_read(config_text(c, "EVENTS_WEB_ROOT"), &g->files, err) || !open_tls(p, err) ||
        !doorbell_open(service_home(p->service), "gateway", &p->bell, err) ||
        !service_bell(p->service, p->bell, err) || !open_threads(p, err) || !open_revocations(p, err) ||
        !queue_sender_open(config_text(c, "EVENTS_QUEUE"), service_home(p->service), &g->queue, err))
        return false;
    queue_on_commit(g->queue, committed, p);
    queue_keep(g->queue, p->command_seconds);
    g->attempts = attempts_new();
    g->memory = memory_new((size_t)p->memory_mib << 20, g->readers);
    g->documents = documents_new();
    g->presence =
        presence_new(!strcmp(config_text(c, "EVENTS_FANOUT"), "webhook:")); /* that is for one gateway */
    g->hub = hub_new(&HUB_LIMITS, repair_needed, p);
    g->webhook = webhook_new(g, secrets);
    ServerOptions server = {g, (size_t)p->threads, config_text(c, "EVENTS_LISTEN"),
                            config_text(c, "EVENTS_LISTEN_PLAIN"), p->tls};
    return server_open(&server, &g->server, err);
}

static bool start(Program *p, Err *err) {
    KeeperOptions keeper = {
        &p->gateway, p->service, p->bell, p->queries, p->poll_seconds * 1000, p->broker ? &p->fanout : NULL};
    if (server_run(p->gateway.server, err) && revocations_run(p->gateway.revocations, err) &&
        keeper_open(&keeper, &p->keeper, err))
        return true;
    server_drain(p->gateway.server);
    server_join(p->gateway.server);
    return false;
}

static void stop(void *user) {
    Program *p = user;
    atomic_store(&p->gateway.ready, false);
    service_ready(p->service, false);
    server_drain(p->gateway.server);
}

static void reload(void *user) {
    Program *p = user;
    Err err = {0};
    bool ok = http_tls_reload(p->tls, &err) && tokens_reload(p->gateway.tokens, &err);
    if (ok)
        log_info("certificate and keys reloaded");
    else
        log_error("reload failed, the old ones stay", LOG_ERR(&err));
}

/* Threads first, so that everything they hand back reaches loops that still exist. */
static void close_parts(Program *p) {
    Gateway *g = &p->gateway;
    p->keeper = keeper_free(p->keeper);
    g->queue = queue_sender_free(g->queue);
    g->readers = pool_free(g->readers);
    g->logins = pool_free(g->logins);
    g->user_threads = pool_free(g->user_threads);
    g->peers = peers_free(g->peers);
    g->revocations = revocations_free(g->revocations);
    if (!server_free(g->server)) return; /* something is still out: the process ends anyway */
    g->webhook = grid_webhook_free(g->webhook);
    g->hub = hub_free(g->hub);
    g->presence = presence_free(g->presence);
    g->attempts = attempts_free(g->attempts);
    g->memory = memory_free(g->memory);
    g->proxies = proxies_free(g->proxies);
    g->files = static_files_free(g->files);
    g->documents = documents_free(g->documents);
    g->tokens = tokens_free(g->tokens);
    p->tls = http_tls_free(p->tls);
    service_bell(p->service, NULL, NULL);
    p->bell = doorbell_free(p->bell);
}

static int serve(Program *p) {
    Err err = {0};
    bool ok = read_settings(p, &err) && open_parts(p, &err) && start(p, &err);
    if (ok) {
        service_on_reload(p->service, reload, p);
        service_on_stop(p->service, stop, p);
        server_join(p->gateway.server);
        service_on_stop(p->service, NULL, NULL);
        service_on_reload(p->service, NULL, NULL);
    }
    close_parts(p);
    return ok ? 0 : service_failed(&err);
}

int main(int argc, char **argv) {
    Err err = {0};
    int code;
    Program p = {0};
    if (!service_open("gateway", argc, argv, &p.service, &code, &err)) return code;
    p.config = service_config(p.service);
    code = serve(&p);
    service_free(p.service);
    return code;
}
