#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include "kit/test.h"
#include <stdlib.h>
#include <utf8proc.h>

static void utf8(void) {
    static const struct { const char *text; bool valid; } CASES[] = {
        {"", true}, {"Ada", true}, {"\xc3\xa9", true}, {"\xf0\x9f\x8e\x93", true}, {"\xff", false},
        {"\xc0\xaf", false}, {"\xed\xa0\x80", false}, {"\xf4\x90\x80\x80", false}, {"a\xe2\x82", false}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        CHECK(text_is_utf8(span_of(CASES[i].text)) == CASES[i].valid);
}

static void trimming_and_counting(void) {
    CHECK_SPAN(text_trim(SPAN(" \xc2\xa0\xe2\x80\x83 x y \xe3\x80\x80")), "x y");
    CHECK_SPAN(text_trim(SPAN(" \xc2\xa0")), "");
    CHECK_SPAN(text_trim(SPAN("\xe2\x80\x8fx")), "\xe2\x80\x8fx"); /* a direction mark is no white space */
    CHECK(text_code_points(SPAN("a\xc3\xa9\xe9\x95\xb7\xf0\x9f\x8e\x93")) == 4);
}

static void controls(void) {
    CHECK(text_has_controls(SPAN("a\x07"), true));
    CHECK(text_has_controls(SPAN("a\xc2\x85z"), true)); /* NEL is category Cc */
    CHECK(text_has_controls(SPAN("a\nb"), false));
    CHECK(!text_has_controls(SPAN("a\r\n\tb"), true));
    CHECK(!text_has_controls(SPAN("\xe2\x80\x8c"), false));
}

static void forms(void) {
    AUTO(Arena) arena = arena_new(0);
    CHECK_SPAN(text_nfc(arena, SPAN("e\xcc\x81")), "\xc3\xa9");
    CHECK_SPAN(text_fold(arena, SPAN("STRASSE@\xc3\x89x.org")), "strasse@\xc3\xa9x.org");
    CHECK_SPAN(text_fold(arena, SPAN("stra\xc3\x9f" "e")), "strasse");
    CHECK_SPAN(text_search_form(arena, SPAN("\xc3\x89" "cole")), "ecole");
}

/* A text of random code points, among them all that has to be moved, split or put together. */
static size_t random_text(uint64_t *state, char *to) {
    static const int32_t POINTS[] = {'a', 'e', 0xe9, 0x130, 0x212b, 0x300, 0x301, 0x308, 0x316, 0x327, 0x334, 0x344, 0x345,
                                     0x390, 0x5b0, 0x9be, 0x9c7, 0xf71, 0xf72, 0xf73, 0x1100, 0x1161, 0x11a8, 0x1e9e,
                                     0x1f82, 0x3099, 0xac00, 0xfb2c, 0x1d15e, 0x1f600};
    size_t len = 0;
    for (int n = 0; n < 300; n++) {
        *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        if (n % 40 == 39 && *state >> 63) break;
        len += (size_t)utf8proc_encode_char(POINTS[(*state >> 33) % COUNT(POINTS)], (utf8proc_uint8_t *)to + len);
    }
    return len;
}

static bool is_like_utf8proc(Span text, Span (*ours)(Arena *, Span), utf8proc_option_t options) {
    AUTO(Arena) arena = arena_new(0);
    utf8proc_uint8_t *want;
    utf8proc_ssize_t len = utf8proc_map((const utf8proc_uint8_t *)text.at, (utf8proc_ssize_t)text.len, &want, options);
    bool same = len >= 0 && span_equal(ours(arena, text), span_bytes(want, (size_t)len));
    free(want);
    return same;
}

static void forms_are_those_of_utf8proc(void) {
    uint64_t state = 1;
    for (int n = 0; n < 3000; n++) {
        char bytes[1500];
        Span text = {bytes, random_text(&state, bytes)};
        int fold = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD;
        REQUIRE(is_like_utf8proc(text, text_nfc, UTF8PROC_STABLE | UTF8PROC_COMPOSE));
        REQUIRE(is_like_utf8proc(text, text_fold, (utf8proc_option_t)fold));
        REQUIRE(is_like_utf8proc(text, text_search_form, (utf8proc_option_t)(fold | UTF8PROC_STRIPMARK)));
    }
}

/* Below U+0300 text_nfc() does not look. */
static void nothing_below_the_marks_has_another_form(void) {
    for (int32_t point = 1; point < 0x300; point++) {
        char bytes[4];
        Span text = {bytes, (size_t)utf8proc_encode_char(point, (utf8proc_uint8_t *)bytes)};
        CHECK(is_like_utf8proc(text, text_nfc, UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    }
}

/* As many marks as a request of 256 KiB can hold, in the worst order: exchanging neighbours takes a minute. */
static void a_long_run_of_marks_takes_no_time(void) {
    static const char *const MARKS[][2] = {{"\xcc\x81", "\xcc\xa7"}, {"\xe0\xbd\xb3", "\xe0\xbd\xb3"}};
    for (size_t i = 0; i < COUNT(MARKS); i++) {
        AUTO(Arena) arena = arena_new(0);
        AUTO_BUF text = {0};
        buf_byte(&text, 'a');
        for (int n = 0; n < 120000; n++) buf_text(&text, MARKS[i][n >= 60000]);
        int64_t begun = clock_mono_us();
        Span form = text_nfc(arena, buf_view(&text));
        CHECK(form.at && clock_mono_us() - begun < 2000000);
    }
}

SUITE("text", TEST(utf8), TEST(trimming_and_counting), TEST(controls), TEST(forms), TEST(forms_are_those_of_utf8proc),
      TEST(nothing_below_the_marks_has_another_form), TEST(a_long_run_of_marks_takes_no_time));
