/* What the other programs of this machine tell of themselves at their admin addresses. They are asked when
 * somebody wants to know, at most once a second, and never otherwise. */
#pragma once
#include "base/auto.h"
#include "base/span.h"
#include "io/pool.h"

enum { PEERS = 4, PEER_METRICS = 64, PEER_METRIC_NAME = 96 };

typedef struct PeerMetric {
    char name[PEER_METRIC_NAME]; /* with its labels */
    int64_t value;
} PeerMetric;
typedef struct PeerReport {
    const char *program; /* "relay" */
    bool answers, ready;
    size_t count;
    PeerMetric metrics[PEER_METRICS]; /* counters and gauges; further ones are left out */
} PeerReport;

typedef struct Peers Peers;
bool peers_open(const char *home, Peers **ret, Err *err); /* home: borrowed */
Peers *peers_free(Peers *peers);
AUTO_FREE(Peers, peers_free)

typedef struct PeersJob {
    void (*done)(struct PeersJob *job); /* on the loop, exactly once */
    PeerReport reports[PEERS];
    Job job; /* its own */
} PeersJob;
/* False: too many ask. done() comes within about two seconds, whatever the programs do. */
bool peers_ask(Peers *peers, Loop *home, PeersJob *job, Err *err);

/* Fills a report from what /metrics answers. Pure. */
void peer_report_read(PeerReport *report, Span metrics);
/* By the name without labels; the highest where there are several. False where there is none. */
bool peer_report_find(const PeerReport *report, const char *name, int64_t *ret);
