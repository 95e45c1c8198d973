/* The texts in the header fields of calls: time limits, media types, lists of encodings. Pure. */
#pragma once
#include "base/span.h"

/* grpc-timeout: 1 to 8 digits and one of H M S m u n. */
bool rpc_timeout_read(Span text, int64_t *us);
/* connect-timeout-ms: 1 to 10 digits. */
bool rpc_timeout_ms_read(Span text, int64_t *us);

/* The protocol of a call, as its media type says it. */
typedef enum RpcProtocol {
    RPC_NONE, /* no media type of a call */
    RPC_GRPC,
    RPC_GRPC_WEB,
    RPC_GRPC_WEB_TEXT, /* the same in base64 */
    RPC_CONNECT,       /* one message each way, without frames */
    RPC_CONNECT_STREAM,
} RpcProtocol;

typedef struct RpcMedia {
    RpcProtocol protocol;
    bool json;        /* else protobuf */
    const char *name; /* for the answer: the media type as it was asked for, without parameters */
} RpcMedia;
/* "application/grpc-web+proto; charset=utf-8". Codecs that nobody here speaks make it RPC_NONE. */
RpcMedia rpc_media_read(Span content_type);
/* Does it begin like any of gRPC's, whatever the codec? Then refusals are told gRPC's way. */
bool rpc_media_is_grpc(Span content_type);

/* Is "gzip" among the encodings (grpc-accept-encoding, connect-accept-encoding: a list without weights)? */
bool rpc_accepts_gzip(Span list);
typedef enum RpcEncoding { RPC_IDENTITY, RPC_GZIP, RPC_ENCODING_UNKNOWN } RpcEncoding;
RpcEncoding rpc_encoding_read(Span text); /* grpc-encoding; absent is identity */
