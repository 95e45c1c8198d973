#include "kit/test.h"

#include "wire/gzip.h"

static void there_and_back(void) {
    static const size_t SIZES[] = {0, 1, 100, 16383, 16384, 16385, 200000};
    for (size_t i = 0; i < COUNT(SIZES); i++) {
        AUTO_BUF plain = {0}, packed = {0}, back = {0};
        for (size_t k = 0; k < SIZES[i]; k++) buf_byte(&plain, (char)(k * k >> 3));
        CHECK(gzip_pack(buf_view(&plain), &packed));
        CHECK(gzip_unpack(buf_view(&packed), SIZES[i], &back) == GUNZIP_DONE);
        CHECK(span_equal(buf_view(&plain), buf_view(&back)));
        buf_clear(&back);
        if (SIZES[i]) CHECK(gzip_unpack(buf_view(&packed), SIZES[i] - 1, &back) == GUNZIP_TOO_LARGE);
    }
}

/* Half a gibibyte of zeros, in half a mebibyte: it costs the limit and no more. */
static void bombs(void) {
    AUTO_BUF zeros = {0}, bomb = {0}, out = {0};
    char *to = buf_reserve(&zeros, 32 << 20);
    REQUIRE(to != NULL);
    memset(to, 0, 32 << 20);
    zeros.len = 32 << 20;
    REQUIRE(gzip_pack(buf_view(&zeros), &bomb));
    CHECK(bomb.len < 200000);
    CHECK(gzip_unpack(buf_view(&bomb), 1 << 20, &out) == GUNZIP_TOO_LARGE);
    CHECK(out.size <= 4 << 20);
}

static void damaged(void) {
    AUTO_BUF packed = {0}, out = {0};
    REQUIRE(gzip_pack(SPAN("some text that is packed"), &packed));
    for (size_t cut = 0; cut < packed.len; cut++) {
        buf_clear(&out);
        CHECK(gzip_unpack((Span){packed.at, cut}, 1000, &out) == GUNZIP_MALFORMED);
    }
    buf_byte(&packed, 'x'); /* and nothing behind it */
    CHECK(gzip_unpack(buf_view(&packed), 1000, &out) == GUNZIP_MALFORMED);
    CHECK(gzip_unpack(SPAN("no gzip at all"), 1000, &out) == GUNZIP_MALFORMED);
}

SUITE("gzip", TEST(there_and_back), TEST(bombs), TEST(damaged));
