#include "app/event_trace.h"
#include "kit/test.h"
#include "wire/envelope.h"
#include "wire/message.h"

#define TRACE_ID "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN_ID  "00f067aa0ba902b7"
#define PARENT   "00-" TRACE_ID "-" SPAN_ID "-01"
#define QUIET    "00-" TRACE_ID "-" SPAN_ID "-00"

static const EventStep STEP = {.kind = TRACE_PRODUCER,
                               .verb = "deliver",
                               .type = "send",
                               .system = "eventgrid",
                               .destination = TRACE_TOPIC,
                               .began_us = 1000,
                               .ended_us = 1500,
                               .together = 2,
                               .status = 200};

/* The spans that were recorded since trace_start(). */
static size_t recorded(TraceSpan *spans, size_t most) {
    trace_finish();
    size_t count = trace_take(spans, most, 0);
    trace_stop();
    return count;
}

static Span value_of(const TraceSpan *s, const char *key) {
    for (size_t i = 0; i < s->attribute_count; i++) {
        const TraceAttribute *a = &s->attributes[i];
        if (!strcmp(a->key, key)) return span_of(a->word ? a->word : a->id ? s->ids + a->id : "a number");
    }
    return SPAN("absent");
}

static const struct {
    const char *json;
    size_t spans;
} TEXTS[] = {
    {"{\"id\":\"1\",\"traceparent\":\"" PARENT "\",\"data\":{}}", 1},
    {"[{\"traceparent\":\"" PARENT "\"},{\"traceparent\":\"" QUIET "\"},{\"traceparent\" : \"" PARENT "\"}]",
     2},
    {"{\"data\":{\"notes\":\"\\\"traceparent\\\":\\\"" PARENT "\\\"\"}}", 0},
    {"{\"traceparent\":\"nonsense\",\"id\":\"" PARENT "\"}", 0},
    {"{\"traceparent\":\"00-4bf9", 0},
    {"{\"traceparent\"", 0},
    {"{\"traceparent\":null}", 0},
    {"", 0},
};

static void stored_json_is_searched_for_its_traces(void) {
    for (size_t i = 0; i < COUNT(TEXTS); i++) {
        TraceSpan spans[4];
        trace_start(1, 4);
        event_step_json(&STEP, span_of(TEXTS[i].json));
        CHECK(recorded(spans, 4) == TEXTS[i].spans);
    }
}

static Events__V1__Envelope event_with(const char *traceparent) {
    Events__V1__Envelope e = EVENTS__V1__ENVELOPE__INIT;
    e.event_id = message_text("01932c5e-7b1a-7c3d-9e4f-5a6b7c8d9e12");
    e.event_type = message_text("ProspectCreated");
    e.subject = message_text("prospect/7");
    e.sequence = 9;
    e.traceparent = message_text(traceparent);
    return e;
}

static void check_span(const TraceSpan *s) {
    CHECK(s->began_us == 1000 && s->took_us == 500 && s->kind == TRACE_PRODUCER && !s->error);
    CHECK_SPAN(value_of(s, "messaging.message.id"), "01932c5e-7b1a-7c3d-9e4f-5a6b7c8d9e12");
    CHECK_SPAN(value_of(s, "cloudevents.event_type"), "ProspectCreated");
    CHECK_SPAN(value_of(s, "cloudevents.event_subject"), "prospect/7");
    CHECK_SPAN(value_of(s, "messaging.destination.name"), TRACE_TOPIC);
    CHECK_SPAN(value_of(s, "events.sequence"), "a number");
    CHECK(s->dropped_attributes == 0);
}

static void packed_and_unpacked_envelopes_give_the_same(void) {
    static const char *const PARENTS[] = {PARENT, QUIET, ""};
    TraceGroup group = {0};
    EventStep step = STEP;
    step.group = &group;
    for (size_t i = 0; i < COUNT(PARENTS); i++) {
        TraceSpan spans[4];
        AUTO_BUF packed = {0};
        Events__V1__Envelope e = event_with(PARENTS[i]);
        message_pack(&e.base, &packed);
        trace_start(1, 4);
        event_step_packed(&step, buf_view(&packed));
        event_step_unpacked(&step, &e);
        CHECK(recorded(spans, 4) == (i ? 0 : 2));
        if (!i) check_span(&spans[0]), check_span(&spans[1]);
    }
    CHECK(group.count == 2);
}

static void commands_are_named_by_ids_and_types(void) {
    TraceSpan room;
    Events__V1__CommandEnvelope c = EVENTS__V1__COMMAND_ENVELOPE__INIT;
    c.command_id = message_text("01932c5e-7b1a-7c3d-9e4f-5a6b7c8d9e12");
    c.command_type = message_text("CreateProspect");
    c.correlation_id = message_text("ada@example.org"); /* the client's own words */
    c.traceparent = message_text(PARENT);
    CHECK(!command_trace(&room, &c, 1));
    trace_start(1, 1);
    TraceSpan *span = command_trace(&room, &c, 2);
    REQUIRE(span != NULL);
    CHECK_SPAN(value_of(span, "events.command_type"), "CreateProspect");
    CHECK_SPAN(value_of(span, "messaging.message.id"), "01932c5e-7b1a-7c3d-9e4f-5a6b7c8d9e12");
    CHECK_SPAN(value_of(span, "messaging.message.conversation_id"), "redacted");
    CHECK_SPAN(value_of(span, "events.deliveries"), "a number");
    c.traceparent = message_text("");
    CHECK(!command_trace(&room, &c, 1));
    trace_stop();
}

static void statuses_become_words(void) {
    CHECK(!status_fault(200, 300) && !status_fault(404, 500));
    CHECK_SPAN(span_of(status_fault(0, 300)), "no_answer");
    CHECK_SPAN(span_of(status_fault(503, 300)), "503");
    CHECK_SPAN(span_of(status_fault(418, 300)), "_OTHER");
}

SUITE("event_trace", TEST(stored_json_is_searched_for_its_traces),
      TEST(packed_and_unpacked_envelopes_give_the_same), TEST(commands_are_named_by_ids_and_types),
      TEST(statuses_become_words));
