/* far_bells.c - a mailbox and a thread for each peer.
 *
 * "work", "last" and "held" say how things stand, so the newest replaces the older one; "revoked" says always the
 * same; repairs are kept, up
 * to a bound, and what does not fit is asked for again by the projection itself. Names are resolved for each
 * delivery, so that a service that gets another address is found. */
#include "service/far_bells.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/uuid.h"
#include "net/http_client.h"
#include "observe/metric.h"
#include "service/ring_wire.h"
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum {
    PEERS_MAX = 16,
    ADDRESSES_MAX = 32,
    REPAIRS_MAX = 64,
    BACK_OFF_MS = 100,
    BACK_OFF_MAX_MS = 30000,
    CALL_MS = 5000,
    TRIES_BESIDE = 5, /* for an address that is deaf while another one of its name hears */
};

typedef struct Letter {
    char state[RING_TEXT]; /* "": none */
    bool revoked;
    char repairs[REPAIRS_MAX][RING_TEXT];
    size_t repair_count;
} Letter;

typedef struct Peer {
    FarBells *bells;
    char program[32], host[256], port[8];
    HttpClient *client;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t news;
    Letter waiting; /* under the lock */
    bool busy;      /* a letter is out; the same */
    bool started;
} Peer;

struct FarBells {
    Peer peers[PEERS_MAX];
    size_t count;
    char authorization[1100];
    atomic_bool ending;
    Metric *failed;
};

/* ---- one delivery ---- */

static bool post(Peer *p, const char *address, const char *ring, Err *err) {
    AUTO_BUF body = {0};
    const char *path;
    char url[400], host[300];
    const HttpReply *reply;
    if (!ring_to_request(span_of(ring), &path, &body)) return true;
    snprintf(url, sizeof url, "http://%s:%s%s", address, p->port, path);
    snprintf(host, sizeof host, "Host: %s:%s", p->host, p->port);
    const char *const headers[] = {"Content-Type: application/json", p->bells->authorization, host, NULL};
    if (!http_client_call(p->client, "POST", url, headers, buf_view(&body), &reply, err)) return false;
    if (reply->status >= 200 && reply->status < 300) return true;
    return err_set(err, &ERR_UNAVAILABLE, "the answer was %d", reply->status);
}

static bool post_all(Peer *p, const char *address, const Letter *letter, Err *err) {
    if (*letter->state && !post(p, address, letter->state, err)) return false;
    if (letter->revoked && !post(p, address, "revoked", err)) return false;
    for (size_t i = 0; i < letter->repair_count; i++)
        if (!post(p, address, letter->repairs[i], err)) return false;
    return true;
}

static bool address_text(const struct addrinfo *at, char out[80]) {
    char host[64];
    if (getnameinfo(at->ai_addr, at->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST)) return false;
    snprintf(out, 80, at->ai_family == AF_INET6 ? "[%s]" : "%s", host);
    return true;
}

/* Everybody behind the name; one that does not answer keeps the ring from no other. *heard: somebody did. */
static bool deliver(Peer *p, const Letter *letter, bool *heard, Err *err) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int count = 0, failed = getaddrinfo(p->host, p->port, &hints, &found);
    if (failed) return err_set(err, &ERR_UNAVAILABLE, "%s: %s", p->host, gai_strerror(failed));
    for (struct addrinfo *at = found; at && count < ADDRESSES_MAX; at = at->ai_next, count++) {
        char address[80];
        Err why = {0};
        if (!address_text(at, address)) continue;
        if (post_all(p, address, letter, &why)) {
            *heard = true;
            continue;
        }
        err_clear(err);
        err_set(err, why.kind, "%s: %s", address, why.why);
    }
    freeaddrinfo(found);
    return !err->kind;
}

/* ---- a peer's thread ---- */

static bool is_empty(const Letter *letter) {
    return !*letter->state && !letter->revoked && !letter->repair_count;
}

