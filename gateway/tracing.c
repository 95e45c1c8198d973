/* tracing.c - of a call only its route is told: what stands in path and query may be a name. */
#include "gateway/tracing.h"

#include "app/event_trace.h"
#include "base/clock.h"
#include "base/uuid.h"

static const char *method_of(Span method) {
    static const char *const METHODS[] = {"GET",    "HEAD",    "POST",  "PUT",
                                          "DELETE", "OPTIONS", "PATCH", "CONNECT"};
    for (size_t i = 0; i < COUNT(METHODS); i++)
        if (span_is(method, METHODS[i])) return METHODS[i];
    return "_OTHER";
}

void tracing_request(Request *r) {
    TraceSpan *room = trace_on() ? http_alloc(r->x, sizeof *room) : NULL;
    if (!room) return;
    const char *method = method_of(http_method(r->x)), *route = r->route ? r->route->path : NULL;
    const char *verb = strcmp(method, "_OTHER") ? method : "HTTP";
    Span incoming = http_header(r->x, "traceparent");
    r->span = trace_begin_edge(room, TRACE_SERVER, verb, route, incoming, r->traceparent);
    trace_word(r->span, "http.request.method", method);
    if (route) trace_word(r->span, "http.route", route);
    trace_word(r->span, "url.scheme", r->secure ? "https" : "http");
    trace_word(r->span, "network.protocol.version", http_is_h2(r->x) ? "2" : "1.1");
    trace_id(r->span, "events.correlation_id", span_of(r->correlation_id));
}

void tracing_answered(Request *r, int status) {
    trace_number(r->span, "http.response.status_code", status);
    if (r->span && status_fault(status, 500)) trace_failed(r->span, status_fault(status, 500));
    trace_end(r->span);
    r->span = NULL;
}

static TraceContext new_context(void) {
    TraceContext made = {.flags = 1};
    do {
        random_bytes(made.trace_id, sizeof made.trace_id);
        random_bytes(made.span_id, sizeof made.span_id);
    } while (!made.trace_id[0] || !made.span_id[0]); /* never all zero */
    return made;
}

void traceparent_continue(Span incoming, char out[TRACEPARENT_TEXT]) {
    TraceContext context;
    if (!trace_parse(incoming, &context)) context = new_context();
    trace_format(&context, out);
}

TraceSpan *tracing_enqueue(Span incoming, Arena *arena, char traceparent[TRACEPARENT_TEXT]) {
    TraceContext parent;
    TraceSpan *span = NULL, *room = trace_on() ? arena_alloc(arena, sizeof *room) : NULL;
    if (!span_copy(incoming, traceparent, TRACEPARENT_TEXT)) *traceparent = 0;
    if (room && trace_parse(incoming, &parent))
        span = trace_begin(room, TRACE_PRODUCER, "enqueue", TRACE_QUEUE, &parent);
    if (span) trace_format(&span->context, traceparent);
    trace_word(span, "messaging.system", "sql");
    trace_word(span, "messaging.operation.name", "enqueue");
    trace_word(span, "messaging.operation.type", "send");
    trace_word(span, "messaging.destination.name", TRACE_QUEUE);
    return span;
}

void tracing_fan_out(Event *event, int64_t began_us) {
    const EventStep step = {.kind = TRACE_PRODUCER,
                            .verb = "push",
                            .type = "send",
                            .system = "events",
                            .destination = TRACE_TOPIC,
                            .subscription = "gateway",
                            .began_us = began_us,
                            .ended_us = clock_now_us()};
    event_step_packed(&step, event_envelope(event));
}
