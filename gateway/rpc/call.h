/* One call, whatever its protocol: gRPC, gRPC-Web (binary or base64), Connect (one message, or a stream). It
 * lives in the exchange's memory, until it is answered: on the loop's thread only. What other threads need is
 * copied before (CallForm, claims).
 *
 * A handler gets the call with its token checked and does one of these, exactly once:
 *   - answers it: call_reply(), call_send(), call_fail...();
 *   - begins a stream: call_stream(), then call_write() ... call_end();
 *   - keeps it: call_keep(), and one of the former later. If the deadline passes or the peer cancels before,
 * `stop` is called once, which forgets the call; call.c then answers it. */
#pragma once
#include "events/v1/contract_services.h"
#include "gateway/gateway.h"
#include "gateway/routes.h"
#include "gateway/rpc/rpc.h"
#include "gateway/stream/session_frames.h"
#include "net/http_stream.h"
#include "observe/trace.h"
#include "wire/rpc/grpc_frame.h"
#include "wire/rpc/rpc_method.h"
#include "wire/rpc/rpc_status.h"
#include "wire/rpc/rpc_text.h"

/* How messages of the answer are written. A plain value: any thread. */
typedef struct CallForm {
    RpcMedia media;
    bool gzip; /* the caller takes it */
} CallForm;

/* What is sent: framed, encoded and compressed as the form says. */
typedef struct CallBody {
    Buf bytes;
    bool gzip; /* it is compressed */
} CallBody;

/* The call is over (deadline, cancelled, shutdown), and *status is about to be told; details may be added to
 * it. */
typedef void CallStop(void *user, RpcStatus *status);

enum { CALL_CORRELATION = 129 };
struct Call {
    RouteMatch match; /* the exchange's user, which tells routes.c that this is a call */
    HttpExchange *x;
    Worker *worker;
    const RpcMethod *method; /* never NULL in a handler */
    CallForm form;
    RpcEncoding encoding; /* of the request's messages */
    bool get;             /* Connect's GET: the request stands in the query */
    bool streams;         /* call_stream() has been called, or the request comes in pieces */
    bool headed, ended;
    int64_t deadline_us; /* loop time; 0: none */
    Timer timer;
    Claims claims;  /* zero where the call needs no token */
    CallStop *stop; /* of who keeps it, or NULL */
    void *user;
    GrpcReader reader; /* of a request in pieces */
    const struct CallEvents *events;
    TraceSpan *span;                       /* NULL: not recorded */
    char correlation_id[CALL_CORRELATION]; /* "": see call_correlation() */
    char traceparent[TRACEPARENT_TEXT];    /* "": see call_traceparent() */
};

static inline bool call_may(const Call *c, unsigned scope) {
    return c->claims.scope_bits & scope;
}
/* What the call is told by in logs and answers: the caller's own id, or one made now. */
const char *call_correlation(Call *c);
const char *call_traceparent(Call *c); /* what is passed on */

/* --- the request --- */

/* The one message of a call that does not stream, in memory of the arena: syntax and types are checked, rules
 * are not. strict: what the message does not know is a fault. NULL: it has been answered. */
ProtobufCMessage *call_message(Call *c, Arena *arena, bool strict);
/* One message of any call: inflated, decoded. NULL: *s says why. */
ProtobufCMessage *call_decode(Call *c, const GrpcMessage *m, bool strict, Arena *arena, RpcStatus *s,
                              FieldFaults *faults);
/* Metadata x-events-min-position; false: it has been answered. */
bool call_min_position(Call *c, int64_t *ret);

/* --- the answer: the call is gone after it --- */

void call_reply(Call *c, const ProtobufCMessage *message);
/* The same with a body that another thread has made by call_pack(). position: told as metadata; NULL: none.
 */
void call_send(Call *c, const CallBody *body, const ReplayHead *position);
void call_fail(Call *c, const RpcStatus *status);
void call_fail_with(Call *c, RpcCode code, const char *message);
void call_fail_err(Call *c, const Err *err); /* what is our own fault is logged, not told */
void call_fail_faults(Call *c, const char *message, const FieldFaults *faults); /* INVALID_ARGUMENT */
/* Any thread. Frames and compresses as the form says, unary. False: out of memory, or above RPC_MESSAGE. */
bool call_pack(const CallForm *form, const ProtobufCMessage *message, CallBody *out);

/* --- keeping it --- */

void call_keep(Call *c, CallStop *stop, void *user);
void call_stop(Call *c, RpcCode code, const char *message); /* as the deadline would */

/* --- streams of answers --- */

typedef struct CallEvents {
    void (*message)(Call *c, const GrpcMessage *m); /* of a request that streams */
    void (*over)(Call *c);                          /* it has come to its end; may be NULL */
    void (*writable)(Call *c);                      /* see HttpStreamEvents */
    void (*gone)(Call *c); /* the last call, whoever has ended it: c is gone after it; may be NULL */
    void (*draining)(Call *c);
} CallEvents;
/* Takes the call over; the head goes out with the first message. A deadline ends it by itself. */
void call_stream(Call *c, const CallEvents *events, void *user);
/* A message, protobuf or JSON, in its frame, as streams of this protocol have it. NULL out of memory. */
Blob *call_frame(RpcProtocol protocol, Span message);
/* Queues a frame; false: enough waits. */
bool call_write(Call *c, Blob *frame);
bool call_write_message(Call *c, const ProtobufCMessage *message);
size_t call_waiting(const Call *c);
void call_end(Call *c, const RpcStatus *status); /* gone() follows, not from within */
void call_end_with(Call *c, RpcCode code, const char *message);
void call_cut(Call *c); /* without a word to a reader that does not read */

/* --- handlers: a function for each call of the contract, and one for all commands --- */

typedef void CallHandler(Call *c);
#define X(name) CallHandler on_##name;
CONTRACT_CALLS(X)
#undef X
CallHandler call_command;

/* --- for the files of the core --- */

/* call_begin.c: fills a new call from the head of its exchange. False: it has been answered. */
bool call_begin(Call *c);
/* Its token, as it is now. False: it has been answered. */
bool call_admit(Call *c);
/* call_answer.c */
enum { CALL_FIELDS = 16 };
typedef struct CallFields {
    HttpField at[CALL_FIELDS];
    size_t count;
} CallFields;
void call_field(CallFields *f, const char *name, Span value);
/* What every answer of this protocol begins with. */
void call_head(Call *c, CallFields *f);
/* grpc-status and what follows it; the texts are in `room`. */
void call_trailers(const RpcStatus *status, CallFields *f, Buf room[2]);
void call_over(Call *c, RpcCode code); /* counts and traces it, stops its clock */
void call_refuse_http(Call *c, int status, const char *code,
                      HttpField field);               /* where no protocol has words for it */
void call_preflight(Worker *worker, HttpExchange *x); /* answers OPTIONS */
void call_counters(void);                             /* before the loops run */
