/* status.c - what the operations page asks the gateway: all of it from memory, none of it for who has no
 * token. The other programs are asked at their admin addresses (peers.h), which answer from memory, too. */
#include "base/clock.h"
#include "gateway/counts.h"
#include "gateway/rest/answer.h"
#include "gateway/rest/handlers.h"
#include "observe/metric.h"
#include <stdio.h>
#include <stdlib.h>

static void member_int(JsonWriter *w, const char *name, int64_t value) {
    json_name(w, name);
    json_int(w, value);
}

static void member_text(JsonWriter *w, const char *name, Span text) {
    json_name(w, name);
    json_string(w, text);
}

static void member_position(JsonWriter *w, const char *name, int64_t position) {
    char text[24];
    member_text(w, name, (Span){text, (size_t)snprintf(text, sizeof text, "%lld", (long long)position)});
}

static void begin(JsonWriter *w, const char *name) {
    json_name(w, name);
    json_object(w);
}

static void write_traffic(JsonWriter *w, const CountsTotal *t) {
    static const char *const CLASSES[STATUS_CLASSES] = {"1xx", "2xx", "3xx", "4xx", "5xx"};
    begin(w, "connections");
    member_int(w, "tls", t->connections_tls);
    member_int(w, "plain", t->connections_plain);
    json_object_end(w);
    member_int(w, "streams", t->streams);
    begin(w, "answers");
    for (size_t i = 0; i < STATUS_CLASSES; i++) member_int(w, CLASSES[i], t->answers[i]);
    json_object_end(w);
    begin(w, "latencyUs");
    member_int(w, "calls", t->recent);
    member_int(w, "p50", t->p50_us);
    member_int(w, "p90", t->p90_us);
    member_int(w, "p99", t->p99_us);
    json_object_end(w);
}

static void write_gateway(JsonWriter *w, const Request *r) {
    const Gateway *g = r->gateway;
    ReplayHead head = hub_position(g->hub, NULL);
    CountsTotal total;
    counts_total(loop_now_us(r->worker->loop), &total);
    json_object(w);
    member_text(w, "name", SPAN("events-gateway"));
    json_name(w, "ready");
    json_bool(w, atomic_load(&g->ready));
    write_traffic(w, &total);
    begin(w, "stream");
    member_text(w, "epoch", span_of(head.epoch));
    member_position(w, "position", head.head);
    member_position(w, "held", atomic_load(&g->held));
    json_object_end(w);
    json_object_end(w);
}

/* --- the other programs --- */

static void write_peer(JsonWriter *w, const PeerReport *p) {
    json_object(w);
    json_name(w, "name");
    json_string_of(w, SPAN("events-"), span_of(p->program));
    json_name(w, "answers");
    json_bool(w, p->answers);
    json_name(w, "ready");
    json_bool(w, p->ready);
    begin(w, "metrics");
    for (size_t i = 0; i < p->count; i++) {
        json_string(w, span_of(p->metrics[i].name)); /* json_name() does not escape */
        buf_byte(w->out, ':');
        w->comma = false;
        json_int(w, p->metrics[i].value);
    }
    json_object_end(w);
    json_object_end(w);
}

/* What an operator looks for first: out of which program's report. */
static const struct {
    const char *name, *program, *metric;
} SUMMARY[] = {
    {"queueDepth", "prospects", "events_prospects_queue_waiting"},
    {"queueAgeUs", "prospects", "events_prospects_queue_age_us"},
    {"queueDeadLetters", "prospects", "events_prospects_dead_letters"},
    {"outboxLag", "relay", "events_relay_backlog"},
    {"deliveryLag", "grid", "events_grid_delivery_lag"},
    {"deliveryDeadLetters", "grid", "events_grid_dead_letters"},
};

/* null: nobody can say. */
static void write_summary(JsonWriter *w, const PeerReport *reports) {
    begin(w, "summary");
    for (size_t i = 0; i < COUNT(SUMMARY); i++) {
        int64_t value;
        bool found = false;
        for (size_t p = 0; p < PEERS && !found; p++)
            found = !strcmp(reports[p].program, SUMMARY[i].program) &&
                    peer_report_find(&reports[p], SUMMARY[i].metric, &value) && value >= 0;
        json_name(w, SUMMARY[i].name);
        if (found)
            json_int(w, value);
        else
            json_null(w);
    }
    json_object_end(w);
}

typedef struct Status {
    PeersJob job;
    Request *request;
} Status;

static void status_known(PeersJob *job) {
    Status *s = CONTAINER(job, Status, job);
    Request *r = s->request;
    Answer a = {.media_type = "application/json"};
    JsonWriter w = json_writer(&a.body);
    r->worker->in_flight--;
    json_object(&w);
    json_name(&w, "time");
    json_time(&w, clock_now_us());
    write_summary(&w, job->reports);
    json_name(&w, "programs");
    json_array(&w);
    write_gateway(&w, r);
    for (size_t i = 0; i < PEERS; i++) write_peer(&w, &job->reports[i]);
    json_array_end(&w);
    json_object_end(&w);
    free(s);
    answer_send(r, &a);
}

void rest_status(Request *r) {
    Status *s = must(calloc(1, sizeof *s));
    Err err = {0};
    s->job.done = status_known;
    s->request = r;
    if (peers_ask(r->gateway->peers, r->worker->loop, &s->job, &err)) {
        r->worker->in_flight++;
        return;
    }
    free(s);
    answer_err(r, &err);
}

void rest_metrics(Request *r) {
    Answer a = {.media_type = "text/plain; version=0.0.4; charset=utf-8"};
    metrics_write(&a.body);
    answer_send(r, &a);
}
