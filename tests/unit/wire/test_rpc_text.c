#include "kit/test.h"

#include "base/auto.h"
#include "wire/rpc/rpc_text.h"
#include <stdio.h>

static void timeouts(void) {
    static const struct {
        const char *text;
        int64_t us; /* -1: no time limit */
        bool connect;
    } CASES[] = {
        {"1S", 1000000, false},
        {"250m", 250000, false},
        {"100u", 100, false},
        {"99999999n", 99999, false},
        {"2M", 120000000, false},
        {"99999999H", INT64_C(359999996400000000), false},
        {"0m", 0, false},
        {"00000001S", 1000000, false},
        {"", -1, false},
        {"S", -1, false},
        {"1", -1, false},
        {"1s", -1, false},
        {"-1S", -1, false},
        {"1.5S", -1, false},
        {"123456789S", -1, false},
        {" 1S", -1, false},
        {"0", 0, true},
        {"1500", 1500000, true},
        {"9999999999", INT64_C(9999999999000), true},
        {"12345678901", -1, true},
        {"", -1, true},
        {"1S", -1, true},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        int64_t us = -1;
        Span text = span_of(CASES[i].text);
        bool good = CASES[i].connect ? rpc_timeout_ms_read(text, &us) : rpc_timeout_read(text, &us);
        if (!good) us = -1;
        if (us != CASES[i].us) printf("\n    \"%s\": %lld", CASES[i].text, (long long)us);
        CHECK(us == CASES[i].us);
    }
}

static void media_types(void) {
    static const struct {
        const char *text;
        RpcProtocol protocol;
        bool json, grpc;
    } CASES[] = {
        {"application/grpc", RPC_GRPC, false, true},
        {"application/grpc+proto", RPC_GRPC, false, true},
        {"Application/GRPC ; a=b", RPC_GRPC, false, true},
        {"application/grpc+json", RPC_GRPC, true, true},
        {"application/grpc+thrift", RPC_NONE, false, true},
        {"application/grpc-web", RPC_GRPC_WEB, false, true},
        {"application/grpc-web+proto", RPC_GRPC_WEB, false, true},
        {"application/grpc-web-text", RPC_GRPC_WEB_TEXT, false, true},
        {"application/grpc-web-text+proto", RPC_GRPC_WEB_TEXT, false, true},
        {"application/proto", RPC_CONNECT, false, false},
        {"application/json; charset=utf-8", RPC_CONNECT, true, false},
        {"application/connect+proto", RPC_CONNECT_STREAM, false, false},
        {"application/connect+json", RPC_CONNECT_STREAM, true, false},
        {"application/x-protobuf", RPC_NONE, false, false},
        {"text/plain", RPC_NONE, false, false},
        {"", RPC_NONE, false, false},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        RpcMedia media = rpc_media_read(span_of(CASES[i].text));
        CHECK(media.protocol == CASES[i].protocol && media.json == CASES[i].json);
        CHECK(!media.name == (media.protocol == RPC_NONE));
        CHECK(rpc_media_is_grpc(span_of(CASES[i].text)) == CASES[i].grpc);
    }
    CHECK(rpc_media_read(SPAN_NONE).protocol == RPC_NONE);
}

static void encodings(void) {
    CHECK(rpc_accepts_gzip(SPAN("identity, deflate,gzip")));
    CHECK(rpc_accepts_gzip(SPAN("GZIP")));
    CHECK(!rpc_accepts_gzip(SPAN("identity,deflate,xgzip")));
    CHECK(!rpc_accepts_gzip(SPAN_NONE));
    CHECK(rpc_encoding_read(SPAN_NONE) == RPC_IDENTITY);
    CHECK(rpc_encoding_read(SPAN("identity")) == RPC_IDENTITY);
    CHECK(rpc_encoding_read(SPAN("gzip")) == RPC_GZIP);
    CHECK(rpc_encoding_read(SPAN("deflate")) == RPC_ENCODING_UNKNOWN);
}

SUITE("rpc_text", TEST(timeouts), TEST(media_types), TEST(encodings));
