#include "wire/rpc/grpc_frame.h"

static size_t length_of(const GrpcReader *r) {
    return (size_t)r->head[1] << 24 | (size_t)r->head[2] << 16 | (size_t)r->head[3] << 8 | r->head[4];
}

static GrpcStep fault_of(const GrpcReader *r) {
    if (r->head[0] & ~r->flags || r->piece.failed) return GRPC_MALFORMED;
    return length_of(r) > r->limit ? GRPC_TOO_LARGE : GRPC_MORE;
}

static Span cut(Span *in, size_t len) {
    Span front = {in->at, len < in->len ? len : in->len};
    if (front.len) in->at += front.len, in->len -= front.len; /* at may be NULL where there is nothing */
    return front;
}

static void take_head(GrpcReader *r, Span *in) {
    Span part = cut(in, GRPC_HEAD - (size_t)r->have);
    if (part.len) memcpy(r->head + r->have, part.at, part.len);
    r->have += (uint8_t)part.len;
}

/* The message's bytes: those of the input where all of them are there, else what has been gathered. */
static bool take_body(GrpcReader *r, Span *in, Span *ret) {
    size_t length = length_of(r), missing = length - r->piece.len;
    if (!r->piece.len && in->len >= length) {
        *ret = cut(in, length);
        return true;
    }
    buf_span(&r->piece, cut(in, missing));
    *ret = buf_view(&r->piece);
    return r->piece.len == length;
}

GrpcStep grpc_read(GrpcReader *r, Span *in, GrpcMessage *ret) {
    if (r->broken) return fault_of(r);
    if (r->have == GRPC_HEAD && r->piece.len == length_of(r)) { /* the last call gave this one */
        r->have = 0;
        buf_clear(&r->piece);
    }
    take_head(r, in);
    if (r->have < GRPC_HEAD) return GRPC_MORE;
    r->broken = fault_of(r) != GRPC_MORE;
    if (r->broken) return fault_of(r);
    bool whole = take_body(r, in, &ret->bytes);
    r->broken = r->piece.failed;
    if (!whole) return fault_of(r);
    ret->flags = r->head[0];
    if (!r->piece.len) r->have = 0;
    return GRPC_MESSAGE;
}

bool grpc_reader_is_between(const GrpcReader *r) {
    return r->have == 0 || (r->have == GRPC_HEAD && r->piece.len && r->piece.len == length_of(r));
}

void grpc_reader_clear(GrpcReader *r) {
    buf_free(&r->piece);
    r->have = 0;
}

void grpc_write_head(char to[GRPC_HEAD], uint8_t flags, size_t length) {
    to[0] = (char)flags;
    for (int i = 0; i < 4; i++) to[1 + i] = (char)(length >> (24 - 8 * i));
}

void grpc_write(Buf *out, uint8_t flags, Span message) {
    char *to = buf_reserve(out, GRPC_HEAD + message.len);
    if (!to) return;
    grpc_write_head(to, flags, message.len);
    if (message.len) memcpy(to + GRPC_HEAD, message.at, message.len);
    out->len += GRPC_HEAD + message.len;
}
