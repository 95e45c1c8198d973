#include "kit/test.h"
#include "net/output.h"
#include "net/websocket/ws_frame.h"
#include <stdio.h>

typedef struct Seen {
    char text[4096];
    size_t len;
} Seen;

/* "1:hello|" for each message. */
static bool note(void *user, int opcode, Span payload) {
    Seen *s = user;
    s->len +=
        (size_t)snprintf(s->text + s->len, sizeof s->text - s->len, "%d:%.*s|", opcode, SPAN_ARGS(payload));
    return true;
}

#define KEY0 "\0\0\0\0"
#define B(literal)                                                                                           \
    { (literal), sizeof(literal) - 1 }

static const struct {
    const char *name;
    Span bytes;
    const char *want;
    int code;
} CASES[] = {
    {"text", B("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "1:Hello|", 0}, /* RFC 6455 section 5.7 */
    {"binary", B("\x82\x83" KEY0 "abc"), "2:abc|", 0},
    {"empty", B("\x81\x80" KEY0), "1:|", 0},
    {"two", B("\x82\x81" KEY0 "a\x82\x81" KEY0 "b"), "2:a|2:b|", 0},
    {"fragments", B("\x01\x81" KEY0 "a\x00\x81" KEY0 "b\x80\x81" KEY0 "c"), "1:abc|", 0},
    {"empty fragments", B("\x01\x80" KEY0 "\x00\x80" KEY0 "\x80\x80" KEY0), "1:|", 0},
    {"ping between fragments", B("\x01\x81" KEY0 "a\x89\x82" KEY0 "hi\x80\x81" KEY0 "b"), "9:hi|1:ab|", 0},
    {"pong, close", B("\x8a\x80" KEY0 "\x88\x82" KEY0 "\x03\xe8"), "10:|8:\x03\xe8|", 0},
    {"character over fragments", B("\x01\x81" KEY0 "\xc3\x80\x81" KEY0 "\xa9"), "1:\xc3\xa9|", 0},
    {"half a frame", B("\x82\x85" KEY0 "abc"), "", 0},
    {"not masked",
     B("\x82\x03"
       "abc"),
     "", 1002},
    {"rsv1", B("\xc2\x81" KEY0 "a"), "", 1002},
    {"rsv3", B("\x92\x81" KEY0 "a"), "", 1002},
    {"opcode 3", B("\x83\x81" KEY0 "a"), "", 1002},
    {"opcode 11", B("\x8b\x81" KEY0 "a"), "", 1002},
    {"continuation of nothing", B("\x80\x81" KEY0 "a"), "", 1002},
    {"message in a message", B("\x01\x81" KEY0 "a\x81\x81" KEY0 "b"), "", 1002},
    {"ping in pieces", B("\x09\x81" KEY0 "a"), "", 1002},
    {"ping of 126 bytes", B("\x89\xfe\x00\x7e" KEY0), "", 1002},
    {"length not minimal", B("\x82\xfe\x00\x05" KEY0 "abcde"), "", 1002},
    {"64-bit length not minimal", B("\x82\xff\0\0\0\0\0\0\x00\x05" KEY0 "abcde"), "", 1002},
    {"negative length", B("\x82\xff\x80\0\0\0\0\0\x00\x05" KEY0 "abcde"), "", 1002},
    {"not utf-8", B("\x81\x82" KEY0 "\xc0\xaf"), "", 1007},
    {"half a character", B("\x81\x81" KEY0 "\xc3"), "", 1007},
    {"binary is not checked", B("\x82\x82" KEY0 "\xc0\xaf"), "2:\xc0\xaf|", 0},
    {"too big", B("\x82\xe5" KEY0 "a"), "", 1009},
    {"too big at once", B("\x82\xff\0\0\0\0\x7f\xff\xff\xff" KEY0 "a"), "", 1009},
    /* by the head alone, without a byte of the payload */
    {"head: not masked", B("\x82\x03"), "", 1002},
    {"head: rsv1", B("\xc2\x81"), "", 1002},
    {"head: opcode 3", B("\x83\x81" KEY0), "", 1002},
    {"head: continuation of nothing", B("\x80\x81" KEY0), "", 1002},
    {"head: message in a message", B("\x01\x81" KEY0 "a\x81\x81" KEY0), "", 1002},
    {"head: too big", B("\x82\xe1" KEY0), "", 1009},
    {"head: too big, 64 bits", B("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff"), "", 1009},
    {"head: too big behind others", B("\x81\x81" KEY0 "a\x02\x81" KEY0 "b\x80\xfe\xff\xff" KEY0), "1:a|",
     1009},
    {"too big in pieces",
     B("\x02\xa0" KEY0 "12345678901234567890123456789012"
       "\x00\xa0" KEY0 "12345678901234567890123456789012"
       "\x00\xa1" KEY0 "1"),
     "", 1009},
};

static void frames(void) {
    WsPool pool = {0};
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Span bytes = CASES[i].bytes;
        for (size_t piece = 1; piece <= bytes.len; piece++) {
            WsReader r;
            Seen seen = {0};
            ws_reader_init(&r, &pool, 96);
            int code = 0;
            for (size_t at = 0; !code && at < bytes.len; at += piece)
                code = ws_reader_feed(
                    &r, (Span){bytes.at + at, piece < bytes.len - at ? piece : bytes.len - at}, note, &seen);
            bool ok = code == CASES[i].code && strcmp(seen.text, CASES[i].want) == 0;
            if (!ok) printf("\n    %s by %zu: %d, \"%s\"", CASES[i].name, piece, code, seen.text);
            CHECK(ok);
            if (code == 0)
                CHECK(!r.parser || strcmp(CASES[i].name, "half a frame") == 0); /* idle: nothing is held */
            ws_reader_clear(&r);
        }
    }
    CHECK(pool.count <= 1); /* one at a time was enough */
    ws_pool_clear(&pool);
}

static void headers(void) {
    static const struct {
        size_t len;
        Span want;
    } HEADS[] = {{0, B("\x82\x00")},
                 {125, B("\x82\x7d")},
                 {126, B("\x82\x7e\x00\x7e")},
                 {65535, B("\x82\x7e\xff\xff")},
                 {65536, B("\x82\x7f\0\0\0\0\0\x01\0\0")}};
    for (size_t i = 0; i < COUNT(HEADS); i++) {
        char out[WS_HEADER_MAX];
        CHECK(span_equal((Span){out, ws_header(out, 2, HEADS[i].len)}, HEADS[i].want));
    }
}

static void closes(void) {
    static const struct {
        Span payload;
        int code, fault;
    } CLOSES[] = {{B(""), 1005, 0},
                  {B("\x03"), 0, 1002},
                  {B("\x03\xe8"), 1000, 0},
                  {B("\x03\xe8"
                     "bye"),
                   1000, 0},
                  {B("\x03\xed"), 1005, 1002},
                  {B("\x03\xee"), 1006, 1002},
                  {B("\x03\xf7"), 1015, 1002},
                  {B("\x03\xe7"), 999, 1002},
                  {B("\x0b\xb7"), 2999, 1002},
                  {B("\x0b\xb8"), 3000, 0},
                  {B("\x11\x31"), 4401, 0},
                  {B("\x13\x88"), 5000, 1002},
                  {B("\x03\xe8\xff"), 1000, 1007},
                  {B("\x03\xe8\xce\xba\xe1"), 1000, 1007}};
    for (size_t i = 0; i < COUNT(CLOSES); i++) {
        int fault;
        CHECK(ws_close_parse(CLOSES[i].payload, &fault) == CLOSES[i].code);
        CHECK(fault == CLOSES[i].fault);
    }
}

/* The queue against a plain string, by pseudo-random steps. */
static void output_queue(void) {
    Output o;
    output_init(&o);
    AUTO_BUF model = {0};
    Blob *blob = must(blob_copy(SPAN("shared-by-many")));
    unsigned dice = 7;
    for (int step = 0; step < 20000; step++) {
        dice = dice * 1103515245 + 12345;
        unsigned kind = dice >> 16 & 7, size = dice >> 20 & 63;
        if (kind < 3) {
            char text[64];
            memset(text, 'a' + (int)(dice >> 8 & 15), sizeof text);
            CHECK(output_copy(&o, text, size));
            buf_append(&model, text, size);
        } else if (kind < 5) {
            CHECK(output_share(&o, blob, blob_view(blob)));
            buf_span(&model, blob_view(blob));
        } else if (kind == 5) {
            char scratch[100];
            Span run = output_run(&o, scratch, sizeof scratch);
            CHECK(run.len <= model.len && (run.len == 0 || memcmp(run.at, model.at, run.len) == 0));
        } else {
            struct iovec v[8];
            size_t sent = 0, count = output_vector(&o, v, 8);
            for (size_t i = 0; i < count; i++) sent += v[i].iov_len;
            if (sent && kind == 6) sent = 1 + dice % sent;
            for (size_t i = 0, at = 0; i < count && at < sent; at += v[i++].iov_len)
                CHECK(memcmp(v[i].iov_base, model.at + at,
                             v[i].iov_len < sent - at ? v[i].iov_len : sent - at) == 0);
            output_taken(&o, sent);
            buf_consume(&model, sent);
        }
        CHECK(o.bytes == model.len);
    }
    output_clear(&o);
    CHECK(o.bytes == 0 && atomic_load(&blob->refs) == 1);
    output_share(&o, blob, blob_view(blob));
    output_share(&o, blob, blob_view(blob));
    output_taken(&o, 3);
    CHECK(output_drop(&o, 1) == blob->len &&
          o.bytes == blob->len - 3u); /* the first has begun to leave: it stays */
    output_clear(&o);
    blob_unref(blob);
}

SUITE("ws_frame", TEST(frames), TEST(headers), TEST(closes), TEST(output_queue));
