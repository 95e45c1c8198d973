/* Messages in a stream of bytes, as gRPC, gRPC-Web and Connect frame them alike: a byte of flags, the length
 * as four bytes, big-endian, then the message. Frames know nothing of the boundaries of DATA frames or
 * chunks. Pure; may be fed one byte at a time. */
#pragma once
#include "base/buf.h"

enum {
    GRPC_HEAD = 5,
    GRPC_COMPRESSED = 1, /* flag: the message is compressed by the stream's encoding */
    GRPC_CONNECT_END =
        2, /* flag: the last message of a Connect stream, JSON with the error and the metadata */
    GRPC_WEB_TRAILERS = 128 /* flag: the trailers of a gRPC-Web answer */
};

typedef struct GrpcMessage {
    uint8_t flags;
    Span bytes; /* until the next call for the same reader, or until the input goes */
} GrpcMessage;

/* Zero is a good start, but for `limit` and `flags`. It holds memory only of a message that came in pieces,
 * and never more than has come. */
typedef struct GrpcReader {
    size_t limit;  /* bytes of one message */
    uint8_t flags; /* those that may be set */
    uint8_t have;  /* bytes of the head */
    uint8_t head[GRPC_HEAD];
    bool broken;
    Buf piece;
} GrpcReader;

typedef enum GrpcStep {
    GRPC_MORE,      /* all of the input is taken; no message is whole */
    GRPC_MESSAGE,   /* *ret is set; there may be another one */
    GRPC_TOO_LARGE, /* said by the head alone: nothing of such a message is kept */
    GRPC_MALFORMED, /* a flag that nobody knows; or memory has ended */
} GrpcStep;

/* Takes what it needs from the front of *in. After a fault it gives the same fault for ever. */
GrpcStep grpc_read(GrpcReader *r, Span *in, GrpcMessage *ret);
bool grpc_reader_is_between(const GrpcReader *r); /* no message has begun that is not whole */
void grpc_reader_clear(GrpcReader *r);

void grpc_write_head(char to[GRPC_HEAD], uint8_t flags, size_t length);
void grpc_write(Buf *out, uint8_t flags, Span message);
