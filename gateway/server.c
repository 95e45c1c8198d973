#include "gateway/server.h"

#include "base/log.h"
#include "gateway/read_job.h"
#include "gateway/routes.h"
#include "gateway/rpc/rpc.h"
#include "gateway/stream/live.h"
#include "gateway/stream/watch.h"
#include "net/defence.h"
#include "observe/metric.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    THREADS_MAX = LOOPS_MAX,
    DRAIN_MS = 15000,
    DRAIN_LOOK_MS = 20,
    SPARE_FILES = 256,
    CONNECTIONS_MAX = 100000
};

typedef struct WorkerThread {
    Worker worker;
    pthread_t thread;
    bool runs;
    Task drain, news, revoke;
    atomic_bool drain_posted, news_posted;
    _Atomic(Revoked *) revoked; /* on its way to the loop; NULL: none */
    Timer drain_look;
    int64_t drain_until_us;
} WorkerThread;

struct Server {
    size_t count;
    atomic_size_t connections; /* of all loops and both ports */
    WorkerThread threads[THREADS_MAX];
};

/* --- what other threads ask of a loop --- */

static void news_on_loop(Task *task) {
    WorkerThread *t = CONTAINER(task, WorkerThread, news);
    atomic_store(&t->news_posted, false);
    int64_t held = atomic_load(&t->worker.gateway->held);
    parking_held(t->worker.parking, held);
    rpc_held(&t->worker, held);
    rpc_ready(&t->worker);
}

static void revoke_on_loop(Task *task) {
    WorkerThread *t = CONTAINER(task, WorkerThread, revoke);
    AUTO(Revoked) set = atomic_exchange(&t->revoked, NULL);
    token_cache_revoke(t->worker.tokens, set);
    sessions_revoke(t->worker.sessions, set);
}

static void look_at_drain(Timer *timer) {
    WorkerThread *t = CONTAINER(timer, WorkerThread, drain_look);
    Worker *w = &t->worker;
    sessions_drain_on(w->sessions);
    size_t left = http_server_connections(w->tls) + http_server_connections(w->plain) + w->in_flight;
    if (left && loop_now_us(w->loop) < t->drain_until_us) {
        loop_timer_set(w->loop, timer, DRAIN_LOOK_MS);
        return;
    }
    if (left) log_warn("connections cut at the end", LOG_INT("left", left));
    loop_stop(w->loop);
}

static void drain_on_loop(Task *task) {
    WorkerThread *t = CONTAINER(task, WorkerThread, drain);
    Worker *w = &t->worker;
    http_server_drain(w->tls);
    http_server_drain(w->plain);
    sessions_drain(w->sessions, w->gateway->drain_us);
    rpc_drain(w);
    t->drain_until_us = loop_now_us(w->loop) + (int64_t)DRAIN_MS * 1000;
    t->drain_look.expired = look_at_drain;
    loop_timer_set(w->loop, &t->drain_look, DRAIN_LOOK_MS);
}

/* --- opening --- */

static size_t processors(void) {
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (size_t)n;
}

/* All connections together may have the descriptors that are not needed for anything else; what is above is
 * refused by a server instead of by the kernel. */
static size_t connections_max(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur < 2 * SPARE_FILES) return SPARE_FILES;
    if (files.rlim_cur > CONNECTIONS_MAX) return CONNECTIONS_MAX;
    return (size_t)files.rlim_cur - SPARE_FILES;
}

static HttpServerOptions http_options(const ServerOptions *o, Server *s, Worker *w, bool tls) {
    return (HttpServerOptions){
        .on_request = routes_on_request,
        .on_head = routes_on_head,
        .on_refuse = routes_on_refuse,
        .body_limit_for = routes_body_limit,
        .user = w,
        .tls = tls ? o->tls : NULL,
        .body_limit = RPC_BODY,
        .connections_max = connections_max(),
        .together = &s->connections,
        .connections = counts_connections(w->counts, tls),
    };
}

/* With port 0 the first loop takes a free one and the others share it. */
static bool address_of(const char *wanted, const HttpServer *first, char out[300], Err *err) {
    const char *colon = strrchr(wanted, ':');
    if (!colon) return err_set(err, &ERR_CONFIG, "%s is no host:port", wanted);
    int len = first ? snprintf(out, 300, "%.*s:%u", (int)(colon - wanted), wanted, http_server_port(first))
                    : snprintf(out, 300, "%s", wanted);
    return len < 300 || err_set(err, &ERR_CONFIG, "an address is too long");
}