/* What is newer stays. */
static void put_back(Peer *p, const Letter *letter) {
    pthread_mutex_lock(&p->lock);
    Letter *w = &p->waiting;
    if (!*w->state) memcpy(w->state, letter->state, sizeof w->state);
    w->revoked |= letter->revoked;
    for (size_t i = 0; i < letter->repair_count && w->repair_count < REPAIRS_MAX; i++)
        memcpy(w->repairs[w->repair_count++], letter->repairs[i], RING_TEXT);
    pthread_mutex_unlock(&p->lock);
}

/* False at the end. */
static bool take(Peer *p, Letter *letter) {
    pthread_mutex_lock(&p->lock);
    p->busy = false;
    while (is_empty(&p->waiting) && !atomic_load(&p->bells->ending)) pthread_cond_wait(&p->news, &p->lock);
    *letter = p->waiting;
    p->waiting = (Letter){0};
    p->busy = true;
    pthread_mutex_unlock(&p->lock);
    return !atomic_load(&p->bells->ending);
}

/* Until then, or the end; a new ring does not hurry one who does not answer. */
static void pause_ms(Peer *p, int64_t ms) {
    struct timespec end = clock_deadline(ms);
    pthread_mutex_lock(&p->lock);
    while (!atomic_load(&p->bells->ending) && !pthread_cond_timedwait(&p->news, &p->lock, &end)) continue;
    pthread_mutex_unlock(&p->lock);
}

static void back_off(Peer *p, unsigned failures, const Err *why) {
    uint32_t random;
    int64_t most = BACK_OFF_MS;
    for (unsigned i = 1; i < failures && most < BACK_OFF_MAX_MS; i++) most *= 2;
    if (most > BACK_OFF_MAX_MS) most = BACK_OFF_MAX_MS;
    random_bytes(&random, sizeof random);
    metric_add(p->bells->failed, 1);
    bool telling = !(failures & (failures - 1)); /* 1st, 2nd, 4th, 8th ... */
    log_at(telling ? LOG_WARN : LOG_DEBUG, "a peer does not hear its bell", LOG_TEXT("peer", p->program),
           LOG_INT("failures", failures), LOG_ERR(why));
    pause_ms(p, BACK_OFF_MS / 10 + random % most);
}

static void *peer_thread(void *user) {
    Peer *p = user;
    Letter *letter = must(calloc(1, sizeof *letter));
    for (unsigned failures = 0; take(p, letter);) {
        Err err = {0};
        bool heard = false, all = deliver(p, letter, &heard, &err);
        if (atomic_load(&p->bells->ending)) break;
        failures = all || (heard && failures >= TRIES_BESIDE) ? 0 : failures + 1;
        if (!failures) continue;
        put_back(p, letter);
        back_off(p, failures, &err);
    }
    free(letter);
    return NULL;
}

/* ---- opening ---- */

static bool is_program(Span name) {
    static const char *const PROGRAMS[] = {"gateway", "prospects", "relay", "projection"};
    for (size_t i = 0; i < COUNT(PROGRAMS); i++)
        if (span_is(name, PROGRAMS[i])) return true;
    return false;
}

static bool split_address(Span address, Peer *p) {
    size_t colon = address.len;
    uint64_t port;
    while (colon && address.at[colon - 1] != ':') colon--;
    if (colon < 2) return false;
    Span host = {address.at, colon - 1}, digits = {address.at + colon, address.len - colon};
    if (span_starts(host, SPAN("[")) && span_ends(host, SPAN("]"))) host = (Span){host.at + 1, host.len - 2};
    return host.len && span_copy(host, p->host, sizeof p->host) && span_to_u64(digits, 65535, &port) &&
           port && span_copy(digits, p->port, sizeof p->port);
}

