/* status.c - what the operations page asks the gateway: all of it from memory, none of it for who has no
 * token. Of the other programs only what they have told: up to which number the projection holds everything.
 */
#include "base/clock.h"
#include "gateway/counts.h"
#include "gateway/rest/answer.h"
#include "gateway/rest/handlers.h"
#include "observe/metric.h"
#include <stdio.h>

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

void rest_status(Request *r) {
    Answer a = {.media_type = "application/json"};
    char now[CLOCK_TEXT];
    size_t len = clock_format(clock_now_us(), now);
    JsonWriter w = json_writer(&a.body);
    json_object(&w);
    member_text(&w, "time", (Span){now, len});
    json_name(&w, "programs");
    json_array(&w);
    write_gateway(&w, r);
    json_array_end(&w);
    json_object_end(&w);
    answer_send(r, &a);
}

void rest_metrics(Request *r) {
    Answer a = {.media_type = "text/plain; version=0.0.4; charset=utf-8"};
    metrics_write(&a.body);
    answer_send(r, &a);
}
