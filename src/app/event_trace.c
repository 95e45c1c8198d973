/* event_trace.c - a batch is one piece of work, but each of its events belongs to another trace. So each
 * sampled one gets a span of its own with the times of the batch; whoever looks at a trace sees all of its
 * way.
 *
 * events-grid keeps events as the JSON that was accepted and does not read it. For the trace's sake it is
 * searched for the attribute's name with its quotes: inside of a text those would be escaped. */
#include "app/event_trace.h"

#include "base/auto.h"
#include "wire/envelope.h"

static void end_step(const EventStep *step, TraceSpan *span) {
    trace_word(span, "messaging.system", step->system);
    trace_word(span, "messaging.operation.name", step->verb);
    trace_word(span, "messaging.operation.type", step->type);
    trace_word(span, "messaging.destination.name", step->destination);
    if (step->subscription) trace_word(span, "messaging.destination.subscription.name", step->subscription);
    if (step->together > 1) trace_number(span, "messaging.batch.message_count", (int64_t)step->together);
    if (step->status) trace_number(span, "http.response.status_code", step->status);
    if (step->fault) trace_failed(span, step->fault);
    if (step->group) trace_group_add(step->group, span);
    trace_set_times(span, step->began_us, step->ended_us);
    trace_end(span);
}

static TraceSpan *begin_step(const EventStep *step, TraceSpan *room, Span traceparent) {
    TraceContext parent;
    if (!trace_parse(traceparent, &parent)) return NULL;
    return trace_begin(room, step->kind, step->verb, step->destination, &parent);
}

static void name_event(TraceSpan *span, Span id, Span type, Span subject, int64_t sequence) {
    trace_id(span, "messaging.message.id", id);
    trace_message_type(span, "cloudevents.event_type", type);
    trace_id(span, "cloudevents.event_subject", subject);
    if (sequence) trace_number(span, "events.sequence", sequence);
}

void event_step_packed(const EventStep *step, Span envelope) {
    TraceSpan room;
    EnvelopePeek e;
    if (!trace_on() || !envelope_peek(envelope, &e)) return;
    TraceSpan *span = begin_step(step, &room, e.traceparent);
    if (!span) return;
    name_event(span, e.event_id, e.event_type, e.subject, e.sequence);
    end_step(step, span);
}

void event_step_unpacked(const EventStep *step, const Events__V1__Envelope *e) {
    TraceSpan room;
    TraceSpan *span = trace_on() ? begin_step(step, &room, span_of(e->traceparent)) : NULL;
    if (!span) return;
    name_event(span, span_of(e->event_id), span_of(e->event_type), span_of(e->subject), e->sequence);
    end_step(step, span);
}

/* The text behind `"traceparent"` and a colon; what is behind that in *rest. */
static Span next_traceparent(Span json, Span *rest) {
    static const char NAME[] = "\"traceparent\"";
    const char *end = json.at + json.len,
               *at = json.len ? memmem(json.at, json.len, NAME, sizeof NAME - 1) : NULL;
    if (!at) {
        *rest = SPAN_NONE;
        return SPAN_NONE;
    }
    at += sizeof NAME - 1;
    while (at < end && (*at == ' ' || *at == ':')) at++;
    if (at < end && *at == '"') at++;
    *rest = (Span){at, (size_t)(end - at)};
    return (Span){at, rest->len < TRACEPARENT_TEXT - 1 ? rest->len : TRACEPARENT_TEXT - 1};
}

void event_step_json(const EventStep *step, Span json) {
    TraceSpan room;
    while (trace_on() && json.len) {
        TraceSpan *span = begin_step(step, &room, next_traceparent(json, &json));
        if (span) end_step(step, span);
    }
}

TraceSpan *command_trace(TraceSpan *room, const Events__V1__CommandEnvelope *c, int deliveries) {
    TraceContext parent;
    if (!trace_on() || !trace_parse(span_of(c->traceparent), &parent)) return NULL;
    TraceSpan *span = trace_begin(room, TRACE_CONSUMER, "process", TRACE_QUEUE, &parent);
    trace_word(span, "messaging.system", "sql");
    trace_word(span, "messaging.operation.name", "process");
    trace_word(span, "messaging.operation.type", "process");
    trace_word(span, "messaging.destination.name", TRACE_QUEUE);
    trace_id(span, "messaging.message.id", span_of(c->command_id));
    trace_id(span, "messaging.message.conversation_id", span_of(c->correlation_id));
    trace_message_type(span, "events.command_type", span_of(c->command_type));
    if (deliveries > 1) trace_number(span, "events.deliveries", deliveries);
    return span;
}

bool commit_traced(Db *db, const TraceGroup *group, Err *err) {
    static const char *const SYSTEMS[] = {
        [DB_SQLITE] = "sqlite", [DB_POSTGRESQL] = "postgresql", [DB_SQLSERVER] = "microsoft.sql_server"};
    TraceSpan room, *span = trace_begin_group(&room, TRACE_CLIENT, "COMMIT", NULL, group);
    bool ok = db_commit(db, err);
    trace_word(span, "db.system.name", SYSTEMS[db_dialect(db)]);
    trace_word(span, "db.operation.name", "COMMIT");
    if (group->count > 1) trace_number(span, "db.operation.batch.size", (int64_t)group->count);
    if (!ok && err) trace_err(span, err);
    trace_end(span);
    return ok;
}

const char *status_fault(int status, int least) {
    static const struct {
        int status;
        const char *text;
    } KNOWN[] = {{0, "no_answer"}, {400, "400"}, {401, "401"}, {403, "403"}, {404, "404"},
                 {408, "408"},     {413, "413"}, {415, "415"}, {429, "429"}, {500, "500"},
                 {502, "502"},     {503, "503"}, {504, "504"}};
    if (status && status < least) return NULL;
    for (size_t i = 0; i < COUNT(KNOWN); i++)
        if (KNOWN[i].status == status) return KNOWN[i].text;
    return "_OTHER";
}
