/* peers.c - one thread asks one program after the other, each with a short time; those who ask meanwhile, and
 * for a second after it, get the same reports. */
#include "gateway/peers.h"

#include "base/clock.h"
#include "net/http_client.h"
#include "service/admin_file.h"
#include <stdio.h>
#include <stdlib.h>

enum { ASKING_MAX = 64, CONNECT_MS = 250, ANSWER_MS = 500, ANSWER_MAX = 256 << 10, FRESH_US = 1000000 };

static const char *const PROGRAMS[PEERS] = {"prospects", "relay", "grid", "projection"};

struct Peers {
    Pool *pool;
    const char *home;
};

/* The thread's own. */
typedef struct Asker {
    const char *home;
    HttpClient *client; /* NULL: could not be made */
    int64_t asked_us;   /* 0: never */
    PeerReport reports[PEERS];
} Asker;

/* --- reports --- */

static bool read_value(Span text, int64_t *ret) {
    bool negative = text.len && *text.at == '-';
    uint64_t value;
    if (!span_to_u64((Span){text.at + negative, text.len - negative}, INT64_MAX, &value)) return false;
    *ret = negative ? -(int64_t)value : (int64_t)value;
    return true;
}

static bool is_printable(Span text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < 0x20 || text.at[i] > 0x7e) return false;
    return text.len;
}

/* Labels may hold spaces: the value stands behind the last one. */
static void read_line(PeerReport *report, Span line) {
    size_t at = line.len;
    while (at && line.at[at - 1] != ' ') at--;
    int64_t value;
    if (!at || *line.at == '#' || !read_value((Span){line.at + at, line.len - at}, &value)) return;
    Span name = {line.at, at - 1};
    char own[64];
    snprintf(own, sizeof own, "events_program_ready{program=\"%s\"}", report->program);
    if (span_is(name, own)) {
        report->answers = true;
        report->ready = value;
        return;
    }
    if (report->count == PEER_METRICS) return;
    PeerMetric *m = &report->metrics[report->count];
    if (!is_printable(name) || !span_copy(name, m->name, sizeof m->name)) return;
    m->value = value;
    report->count++;
}

void peer_report_read(PeerReport *report, Span metrics) {
    *report = (PeerReport){.program = report->program};
    while (metrics.at) read_line(report, span_split(metrics, '\n', &metrics));
    if (!report->answers) report->count = 0; /* somebody else has that address now */
}

bool peer_report_find(const PeerReport *report, const char *name, int64_t *ret) {
    size_t len = strlen(name);
    bool found = false;
    for (size_t i = 0; i < report->count; i++) {
        const PeerMetric *m = &report->metrics[i];
        if (strncmp(m->name, name, len) || (m->name[len] && m->name[len] != '{')) continue;
        if (!found || m->value > *ret) *ret = m->value;
        found = true;
    }
    return found;
}

/* --- asking --- */

static void ask(Asker *a, PeerReport *report) {
    char address[ADMIN_ADDRESS], url[ADMIN_ADDRESS + 20];
    const HttpReply *reply;
    Err err = {0};
    *report = (PeerReport){.program = report->program};
    if (!a->client || !admin_file_read(a->home, report->program, address)) return;
    snprintf(url, sizeof url, "http://%s/metrics", address);
    if (http_client_call(a->client, "GET", url, NULL, SPAN_NONE, &reply, &err) && reply->status == 200)
        peer_report_read(report, buf_view(&reply->body));
}

static void run(Job *job, void *context) {
    PeersJob *j = CONTAINER(job, PeersJob, job);
    Asker *a = context;
    if (!a->asked_us || clock_mono_us() - a->asked_us > FRESH_US) {
        for (size_t i = 0; i < PEERS; i++) ask(a, &a->reports[i]);
        a->asked_us = clock_mono_us();
    }
    memcpy(j->reports, a->reports, sizeof j->reports);
}

static void back(Job *job) {
    PeersJob *j = CONTAINER(job, PeersJob, job);
    j->done(j);
}

bool peers_ask(Peers *p, Loop *home, PeersJob *j, Err *err) {
    j->job = (Job){.run = run, .done = back};
    return pool_submit(p->pool, home, &j->job, err);
}

static void *asker_open(void *user) {
    const Peers *p = user;
    Err err = {0};
    Asker *a = must(calloc(1, sizeof *a));
    a->home = p->home;
    for (size_t i = 0; i < PEERS; i++) a->reports[i].program = PROGRAMS[i];
    http_client_open(
        &(HttpClientOptions){.connect_ms = CONNECT_MS, .total_ms = ANSWER_MS, .answer_limit = ANSWER_MAX},
        &a->client, &err);
    return a;
}

static void asker_close(void *context) {
    Asker *a = context;
    http_client_free(a->client);
    free(a);
}

bool peers_open(const char *home, Peers **ret, Err *err) {
    AUTO(Peers) p = must(calloc(1, sizeof *p));
    p->home = home;
    const PoolOptions options = {.name = "peers",
                                 .threads = 1,
                                 .bound = ASKING_MAX,
                                 .context_open = asker_open,
                                 .context_close = asker_close,
                                 .user = p};
    if (!pool_open(&options, &p->pool, err)) return false;
    *ret = p;
    p = NULL;
    return true;
}

Peers *peers_free(Peers *p) {
    if (!p) return NULL;
    pool_free(p->pool);
    free(p);
    return NULL;
}
