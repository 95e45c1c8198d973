#include "kit/test.h"
#include "observe/metric.h"
#include "observe/trace.h"

#include <stdio.h>

#define TRACE_ID "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN_ID  "00f067aa0ba902b7"
#define INCOMING "00-" TRACE_ID "-" SPAN_ID "-01"

static const struct {
    const char *name, *text, *passed_on; /* NULL: refused */
} PARENTS[] = {
    {"plain", INCOMING, INCOMING},
    {"not sampled", "00-" TRACE_ID "-" SPAN_ID "-00", "00-" TRACE_ID "-" SPAN_ID "-00"},
    {"random id", "00-" TRACE_ID "-" SPAN_ID "-03", "00-" TRACE_ID "-" SPAN_ID "-03"},
    {"flags of the future", "00-" TRACE_ID "-" SPAN_ID "-ff", "00-" TRACE_ID "-" SPAN_ID "-03"},
    {"a later version", "cc-" TRACE_ID "-" SPAN_ID "-01", INCOMING},
    {"a later version with more", "cc-" TRACE_ID "-" SPAN_ID "-01-what-else", INCOMING},
    {"a later version with less of a dash", "cc-" TRACE_ID "-" SPAN_ID "-01.what", NULL},
    {"version 00 with more", INCOMING "-what", NULL},
    {"version ff", "ff-" TRACE_ID "-" SPAN_ID "-01", NULL},
    {"short", "00-" TRACE_ID "-" SPAN_ID "-0", NULL},
    {"empty", "", NULL},
    {"no trace", "00-00000000000000000000000000000000-" SPAN_ID "-01", NULL},
    {"no span", "00-" TRACE_ID "-0000000000000000-01", NULL},
    {"upper case", "00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN_ID "-01", NULL},
    {"no hex", "00-" TRACE_ID "-00f067aa0ba902bg-01", NULL},
    {"other separators", "00_" TRACE_ID "_" SPAN_ID "_01", NULL},
};

static void traceparents_are_read_and_written(void) {
    for (size_t i = 0; i < COUNT(PARENTS); i++) {
        TraceContext c;
        char text[TRACEPARENT_TEXT];
        bool valid = trace_parse(span_of(PARENTS[i].text), &c);
        if (valid != !!PARENTS[i].passed_on) printf("\n    %s", PARENTS[i].name);
        CHECK(valid == !!PARENTS[i].passed_on);
        if (!valid || !PARENTS[i].passed_on) continue;
        trace_format(&c, text);
        CHECK_SPAN(span_of(text), PARENTS[i].passed_on);
    }
}

static TraceContext parent_of(const char *text) {
    TraceContext c = {0};
    REQUIRE(trace_parse(span_of(text), &c));
    return c;
}

static TraceSpan *begin(TraceSpan *room) {
    TraceContext parent = parent_of(INCOMING);
    return trace_begin(room, TRACE_INTERNAL, "work", NULL, &parent);
}

static size_t take_all(TraceSpan *to, size_t most) {
    trace_finish();
    return trace_take(to, most, 0);
}

static void nothing_happens_while_it_is_off(void) {
    TraceSpan room;
    char traceparent[TRACEPARENT_TEXT] = "as it was";
    CHECK(!trace_on() && !begin(&room));
    CHECK(!trace_begin_edge(&room, TRACE_SERVER, "GET", NULL, SPAN(INCOMING), traceparent));
    CHECK_SPAN(span_of(traceparent), "as it was");
    trace_number(NULL, "a", 1);
    trace_word(NULL, "a", "b");
    trace_id(NULL, "a", SPAN("1"));
    trace_message_type(NULL, "a", SPAN("CreateProspect"));
    trace_failed(NULL, "a");
    trace_set_times(NULL, 1, 2);
    trace_end(NULL);
}

static void what_comes_in_decides(void) {
    TraceSpan room, *span;
    char traceparent[TRACEPARENT_TEXT];
    TraceContext quiet = parent_of("00-" TRACE_ID "-" SPAN_ID "-00");
    trace_start(0, 8); /* none of our own */
    span = trace_begin_edge(&room, TRACE_SERVER, "GET", "/x", SPAN(INCOMING), traceparent);
    REQUIRE(span != NULL);
    CHECK(!memcmp(span->context.trace_id, quiet.trace_id, 16) && !memcmp(span->parent, quiet.span_id, 8));
    CHECK(memcmp(span->context.span_id, quiet.span_id, 8) != 0);
    CHECK(!strncmp(traceparent, INCOMING, 36) && strncmp(traceparent, INCOMING, 52) != 0);
    CHECK(!trace_begin(&room, TRACE_CLIENT, "work", NULL, &quiet) &&
          !trace_begin(&room, TRACE_CLIENT, "work", NULL, NULL));
    CHECK(!trace_begin_edge(&room, TRACE_SERVER, "GET", "/x", SPAN("00-" TRACE_ID "-" SPAN_ID "-00"),
                            traceparent));
    CHECK_SPAN(span_of(traceparent), "00-" TRACE_ID "-" SPAN_ID "-00");
    CHECK(!trace_begin_edge(&room, TRACE_SERVER, "GET", "/x", SPAN("nonsense"), traceparent));
    CHECK(parent_of(traceparent).flags == 2);
    take_all(&room, 1);
    trace_stop();
}

/* 400 of 1000 expected; outside of 300 to 500 by chance: less than once in 10^9 runs. */
static void a_ratio_of_what_begins_here_is_recorded(void) {
    static const struct {
        double ratio;
        int least, most;
    } CASES[] = {{0, 0, 0}, {0.4, 300, 500}, {1, 1000, 1000}};
    for (size_t i = 0; i < COUNT(CASES); i++) {
        TraceSpan room;
        int recorded = 0;
        trace_start(CASES[i].ratio, 1);
        for (int n = 0; n < 1000; n++) {
            char traceparent[TRACEPARENT_TEXT];
            TraceSpan *span = trace_begin_edge(&room, TRACE_SERVER, "GET", NULL, SPAN_NONE, traceparent);
            CHECK(parent_of(traceparent).flags == (span ? 3 : 2));
            recorded += !!span;
        }
        CHECK(recorded >= CASES[i].least && recorded <= CASES[i].most);
        trace_stop();
    }
}

static void a_full_queue_drops_and_counts(void) {
    TraceSpan spans[8];
    Metric *dropped = metric_counter("events_trace_dropped_total{where=\"queue\"}", "");
    trace_start(1, 3);
    int64_t before = metric_value(dropped);
    for (int i = 0; i < 5; i++) {
        TraceSpan *span = begin(&spans[0]);
        trace_number(span, "n", i);
        trace_end(span);
    }
    CHECK(metric_value(dropped) == before + 2);
    CHECK(trace_take(spans, 2, 10000) == 2 && spans[0].attributes[0].number == 0 &&
          spans[1].attributes[0].number == 1);
    trace_end(begin(&spans[3]));
    CHECK(trace_take(spans, 8, 0) == 2 && spans[0].attributes[0].number == 2);
    trace_finish();
    trace_end(begin(&spans[3]));
    CHECK(metric_value(dropped) == before + 3);
    CHECK(!trace_take(spans, 8, 10000) && trace_wait(10000));
    trace_stop();
}

static const struct {
    const char *id, *kept;
} IDS[] = {
    {"01932c5e-7b1a-7c3d-9e4f-5a6b7c8d9e12", "01932c5e-7b1a-7c3d-9e4f-5a6b7c8d9e12"},
    {"prospect/12345", "prospect/12345"},
    {"12345", "12345"},
    {"Lovelace", NULL},
    {"ada@example.org", NULL},
    {"prospect/lovelace", NULL},
    {"lovelace/", NULL},
    {"/12", NULL},
    {"prospect/12/ada", NULL},
    {"+441632960961", NULL},
    {"123456789012345678901", NULL},
    {"lovelacelovelacelovelacelovelacelovelace/1", NULL},
    {"01932c5e-7b1a-7c3d-9e4f-5a6b7c8d9e12 ada", NULL},
};

static void only_ids_pass_as_ids(void) {
    trace_start(1, 1);
    for (size_t i = 0; i < COUNT(IDS); i++) {
        TraceSpan room, *span = begin(&room);
        trace_id(span, "id", span_of(IDS[i].id));
        const TraceAttribute *a = &span->attributes[0];
        CHECK(span->attribute_count == 1 && !!a->word != !!IDS[i].kept);
        CHECK_SPAN(span_of(a->word ? a->word : span->ids + a->id), IDS[i].kept ? IDS[i].kept : "redacted");
    }
    trace_stop();
}

/* As a name would come: in memory that was filled at run time. */
static void only_words_of_the_program_pass_as_words(void) {
    char local[16] = "Lovelace";
    AUTO_TEXT heap = strdup(local);
    TraceSpan room, *span;
    Err err = {0};
    trace_start(1, 1);
    TraceContext parent = parent_of(INCOMING);
    span = trace_begin(&room, TRACE_INTERNAL, local, heap, &parent);
    trace_word(span, "a", local);
    trace_word(span, "b", heap);
    trace_word(span, heap, "c");
    trace_number(span, local, 1);
    trace_failed(span, heap);
    CHECK_SPAN(span_of(span->verb), "redacted");
    CHECK_SPAN(span_of(span->object), "redacted");
    CHECK_SPAN(span_of(span->error), "redacted");
    for (size_t i = 0; i < 2; i++) CHECK_SPAN(span_of(span->attributes[i].word), "redacted");
    for (size_t i = 2; i < 4; i++) CHECK_SPAN(span_of(span->attributes[i].key), "redacted");
    trace_word(span, "a", "a literal");
    CHECK_SPAN(span_of(span->attributes[4].word), "a literal");
    trace_message_type(span, "type", SPAN("CreateProspect"));
    trace_message_type(span, "type", span_of(local));
    CHECK_SPAN(span_of(span->attributes[5].word), "CreateProspect");
    CHECK_SPAN(span_of(span->attributes[6].word), "unknown");
    err_set(&err, &ERR_DUPLICATE, "the e-mail of %s", local);
    trace_err(span, &err);
    CHECK_SPAN(span_of(span->error), "duplicate");
    trace_stop();
}

static void what_does_not_fit_is_counted(void) {
    TraceSpan room, *span, members[TRACE_LINKS + 4];
    TraceGroup group = {0};
    trace_start(1, 1);
    for (size_t i = 0; i < COUNT(members); i++) trace_group_add(&group, begin(&members[i]));
    trace_group_add(&group, NULL);
    span = trace_begin_group(&room, TRACE_CLIENT, "COMMIT", NULL, &group);
    REQUIRE(span != NULL);
    CHECK(!memcmp(span->parent, members[0].context.span_id, 8));
    CHECK(span->link_count == TRACE_LINKS && span->dropped_links == 3);
    CHECK(!memcmp(span->links[0].span_id, members[1].context.span_id, 8));
    for (int i = 0; i < TRACE_ATTRIBUTES + 2; i++) trace_number(span, "n", i);
    CHECK(span->attribute_count == TRACE_ATTRIBUTES && span->dropped_attributes == 2);
    span = begin(&room);
    for (int i = 0; i < 8; i++) trace_id(span, "id", SPAN("01932c5e-7b1a-7c3d-9e4f-5a6b7c8d9e12"));
    CHECK_SPAN(span_of(span->attributes[7].word), "redacted");
    group.count = 0;
    CHECK(!trace_begin_group(&room, TRACE_CLIENT, "COMMIT", NULL, &group));
    trace_stop();
}

SUITE("trace", TEST(traceparents_are_read_and_written), TEST(nothing_happens_while_it_is_off),
      TEST(what_comes_in_decides), TEST(a_ratio_of_what_begins_here_is_recorded),
      TEST(a_full_queue_drops_and_counts), TEST(only_ids_pass_as_ids),
      TEST(only_words_of_the_program_pass_as_words), TEST(what_does_not_fit_is_counted));
