/* Frames of gRPC, in every way to cut them. */
#include "kit/test.h"

#include "wire/rpc/grpc_frame.h"
#include <stdio.h>

#define BYTES(literal)                                                                                       \
    { (literal), sizeof(literal) - 1 }

static const struct {
    const char *name;
    Span bytes;
    const char *want; /* "flags:message " for each; then how it ended */
} CASES[] = {
    {"nothing", BYTES(""), "whole"},
    {"one", BYTES("\0\0\0\0\3abc"), "0:abc whole"},
    {"empty one", BYTES("\0\0\0\0\0"), "0: whole"},
    {"two", BYTES("\0\0\0\0\0\0\0\0\0\1z"), "0: 0:z whole"},
    {"two with bytes", BYTES("\0\0\0\0\2ab\0\0\0\0\1z"), "0:ab 0:z whole"},
    {"compressed", BYTES("\1\0\0\0\3abc"), "1:abc whole"},
    {"unknown flag", BYTES("\4\0\0\0\3abc"), "malformed"},
    {"unknown flag behind a good one", BYTES("\0\0\0\0\1a\200\0\0\0\1b"), "0:a malformed"},
    {"head cut", BYTES("\0\0\0\0"), "half"},
    {"one byte of a head behind a good one", BYTES("\0\0\0\0\1a\0"), "0:a half"},
    {"message cut", BYTES("\0\0\0\0\3ab"), "half"},
    {"at the limit", BYTES("\0\0\0\0\20abcdefghijklmnop"), "0:abcdefghijklmnop whole"},
    {"above the limit", BYTES("\0\0\0\0\21"), "large"},
    {"length of 4 GiB", BYTES("\0\377\377\377\377"), "large"},
    {"good one before a large one", BYTES("\0\0\0\0\1a\0\1\0\0\0"), "0:a large"},
};

static void feed(Span in, size_t step, Buf *log) {
    GrpcReader r = {.limit = 16, .flags = GRPC_COMPRESSED};
    GrpcMessage m;
    GrpcStep got = GRPC_MORE;
    for (size_t at = 0; at < in.len; at += step) {
        Span part = {in.at + at, step < in.len - at ? step : in.len - at};
        while ((got = grpc_read(&r, &part, &m)) == GRPC_MESSAGE)
            buf_printf(log, "%u:%.*s ", m.flags, SPAN_ARGS(m.bytes));
        if (got != GRPC_MORE) break;
        CHECK(part.len == 0);
    }
    Span none = SPAN_NONE;
    CHECK(grpc_read(&r, &none, &m) == got); /* a fault stays */
    buf_text(log, got == GRPC_TOO_LARGE        ? "large"
                  : got == GRPC_MALFORMED      ? "malformed"
                  : grpc_reader_is_between(&r) ? "whole"
                                               : "half");
    grpc_reader_clear(&r);
}

static void reads(void) {
    for (size_t i = 0; i < COUNT(CASES); i++) {
        for (size_t step = 1; step < 30; step++) {
            AUTO_BUF log = {0};
            feed(CASES[i].bytes, step, &log);
            bool good = span_is(buf_view(&log), CASES[i].want);
            if (!good)
                printf("\n    %s by %zu: got \"%.*s\", want \"%s\"", CASES[i].name, step,
                       SPAN_ARGS(buf_view(&log)), CASES[i].want);
            CHECK(good);
        }
    }
}

/* A message that is whole in the input is not copied. */
static void in_place(void) {
    const char bytes[] = "\0\0\0\0\3abc";
    Span in = {bytes, sizeof bytes - 1};
    GrpcReader r = {.limit = 16};
    GrpcMessage m;
    CHECK(grpc_read(&r, &in, &m) == GRPC_MESSAGE);
    CHECK(m.bytes.at == bytes + 5 && in.len == 0 && r.piece.size == 0);
}

/* What a head promises costs nothing before it comes. */
static void promises_cost_nothing(void) {
    Span in = BYTES("\0\0\377\377\377ab");
    GrpcReader r = {.limit = 1 << 24};
    GrpcMessage m;
    CHECK(grpc_read(&r, &in, &m) == GRPC_MORE);
    CHECK(r.piece.size < 4096);
    grpc_reader_clear(&r);
}

static void writes(void) {
    AUTO_BUF out = {0};
    grpc_write(&out, 0, SPAN("abc"));
    grpc_write(&out, GRPC_WEB_TRAILERS, SPAN_NONE);
    CHECK(span_equal(buf_view(&out), (Span)BYTES("\0\0\0\0\3abc\200\0\0\0\0")));
    char head[GRPC_HEAD];
    grpc_write_head(head, 1, 0x01020304);
    CHECK(!memcmp(head, "\1\1\2\3\4", GRPC_HEAD));
}

SUITE("grpc_frame", TEST(reads), TEST(in_place), TEST(promises_cost_nothing), TEST(writes));
