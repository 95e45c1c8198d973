#include "base/clock.h"
#include "kit/test.h"
#include "observe/metric.h"
#include "observe/otlp.h"

#include <pthread.h>
#include <stdio.h>

/* --- the bytes --- */

static TraceSpan sample(void) {
    TraceSpan s = {
        .context = {.flags = 1}, .kind = TRACE_SERVER, .verb = "GET", .object = "/x", .began_us = 2};
    memset(s.context.trace_id, 0xaa, sizeof s.context.trace_id);
    memset(s.context.span_id, 0xbb, sizeof s.context.span_id);
    s.took_us = 3;
    return s;
}

#define ID_16    "\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa"
#define ID_8     "\xbb\xbb\xbb\xbb\xbb\xbb\xbb\xbb"
#define PARENT   "\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc"
#define IDS      "\x0a\x10" ID_16 "\x12\x08" ID_8
#define NAME     "\x2a\x06GET /x\x30\x02"
#define TIMES    "\x39\xd0\x07\0\0\0\0\0\0\x41\x88\x13\0\0\0\0\0\0"
#define FLAGS    "\x85\x01\x01\0\0\0"
#define RESOURCE "\x0a\x13\x0a\x0cservice.name\x12\x03\x0a\x01s"
#define SCOPE                                                                                                \
    "\x0a\x08\x0a\x06"                                                                                       \
    "events"
#define BYTES(s) s, sizeof(s) - 1

static void check_request(const TraceSpan *span, const char *want, size_t len) {
    AUTO_BUF resource = {0}, out = {0};
    Err err = {0};
    CHECK_OK(otlp_write_resource("s", NULL, &resource, &err), &err);
    otlp_write_request(buf_view(&resource), span, 1, &out);
    CHECK(!out.failed && out.len == len && !memcmp(out.at, want, len));
    if (out.len == len && memcmp(out.at, want, len) == 0) return;
    printf("\n    got (%zu)", out.len);
    for (size_t i = 0; i < out.len; i++) printf(" %02x", (unsigned char)out.at[i]);
}

static void a_plain_span(void) {
    TraceSpan s = sample();
    check_request(&s, BYTES("\x0a\x63\x0a\x15" RESOURCE "\x12\x4a" SCOPE "\x12\x3e" IDS NAME TIMES FLAGS));
}

static void a_span_with_everything(void) {
    TraceSpan s = sample();
    memset(s.parent, 0xcc, sizeof s.parent);
    s.error = "500";
    s.ids_used = 1;
    s.attribute_count = 3;
    s.attributes[0] = (TraceAttribute){.key = "a", .word = "b"};
    s.attributes[1] = (TraceAttribute){.key = "i", .id = 1};
    memcpy(s.ids + 1, "x/7", 4);
    s.attributes[2] = (TraceAttribute){.key = "n", .number = 300};
    s.dropped_attributes = 4;
    s.dropped_links = 5;
    s.link_count = 1;
    s.links[0] = s.context;
    check_request(&s, BYTES("\x0a\xcf\x01\x0a\x15" RESOURCE "\x12\xb5\x01" SCOPE "\x12\xa8\x01" IDS
                            "\x22\x08" PARENT NAME TIMES "\x4a\x08\x0a\x01"
                            "a\x12\x03\x0a\x01"
                            "b"
                            "\x4a\x0a\x0a\x01"
                            "i\x12\x05\x0a\x03x/7"
                            "\x4a\x08\x0a\x01"
                            "n\x12\x03\x18\xac\x02"
                            "\x50\x04"
                            "\x6a\x21\x0a\x10" ID_16 "\x12\x08" ID_8 "\x35\x01\0\0\0"
                            "\x70\x05"
                            "\x4a\x13\x0a\x0a"
                            "error.type\x12\x05\x0a\x03"
                            "500"
                            "\x7a\x02\x18\x02" FLAGS));
}

