#include "base/bytes.h"
#include "kit/test.h"

enum { LEN = 19 };

/* The same by one byte at a time. */
static bool stands_for_itself(unsigned char c) {
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static void agrees_with_one_byte_at_a_time(void) {
    char text[LEN];
    for (int c = 0; c < 256; c++)
        for (size_t at = 0; at < LEN; at++) {
            memset(text, 'a', LEN);
            text[at] = (char)c;
            Span s = {text, LEN};
            CHECK(bytes_ascii_run(s) == (c < 0x80 ? LEN : at));
            CHECK(bytes_json_run(s) == (stands_for_itself((unsigned char)c) ? LEN : at));
            CHECK(bytes_printable(s) == (c >= 0x20 && c <= 0x7e));
        }
}

/* A byte that counts must not be hidden by its neighbours, nor make them count. */
static void neighbours_do_not_matter(void) {
    static const unsigned char EDGES[] = {0x00, 0x01, 0x1f, 0x20, 0x21, 0x22, 0x23, 0x5b,
                                          0x5c, 0x5d, 0x7e, 0x7f, 0x80, 0xa2, 0xdc, 0xff};
    for (size_t i = 0; i < sizeof EDGES; i++)
        for (size_t k = 0; k < sizeof EDGES; k++) {
            char text[8] = {'a', 'a', (char)EDGES[i], (char)EDGES[k], 'a', 'a', 'a', 'a'};
            size_t want = !stands_for_itself(EDGES[i]) ? 2 : !stands_for_itself(EDGES[k]) ? 3 : 8;
            CHECK(bytes_json_run((Span){text, 8}) == want);
        }
    CHECK(bytes_json_run(SPAN_NONE) == 0 && bytes_ascii_run(SPAN_NONE) == 0 && bytes_printable(SPAN_NONE));
}

SUITE("bytes", TEST(agrees_with_one_byte_at_a_time), TEST(neighbours_do_not_matter));
