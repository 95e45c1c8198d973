/* Accept, Accept-Encoding, and lists of entity tags. */
#include "gateway/rest/compress.h"
#include "gateway/rest/negotiate.h"
#include "kit/test.h"
#include <zlib.h>

static const char *const MESSAGE[] = {"application/json", "application/x-protobuf", NULL};
#define JSON_T  "application/json"
#define PROTO_T "application/x-protobuf"

static void media_types(void) {
    static const struct {
        const char *accept, *want;
    } CASES[] = {
        {NULL, JSON_T},
        {"", JSON_T},
        {"*/*", JSON_T},
        {"application/*", JSON_T},
        {JSON_T, JSON_T},
        {PROTO_T, PROTO_T},
        {"Application/X-Protobuf", PROTO_T},
        {PROTO_T ";q=0.5, " JSON_T ";q=0.4", PROTO_T},
        {PROTO_T ";q=0.4, " JSON_T ";q=0.5", JSON_T},
        {PROTO_T ", */*", PROTO_T},
        {"*/*, " PROTO_T, PROTO_T},
        {PROTO_T ", " JSON_T, PROTO_T},
        {JSON_T ", " PROTO_T, JSON_T},
        {"*/*;q=0.1, " PROTO_T ";q=0", JSON_T},
        {JSON_T ";q=0, */*", PROTO_T},
        {JSON_T ";q=0.0, application/*;q=0.001", PROTO_T},
        {JSON_T ";charset=utf-8", JSON_T},
        {JSON_T " ; charset=utf-8 ; Q=0.3 , " PROTO_T " ; q=0.2", JSON_T},
        {"text/html, application/xhtml+xml, */*;q=0.8", JSON_T},
        {"text/html", NULL},
        {"text/*", NULL},
        {"application/xml;q=1, " JSON_T ";q=0", NULL},
        {"*/*;q=0", NULL},
        {"*/*;q=0, " PROTO_T ";q=0.001", PROTO_T},
        {"application/problem+json", NULL},
        {"*", NULL},
        {", ,", NULL},
        {JSON_T ";q=2", JSON_T}, /* no weight: as if none were given */
        {JSON_T ";q=0.5555, " PROTO_T ";q=0.7", JSON_T},
        {JSON_T ";q=, " PROTO_T ";q=0.999", JSON_T},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        const char *got = accept_choose(CASES[i].accept ? span_of(CASES[i].accept) : SPAN_NONE, MESSAGE);
        bool ok = got && CASES[i].want ? !strcmp(got, CASES[i].want) : got == CASES[i].want;
        if (!ok) printf("\n    Accept: %s gave %s", CASES[i].accept, got ? got : "nothing");
        CHECK(ok);
    }
    CHECK(accept_quality(SPAN_NONE, SPAN("text/html")) == QUALITY_MOST);
    CHECK(accept_quality(SPAN("text/html;q=0.25"), SPAN("text/html")) == 250);
    CHECK(accept_quality(SPAN("image/png, */*;q=0.1"), SPAN("text/html")) == 100);
    CHECK(accept_quality(SPAN("application/json"), SPAN("text/html")) == 0);
}

enum { NOTHING = CODINGS, NO_BROTLI = CODINGS_ALL & ~(1 << CODING_BROTLI), PLAIN = 1 << CODING_IDENTITY };

