/* How a call ended: gRPC's status codes, and the details that tell programs why (google.rpc.Status with
 * BadRequest and ErrorInfo), as gRPC, gRPC-Web and Connect write them. Pure. */
#pragma once
#include "base/buf.h"
#include "wire/message.h"

/* name, number, HTTP status of a Connect answer, name in Connect */
#define RPC_CODES(X)                                                                                         \
    X(OK, 0, 200, "ok")                                                                                      \
    X(CANCELLED, 1, 499, "canceled")                                                                         \
    X(UNKNOWN, 2, 500, "unknown")                                                                            \
    X(INVALID_ARGUMENT, 3, 400, "invalid_argument")                                                          \
    X(DEADLINE_EXCEEDED, 4, 504, "deadline_exceeded")                                                        \
    X(NOT_FOUND, 5, 404, "not_found")                                                                        \
    X(ALREADY_EXISTS, 6, 409, "already_exists")                                                              \
    X(PERMISSION_DENIED, 7, 403, "permission_denied")                                                        \
    X(RESOURCE_EXHAUSTED, 8, 429, "resource_exhausted")                                                      \
    X(FAILED_PRECONDITION, 9, 400, "failed_precondition")                                                    \
    X(ABORTED, 10, 409, "aborted")                                                                           \
    X(OUT_OF_RANGE, 11, 400, "out_of_range")                                                                 \
    X(UNIMPLEMENTED, 12, 501, "unimplemented")                                                               \
    X(INTERNAL, 13, 500, "internal")                                                                         \
    X(UNAVAILABLE, 14, 503, "unavailable")                                                                   \
    X(DATA_LOSS, 15, 500, "data_loss")                                                                       \
    X(UNAUTHENTICATED, 16, 401, "unauthenticated")

typedef enum RpcCode {
#define X(name, number, http, connect) RPC_##name = number,
    RPC_CODES(X)
#undef X
        RPC_CODE_COUNT
} RpcCode;

typedef struct RpcStatus {
    RpcCode code;
    const char *message; /* for people; never quotes a value. NULL: none */
    const char
        *reason; /* ErrorInfo: the code that a problem document would have, "duplicate_email"; NULL: none */
    const FieldFaults *faults;               /* BadRequest; NULL or empty: none */
    const char *correlation_id, *command_id; /* ErrorInfo's metadata; NULL or "": not told */
} RpcStatus;

const char *rpc_code_name(RpcCode code);    /* "DEADLINE_EXCEEDED" */
const char *rpc_code_connect(RpcCode code); /* "deadline_exceeded" */
int rpc_code_http(RpcCode code);
/* Of the code of a CommandRejected ("duplicate_email"). */
RpcCode rpc_code_of_rejection(const char *code);

/* Has it any detail? */
bool rpc_status_has_details(const RpcStatus *s);
/* A packed google.rpc.Status: what grpc-status-details-bin holds. */
void rpc_status_pack(const RpcStatus *s, Buf *out);
/* Connect's error: {"code","message","details":[{"type","value"}]} */
void rpc_status_json(const RpcStatus *s, Buf *out);
/* The message of Connect that ends a stream: {} or {"error":...}. */
void rpc_end_json(const RpcStatus *s, Buf *out);
/* The lines of the last frame of gRPC-Web: "grpc-status: 0\r\n" ... */
void rpc_web_trailers(const RpcStatus *s, Buf *out);

/* The three trailers' values. */
void rpc_percent_encode(Span utf8, Buf *out);         /* grpc-message */
void rpc_status_base64(const RpcStatus *s, Buf *out); /* grpc-status-details-bin, without padding */