static bool listen_on(const ServerOptions *o, Server *s, Worker *w, Err *err) {
    char address[300];
    const Worker *first = s->count > 1 ? &s->threads[0].worker : NULL;
    HttpShare share = first ? HTTP_SHARED_NEXT : HTTP_SHARED_FIRST;
    HttpServerOptions tls = http_options(o, s, w, true), plain = http_options(o, s, w, false);
    return address_of(o->listen, first ? first->tls : NULL, address, err) &&
           http_server_open(w->loop, address, share, &tls, &w->tls, err) &&
           address_of(o->listen_plain, first ? first->plain : NULL, address, err) &&
           http_server_open(w->loop, address, share, &plain, &w->plain, err);
}

static bool worker_open(const ServerOptions *o, Server *s, Err *err) {
    WorkerThread *t = &s->threads[s->count++];
    Worker *w = &t->worker;
    t->news.run = news_on_loop;
    t->drain.run = drain_on_loop;
    t->revoke.run = revoke_on_loop;
    w->gateway = o->gateway;
    if (!loop_open(&w->loop, err)) return false;
    w->counts = loop_counts(s->count - 1);
    w->tokens = token_cache_new(o->gateway->tokens);
    AUTO(Revoked) revoked = revocations_set(o->gateway->revocations);
    token_cache_revoke(w->tokens, revoked);
    w->parking = parking_new();
    w->rpc = rpc_new();
    w->sessions = sessions_new(w);
    return listen_on(o, s, w, err);
}

static void show_defences(void) {
    for (Defence d = 0; d < DEFENCE_COUNT; d++) {
        char name[80];
        snprintf(name, sizeof name, "events_http_defences_total{cause=\"%s\"}", defence_name(d));
        metric_counter_at(name, "clients stopped or refused in defence, by what they did",
                          defence_counter(d));
    }
}

bool server_open(const ServerOptions *o, Server **ret, Err *err) {
    show_defences();
    size_t threads = o->threads ? o->threads : processors();
    if (threads > THREADS_MAX) return err_set(err, &ERR_CONFIG, "at most %d threads", THREADS_MAX);
    Server *s = must(calloc(1, sizeof *s));
    while (s->count < threads) {
        if (worker_open(o, s, err)) continue;
        server_free(s);
        return false;
    }
    log_info("listening", LOG_INT("port", http_server_port(s->threads[0].worker.tls)),
             LOG_INT("plainPort", http_server_port(s->threads[0].worker.plain)), LOG_INT("loops", threads));
    *ret = s;
    return true;
}

/* --- running --- */

static void *run(void *user) {
    WorkerThread *t = user;
    loop_run(t->worker.loop);
    return NULL;
}

bool server_run(Server *s, Err *err) {
    for (size_t i = 0; i < s->count; i++) {
        int failed = pthread_create(&s->threads[i].thread, NULL, run, &s->threads[i]);
        if (failed) return err_set_errno(err, &ERR_INTERNAL, failed, "loop thread");
        s->threads[i].runs = true;
    }
    return true;
}

void server_join(Server *s) {
    for (size_t i = 0; i < s->count; i++)
        if (s->threads[i].runs) pthread_join(s->threads[i].thread, NULL);
}

void server_news(Server *s) {
    for (size_t i = 0; i < s->count; i++) {
        if (!atomic_exchange(&s->threads[i].news_posted, true))
            loop_post(s->threads[i].worker.loop, &s->threads[i].news);
    }
}

/* The task is on its way for as long as a set is. */
void server_revoke(Server *s, Revoked *set) {
    for (size_t i = 0; i < s->count; i++) {
        WorkerThread *t = &s->threads[i];
        AUTO(Revoked) old = atomic_exchange(&t->revoked, revoked_ref(set));
        if (!old) loop_post(t->worker.loop, &t->revoke);
    }
}

/* --- the end --- */

void server_drain(Server *s) {
    for (size_t i = 0; i < s->count; i++) {
        if (!s->threads[i].runs || atomic_exchange(&s->threads[i].drain_posted, true)) continue;
        loop_post(s->threads[i].worker.loop, &s->threads[i].drain);
    }
}

/* What ends with them tells the other loops (presence): all of those must still be there. */
static void worker_close(Worker *w) {
    w->tls = http_server_free(w->tls);
    w->plain = http_server_free(w->plain);
}

static void worker_free(Worker *w) {
    if (w->sessions) live_stop(w->sessions), watches_stop(w->sessions->watches);
    w->loop = loop_free(w->loop);
    w->sessions = sessions_free(w->sessions);
    w->parking = parking_free(w->parking);
    w->rpc = rpc_free(w->rpc);
    w->tokens = token_cache_free(w->tokens);
}

bool server_free(Server *s) {
    if (!s) return true;
    for (size_t i = 0; i < s->count; i++)
        if (s->threads[i].worker.in_flight) return false;
    for (size_t i = 0; i < s->count; i++) worker_close(&s->threads[i].worker);
    for (size_t i = 0; i < s->count; i++) worker_free(&s->threads[i].worker);
    free(s);
    return true;
}
