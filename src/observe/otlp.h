/* Sends recorded spans to a collector: OTLP over HTTP (opentelemetry-proto, docs/specification.md), protobuf,
 * in batches, from a thread of its own. How bytes get there is the caller's: this room knows no sockets. */
#pragma once
#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "observe/trace.h"

/* What a POST of one ExportTraceServiceRequest led to. */
typedef struct OtlpReply {
    int status;             /* 0: no answer came */
    int64_t retry_after_ms; /* 0: not told */
    Span body;              /* until the next call */
} OtlpReply;

typedef struct OtlpOptions {
    const char *service_name;        /* copied, like all texts here */
    const char *resource_attributes; /* "key=value,key=value", values percent-encoded; may be NULL */
    double ratio;                    /* of the traces that begin here, 0 to 1 */
    size_t queue;                    /* spans that may wait; 0: 2048. What is more is dropped and counted */
    size_t batch;                    /* spans of a request; 0: 256 */
    int64_t gather_ms;               /* how long the first span of a batch waits for others; 0: 1000 */
    int64_t retry_ms;                /* the first pause, doubled up to 30 s, with jitter; 0: 500 */
    OtlpReply (*send)(void *user, Span body); /* on the exporter's thread; has a time limit of its own */
    void (*interrupt)(void *user); /* any thread: ends a send() in flight and all later ones at once */
    void *user;
} OtlpOptions;

typedef struct Otlp Otlp;
/* From now on spans are recorded (trace_on()). One in a process. */
bool otlp_open(const OtlpOptions *options, Otlp **ret, Err *err);
/* Sends what still waits, but for no longer than flush_ms; then nothing is recorded any more. */
Otlp *otlp_close(Otlp *otlp, int64_t flush_ms);

/* --- pure, for tests --- */

/* Fields of an opentelemetry.proto.resource.v1.Resource. False where the list cannot be read. */
bool otlp_write_resource(const char *service_name, const char *resource_attributes, Buf *out, Err *err);
/* An ExportTraceServiceRequest: one resource, one scope, the spans. */
void otlp_write_request(Span resource, const TraceSpan *spans, size_t count, Buf *out);
/* ExportTraceServiceResponse.partial_success.rejected_spans; 0 where there is none. */
uint64_t otlp_rejected_spans(Span response);

typedef enum OtlpVerdict { OTLP_DONE, OTLP_AGAIN, OTLP_LOST } OtlpVerdict;
OtlpVerdict otlp_verdict(int status);