static const struct {
    const char *list, *written; /* behind service.name; NULL: refused */
    size_t len;
} RESOURCES[] = {
    {"", BYTES("")},
    {"a=b", BYTES("\x0a\x08\x0a\x01"
                  "a\x12\x03\x0a\x01"
                  "b")},
    {" a = b%2C%20c ", BYTES("\x0a\x0b\x0a\x01"
                             "a\x12\x06\x0a\x04"
                             "b, c")},
    {"service.name=other,a=", BYTES("\x0a\x07\x0a\x01"
                                    "a\x12\x02\x0a\x00")},
    {"a", NULL, 0},
    {"=b", NULL, 0},
    {"a=%2", NULL, 0},
    {"a=%zz", NULL, 0},
};

static void resources_are_read_from_the_setting(void) {
    for (size_t i = 0; i < COUNT(RESOURCES); i++) {
        AUTO_BUF out = {0};
        Err err = {0};
        bool ok = otlp_write_resource("s", RESOURCES[i].list, &out, &err);
        CHECK(ok == !!RESOURCES[i].written && (ok || err_is(&err, &ERR_CONFIG)));
        size_t head = sizeof(RESOURCE) - 1, len = RESOURCES[i].len;
        if (ok) CHECK(out.len == head + len && !memcmp(out.at + head, RESOURCES[i].written, len));
    }
}

static void answers_are_understood(void) {
    static const struct {
        int status;
        OtlpVerdict verdict;
    } CASES[] = {{200, OTLP_DONE},  {202, OTLP_DONE},  {0, OTLP_AGAIN},  {429, OTLP_AGAIN}, {502, OTLP_AGAIN},
                 {503, OTLP_AGAIN}, {504, OTLP_AGAIN}, {400, OTLP_LOST}, {401, OTLP_LOST},  {404, OTLP_LOST},
                 {413, OTLP_LOST},  {500, OTLP_LOST},  {302, OTLP_LOST}};
    for (size_t i = 0; i < COUNT(CASES); i++) CHECK(otlp_verdict(CASES[i].status) == CASES[i].verdict);
    CHECK(otlp_rejected_spans(SPAN("\x0a\x06\x08\x07\x12\x02no")) == 7);
    CHECK(otlp_rejected_spans(SPAN("\x0a\x04\x12\x02no")) == 0);
    CHECK(otlp_rejected_spans(SPAN("")) == 0 && otlp_rejected_spans(SPAN("\x0a\x7f\x08")) == 0);
    CHECK(otlp_rejected_spans(SPAN("<html>")) == 0);
}

/* --- the exporter, against a collector that answers from a list --- */

typedef struct Collector {
    pthread_mutex_t lock;
    const OtlpReply *answers; /* the last one for ever */
    size_t answer_count, calls;
    size_t spans;      /* of requests that were answered 200 */
    int64_t at_us[16]; /* of the calls */
    bool hangs, interrupted;
} Collector;

static size_t count_spans(Span request) {
    static const char MARK[] = "\x2a\x04work";
    size_t count = 0;
    for (const char *at = request.at, *end = at + request.len;
         (at = memmem(at, (size_t)(end - at), MARK, sizeof MARK - 1)); at++)
        count++;
    return count;
}

static bool is_interrupted(Collector *c) {
    pthread_mutex_lock(&c->lock);
    bool yes = c->interrupted;
    pthread_mutex_unlock(&c->lock);
    return yes;
}

static OtlpReply collect(void *user, Span body) {
    Collector *c = user;
    while (c->hangs && !is_interrupted(c)) clock_sleep_ms(1);
    pthread_mutex_lock(&c->lock);
    size_t at = c->calls < c->answer_count ? c->calls : c->answer_count - 1;
    OtlpReply reply = c->hangs ? (OtlpReply){0} : c->answers[at];
    if (c->calls < COUNT(c->at_us)) c->at_us[c->calls] = clock_mono_us();
    c->calls++;
    if (reply.status == 200) c->spans += count_spans(body);
    pthread_mutex_unlock(&c->lock);
    return reply;
}

static void interrupt(void *user) {
    Collector *c = user;
    pthread_mutex_lock(&c->lock);
    c->interrupted = true;
    pthread_mutex_unlock(&c->lock);
}

static Otlp *start(Collector *c, size_t queue, size_t batch) {
    Otlp *otlp = NULL;
    Err err = {0};
    pthread_mutex_init(&c->lock, NULL);
    const OtlpOptions options = {.service_name = "s",
                                 .ratio = 1,
                                 .queue = queue,
                                 .batch = batch,
                                 .gather_ms = 1,
                                 .retry_ms = 1,
                                 .send = collect,
                                 .interrupt = interrupt,
                                 .user = c};
    REQUIRE(CHECK_OK(otlp_open(&options, &otlp, &err), &err));
    return otlp;
}

