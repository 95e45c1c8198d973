#include "base/text.h"
#include "kit/test.h"

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

SUITE("text", TEST(utf8), TEST(trimming_and_counting), TEST(controls), TEST(forms));