static void codings(void) {
    static const struct {
        const char *accept;
        unsigned available, want;
    } CASES[] = {
        {NULL, CODINGS_ALL, CODING_IDENTITY},
        {"", CODINGS_ALL, CODING_IDENTITY},
        {"gzip", CODINGS_ALL, CODING_GZIP},
        {"x-gzip", CODINGS_ALL, CODING_GZIP},
        {"GZIP;Q=1.000", CODINGS_ALL, CODING_GZIP},
        {"gzip, deflate, br", CODINGS_ALL, CODING_BROTLI},
        {"gzip, deflate, br", NO_BROTLI, CODING_GZIP},
        {"gzip, deflate, br", PLAIN, CODING_IDENTITY},
        {"br;q=0.5, gzip;q=0.6", CODINGS_ALL, CODING_GZIP},
        {"br;q=0.5, gzip;q=0.6, identity", CODINGS_ALL, CODING_IDENTITY},
        {"gzip;q=0", CODINGS_ALL, CODING_IDENTITY},
        {"gzip;q=0.0, *", CODINGS_ALL, CODING_BROTLI},
        {"*", NO_BROTLI, CODING_GZIP},
        {"*;q=0", CODINGS_ALL, NOTHING},
        {"*;q=0, gzip;q=0.1", CODINGS_ALL, CODING_GZIP},
        {"*;q=0, identity", CODINGS_ALL, CODING_IDENTITY},
        {"identity;q=0", CODINGS_ALL, NOTHING},
        {"identity;q=0, br", CODINGS_ALL, CODING_BROTLI},
        {"identity;q=0, br", PLAIN, NOTHING},
        {"deflate, zstd", CODINGS_ALL, CODING_IDENTITY},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Coding got;
        Span accept = CASES[i].accept ? span_of(CASES[i].accept) : SPAN_NONE;
        bool some = coding_choose(accept, CASES[i].available, &got);
        if (some != (CASES[i].want != NOTHING) || (some && got != CASES[i].want))
            printf("\n    Accept-Encoding: %s gave %d %d", CASES[i].accept, some, got);
        CHECK(some == (CASES[i].want != NOTHING));
        if (some) CHECK(got == CASES[i].want);
    }
}

static void entity_tags(void) {
    static const struct {
        const char *list;
        bool weakly, strongly;
    } CASES[] = {
        {NULL, false, false},
        {"", false, false},
        {"*", true, true},
        {" * ", true, true},
        {"\"2\"", true, true},
        {"W/\"2\"", true, false},
        {"w/\"2\"", false, false},
        {"\"1\", \"2\"", true, true},
        {"\"1\",W/\"2\"", true, false},
        {" , \"1\" ,, \"2\",", true, true},
        {"\"1,\"2\"", false, false},
        {"\"a,\"2\"\", \"2\"", false, false}, /* what follows a malformed one is not looked at */
        {"\"1,\", \"2\"", true, true},
        {"2", false, false},
        {"\"2", false, false},
        {"\"22\"", false, false},
        {"\"2\" \"3\"", true, true},
        {"\"1\", *", false, false},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Span list = CASES[i].list ? span_of(CASES[i].list) : SPAN_NONE;
        bool ok = tag_listed(list, SPAN("\"2\"")) == CASES[i].weakly &&
                  tag_listed_strongly(list, SPAN("\"2\"")) == CASES[i].strongly;
        if (!ok) printf("\n    %s", CASES[i].list);
        CHECK(ok);
    }
}

static void gzip_is_smaller_and_comes_back(void) {
    AUTO_BUF plain = {0}, gzip = {0}, brotli = {0};
    for (int i = 0; i < 2000; i++) buf_printf(&plain, "{\"prospectId\":%d,\"firstName\":\"Ada\"},", i);
    REQUIRE(compress_bytes(CODING_GZIP, buf_view(&plain), &gzip));
    REQUIRE(compress_bytes(CODING_BROTLI, buf_view(&plain), &brotli));
    CHECK(gzip.len < plain.len / 4 && brotli.len < plain.len / 4);
    z_stream z = {.next_in = (Bytef *)gzip.at, .avail_in = (uInt)gzip.len};
    AUTO_BUF back = {0};
    REQUIRE(buf_reserve(&back, plain.len + 1) && inflateInit2(&z, 15 + 16) == Z_OK);
    z.next_out = (Bytef *)back.at, z.avail_out = (uInt)plain.len + 1;
    CHECK(inflate(&z, Z_FINISH) == Z_STREAM_END && z.total_out == plain.len);
    inflateEnd(&z);
    CHECK(!memcmp(back.at, plain.at, plain.len));
}

SUITE("negotiate", TEST(media_types), TEST(codings), TEST(entity_tags), TEST(gzip_is_smaller_and_comes_back));
