/* Spans: what one program did for one trace, and how long it took. W3C Trace Context, OpenTelemetry's names.
 *
 * A span lives in memory of the caller (a local variable, an arena) until trace_end() copies it into a
 * bounded queue. What is not recorded (tracing is off, the trace is not sampled) is NULL, and everything here
 * takes NULL and does nothing: off, a span costs one look at a flag.
 *
 * Nothing personal gets into a span, whatever a caller hands in: words must be texts of the program's own
 * image (literals, tables of routes and types), ids must look like ids, and of an error only its code is
 * taken. What does not pass becomes "redacted". Any thread. */
#pragma once
#include "base/err.h"
#include "base/span.h"

enum { TRACEPARENT_TEXT = 56 };

/* The place in a trace that a traceparent names. tracestate is not carried: the envelope has no room for it.
 */
typedef struct TraceContext {
    uint8_t trace_id[16], span_id[8];
    uint8_t flags; /* 1: sampled, 2: the trace id is random */
} TraceContext;

/* W3C Trace Context level 2, section 3.2: any version but ff, lower-case hex, no id all zero. */
bool trace_parse(Span text, TraceContext *ret);
void trace_format(const TraceContext *context, char out[TRACEPARENT_TEXT]); /* version 00 */

/* The numbers are those of OTLP. */
typedef enum TraceKind {
    TRACE_INTERNAL = 1,
    TRACE_SERVER,
    TRACE_CLIENT,
    TRACE_PRODUCER,
    TRACE_CONSUMER,
} TraceKind;

enum { TRACE_ATTRIBUTES = 14, TRACE_LINKS = 8, TRACE_ID_BYTES = 192 };

typedef struct TraceAttribute {
    const char *key;
    const char *word; /* NULL: see id */
    uint16_t id;      /* where in ids it begins; 0: the number counts */
    int64_t number;
} TraceAttribute;

/* To be read by the exporter; others use the functions. */
typedef struct TraceSpan {
    TraceContext context;
    uint8_t parent[8]; /* all zero: the first of its trace */
    TraceKind kind;
    const char *verb, *object; /* the name is "verb object", or the verb alone where object is NULL */
    int64_t began_us, took_us; /* wall clock; duration */
    const char *error;         /* error.type; NULL: all is well */
    size_t attribute_count, link_count, ids_used, dropped_attributes, dropped_links;
    TraceAttribute attributes[TRACE_ATTRIBUTES];
    TraceContext links[TRACE_LINKS];
    char ids[TRACE_ID_BYTES];
} TraceSpan;

/* Is anything recorded at all? For work that only serves tracing. */
bool trace_on(void);

/* A span below `parent`, in `room`; NULL where tracing is off or the parent is NULL or not sampled. verb and
 * object: of the program's image, as all words. */
TraceSpan *trace_begin(TraceSpan *room, TraceKind kind, const char *verb, const char *object,
                       const TraceContext *parent);
/* The same at the edge: continues what came in, or begins a trace, sampled by the configured ratio, where
 * nothing valid did. traceparent: gets what is to be passed on, recorded or not; untouched while tracing is
 * off. */
TraceSpan *trace_begin_edge(TraceSpan *room, TraceKind kind, const char *verb, const char *object,
                            Span incoming, char traceparent[TRACEPARENT_TEXT]);
/* For work that served several traces at once and was timed by the caller: clock_now_us(). */
void trace_set_times(TraceSpan *span, int64_t began_us, int64_t ended_us);
/* Ends it now, or when trace_set_times() said. The room is free again. */
void trace_end(TraceSpan *span);

/* Several traces that one piece of work (a commit) served: the first is its parent, the others are linked. */
typedef struct TraceGroup {
    size_t count;
    TraceContext contexts[1 + TRACE_LINKS];
} TraceGroup;
void trace_group_add(TraceGroup *group, const TraceSpan *span);
TraceSpan *trace_begin_group(TraceSpan *room, TraceKind kind, const char *verb, const char *object,
                             const TraceGroup *group);

/* Attributes. key: of the program's image. */
void trace_number(TraceSpan *span, const char *key, int64_t value);
void trace_word(TraceSpan *span, const char *key, const char *word);
/* A UUID, a decimal number, or a subject ("prospect/12345"). An empty one is left out. */
void trace_id(TraceSpan *span, const char *key, Span id);
/* The name of a message of the contract; any other is "unknown". */
void trace_message_type(TraceSpan *span, const char *key, Span type);
/* The span has failed: error.type is the code, of the program's image. */
void trace_failed(TraceSpan *span, const char *code);
void trace_err(TraceSpan *span, const Err *err); /* nothing where err->kind is NULL */

/* --- for the exporter --- */

/* ratio: of traces begun here, 0 to 1. queue: spans that may wait. */
void trace_start(double ratio, size_t queue);
/* Up to `most` spans. Sleeps until there is one, then until there are `most`, `gather_ms` are over, or
 * trace_finish() was called. 0: finished, and nothing is left. */
size_t trace_take(TraceSpan *to, size_t most, int64_t gather_ms);
/* Sleeps for so long, or until trace_finish(): true where that has been called. */
bool trace_wait(int64_t ms);
/* No span is taken up any more; trace_take() gives what waits, then 0. */
void trace_finish(void);
void trace_stop(void); /* frees the queue, after trace_finish() */
