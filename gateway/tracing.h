/* The gateway's spans: a call, a command's way into the queue, an event's way to the clients. While tracing
 * is off each of these costs one look at a flag. */
#pragma once
#include "gateway/feed/event.h"
#include "gateway/rest/request.h"
#include "observe/trace.h"

/* Continues or begins the trace of a call whose route is known, and puts into r->traceparent what is passed
 * on. */
void tracing_request(Request *r);
/* It is about to be answered with this status. */
void tracing_answered(Request *r, int status);

/* What is passed on of a traceparent that came in; a new one where nothing valid did. */
void traceparent_continue(Span incoming, char out[TRACEPARENT_TEXT]);

/* A command is about to be packed and put into the queue: its envelope carries `traceparent`, which is that
 * of this span where one is recorded. The span lives in the arena, for trace_end(). */
TraceSpan *tracing_enqueue(Span incoming, Arena *arena, char traceparent[TRACEPARENT_TEXT]);

/* One event has been given to the connections of one loop. */
void tracing_fan_out(Event *event, int64_t began_us);