static bool start_peer(FarBells *bells, Span text, Err *err) {
    Span address, name = span_trim(span_split(text, '=', &address));
    if (bells->count == PEERS_MAX) return err_set(err, &ERR_CONFIG, "EVENTS_PEERS names too many");
    Peer *p = &bells->peers[bells->count];
    p->bells = bells;
    if (!is_program(name) || !span_copy(name, p->program, sizeof p->program) ||
        !split_address(span_trim(address), p))
        return err_set(err, &ERR_CONFIG,
                       "EVENTS_PEERS is program=host:port,... of gateway, prospects, relay, projection");
    const HttpClientOptions options = {.connect_ms = CALL_MS, .total_ms = CALL_MS};
    if (!http_client_open(&options, &p->client, err)) return false;
    clock_cond_init(&p->news);
    pthread_mutex_init(&p->lock, NULL);
    bells->count++;
    int failed = pthread_create(&p->thread, NULL, peer_thread, p);
    if (failed) return err_set_errno(err, &ERR_UNAVAILABLE, failed, "a peer's thread");
    pthread_setname_np(p->thread, "far-bell");
    return p->started = true;
}

bool far_bells_open(const char *peers, const char *secret, FarBells **ret, Err *err) {
    AUTO(FarBells) bells = must(calloc(1, sizeof *bells));
    Span rest, first = span_trim(span_split(span_of(secret), ',', &rest));
    bells->failed = metric_counter("events_far_rings_failed_total", "Rings that a peer did not answer");
    snprintf(bells->authorization, sizeof bells->authorization, "Authorization: Bearer %.*s",
             SPAN_ARGS(first));
    for (rest = span_of(peers); rest.at && rest.len;)
        if (!start_peer(bells, span_split(rest, ',', &rest), err)) return false;
    *ret = bells;
    bells = NULL;
    return true;
}

FarBells *far_bells_free(FarBells *bells) {
    if (!bells) return NULL;
    atomic_store(&bells->ending, true);
    for (size_t i = 0; i < bells->count; i++) {
        Peer *p = &bells->peers[i];
        http_client_interrupt(p->client);
        pthread_mutex_lock(&p->lock);
        pthread_cond_broadcast(&p->news);
        pthread_mutex_unlock(&p->lock);
        if (p->started) pthread_join(p->thread, NULL);
        pthread_cond_destroy(&p->news);
        pthread_mutex_destroy(&p->lock);
    }
    for (size_t i = 0; i < PEERS_MAX; i++) http_client_free(bells->peers[i].client);
    free(bells);
    return NULL;
}

/* ---- ringing ---- */

static void drop_in(Peer *p, Span ring) {
    pthread_mutex_lock(&p->lock);
    Letter *w = &p->waiting;
    char *to = w->state;
    if (span_is(ring, "revoked")) {
        w->revoked = true;
        to = NULL;
    }
    if (span_starts(ring, SPAN("repair ")))
        to = w->repair_count < REPAIRS_MAX ? w->repairs[w->repair_count++] : NULL;
    if (to && !span_copy(ring, to, RING_TEXT)) *to = 0;
    pthread_cond_signal(&p->news);
    pthread_mutex_unlock(&p->lock);
}

bool far_bells_ring(void *user, const char *program, const char *ring) {
    FarBells *bells = user;
    AUTO_BUF body = {0};
    const char *path;
    bool taken = false;
    if (!ring_to_request(span_of(ring), &path, &body)) return false;
    for (size_t i = 0; i < bells->count; i++) {
        if (strcmp(bells->peers[i].program, program)) continue;
        drop_in(&bells->peers[i], span_of(ring));
        taken = true;
    }
    return taken;
}

static bool is_quiet(Peer *p) {
    pthread_mutex_lock(&p->lock);
    bool quiet = !p->busy && is_empty(&p->waiting);
    pthread_mutex_unlock(&p->lock);
    return quiet;
}

bool far_bells_settle(FarBells *bells, int64_t ms) {
    const struct timespec pause = {.tv_nsec = 5000000};
    int64_t end_us = clock_mono_us() + ms * 1000;
    for (size_t i = 0; i < bells->count; i++) {
        while (!is_quiet(&bells->peers[i])) {
            if (clock_mono_us() >= end_us) return false;
            nanosleep(&pause, NULL);
        }
    }
    return true;
}
