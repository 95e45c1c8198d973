/* Spans of what was done with events and commands: each in the trace that the command started, whose
 * traceparent the envelope carries through all programs. Names and attributes are those of OpenTelemetry's
 * semantic conventions for messaging. Costs nothing while tracing is off, and next to nothing for what is not
 * sampled. */
#pragma once
#include "db/db.h"
#include "events/v1/envelope.pb-c.h"
#include "observe/trace.h"

/* One step that several events took together. All texts are of the program's image. */
typedef struct EventStep {
    TraceKind kind;
    const char *verb;           /* messaging.operation.name */
    const char *type;           /* messaging.operation.type: send, receive, process */
    const char *system;         /* messaging.system: eventgrid */
    const char *destination;    /* messaging.destination.name */
    const char *subscription;   /* NULL: none */
    const char *fault;          /* error.type; NULL: it went well */
    int64_t began_us, ended_us; /* clock_now_us() */
    size_t together;            /* events of the step */
    int status;                 /* of HTTP; 0: none */
    TraceGroup *group;          /* gets the spans, for the commit; NULL: no commit follows */
} EventStep;

void event_step_packed(const EventStep *step, Span envelope); /* a packed Envelope */
void event_step_unpacked(const EventStep *step, const Events__V1__Envelope *envelope);
/* CloudEvents in JSON, one behind the other or in an array, as they were accepted. */
void event_step_json(const EventStep *step, Span json);

/* The handling of one command, until trace_end(). NULL where it is not recorded. */
TraceSpan *command_trace(TraceSpan *room, const Events__V1__CommandEnvelope *command, int deliveries);
/* The commit of what the group's members have written. */
bool commit_traced(Db *db, const TraceGroup *group, Err *err);

/* Of HTTP's status as an error.type; NULL below `least`. */
const char *status_fault(int status, int least);

#define TRACE_TOPIC "prospect-events"
#define TRACE_QUEUE "identity-commands"