static void record(size_t count) {
    for (size_t i = 0; i < count; i++) {
        TraceSpan room;
        char traceparent[TRACEPARENT_TEXT];
        trace_end(trace_begin_edge(&room, TRACE_SERVER, "work", NULL, SPAN_NONE, traceparent));
    }
}

static size_t calls_of(Collector *c) {
    pthread_mutex_lock(&c->lock);
    size_t calls = c->calls;
    pthread_mutex_unlock(&c->lock);
    return calls;
}

static void wait_for_calls(Collector *c, size_t calls) {
    for (int i = 0; i < 20000 && calls_of(c) < calls; i++) clock_sleep_ms(1);
    CHECK(calls_of(c) >= calls);
}

static int64_t value(const char *name) {
    return metric_value(metric_counter(name, ""));
}
#define EXPORTED "events_trace_exported_total"
#define LOST     "events_trace_dropped_total{where=\"export\"}"

static void all_spans_arrive_in_batches(void) {
    static const OtlpReply ANSWERS[] = {{.status = 200}};
    Collector c = {.answers = ANSWERS, .answer_count = 1};
    int64_t before = value(EXPORTED);
    Otlp *otlp = start(&c, 100, 10);
    CHECK(trace_on());
    record(95);
    CHECK(otlp_close(otlp, 60000) == NULL);
    CHECK(c.spans == 95 && c.calls >= 10 && value(EXPORTED) == before + 95);
    CHECK(!trace_on());
    record(1);
}

static void what_may_pass_is_tried_again(void) {
    static const OtlpReply ANSWERS[] = {
        {.status = 503}, {.status = 429, .retry_after_ms = 80}, {.status = 0}, {.status = 200}};
    Collector c = {.answers = ANSWERS, .answer_count = COUNT(ANSWERS)};
    int64_t lost = value(LOST);
    Otlp *otlp = start(&c, 100, 10);
    record(3);
    wait_for_calls(&c, 4);
    otlp_close(otlp, 60000);
    CHECK(c.spans == 3 && c.calls == 4 && value(LOST) == lost);
    CHECK(c.at_us[2] - c.at_us[1] >= 80000);
}

static void what_is_refused_is_lost_and_counted(void) {
    static const OtlpReply ANSWERS[] = {
        {.status = 400}, {.status = 200, .body = {"\x0a\x02\x08\x02", 4}}, {.status = 503}};
    Collector c = {.answers = ANSWERS, .answer_count = COUNT(ANSWERS)};
    int64_t lost = value(LOST), exported = value(EXPORTED);
    Otlp *otlp = start(&c, 100, 10);
    record(4);
    wait_for_calls(&c, 1);
    CHECK(otlp_close(otlp, 60000) == NULL);
    size_t first = c.calls; /* the four may have gone in several batches; only the sums are certain */
    CHECK(first >= 1 && value(LOST) + value(EXPORTED) == lost + exported + 4 && value(LOST) > lost);
}

static void a_collector_that_hangs_holds_nothing_up(void) {
    static const OtlpReply ANSWERS[] = {{.status = 200}};
    Collector c = {.answers = ANSWERS, .answer_count = 1, .hangs = true};
    int64_t dropped = value("events_trace_dropped_total{where=\"queue\"}"), lost = value(LOST);
    Otlp *otlp = start(&c, 20, 10);
    record(1000);
    CHECK(value("events_trace_dropped_total{where=\"queue\"}") >= dropped + 1000 - 30);
    otlp_close(otlp, 30);
    CHECK(is_interrupted(&c) && value(LOST) > lost);
}

SUITE("otlp", TEST(a_plain_span), TEST(a_span_with_everything), TEST(resources_are_read_from_the_setting),
      TEST(answers_are_understood), TEST(all_spans_arrive_in_batches), TEST(what_may_pass_is_tried_again),
      TEST(what_is_refused_is_lost_and_counted), TEST(a_collector_that_hangs_holds_nothing_up));
