#include "base/span.h"
#include "kit/test.h"

static void split(void) {
    Span rest;
    CHECK_SPAN(span_split(SPAN("a=b=c"), '=', &rest), "a");
    CHECK_SPAN(rest, "b=c");
    CHECK_SPAN(span_split(SPAN("abc"), '=', &rest), "abc");
    CHECK(rest.at == NULL);
    CHECK_SPAN(span_split(SPAN("abc="), '=', &rest), "abc");
    CHECK(rest.at && rest.len == 0);
}

static void trim_and_compare(void) {
    CHECK_SPAN(span_trim(SPAN(" \t a b \t")), "a b");
    CHECK_SPAN(span_trim(SPAN("   ")), "");
    CHECK(span_equal_nocase(SPAN("Content-Type"), SPAN("content-tYPE")));
    CHECK(!span_equal_nocase(SPAN("a["), SPAN("a{")));
    CHECK(span_starts(SPAN("prospect/1"), SPAN("prospect/")) && !span_starts(SPAN("p"), SPAN("pr")));
    CHECK(span_ends(SPAN("prospect/*"), SPAN("/*")) && !span_ends(SPAN("*"), SPAN("/*")));
}

static void numbers(void) {
    static const struct { const char *text; uint64_t max; bool ok; uint64_t want; } CASES[] = {
        {"0", 9, true, 0}, {"42", 100, true, 42}, {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, false, 0}, {"99999999999999999999", UINT64_MAX, false, 0},
        {"101", 100, false, 0}, {"", 9, false, 0}, {"-1", 9, false, 0}, {"1 ", 9, false, 0}, {"0x1", 9, false, 0}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        uint64_t got = 77;
        CHECK(span_to_u64(span_of(CASES[i].text), CASES[i].max, &got) == CASES[i].ok);
        CHECK(got == (CASES[i].ok ? CASES[i].want : 77));
    }
}

static void copy_refuses_what_does_not_fit(void) {
    char to[4];
    CHECK(span_copy(SPAN("abc"), to, sizeof to) && !strcmp(to, "abc"));
    CHECK(!span_copy(SPAN("abcd"), to, sizeof to));
    CHECK(!span_copy(span_bytes("a\0b", 3), to, sizeof to));
}

SUITE("span", TEST(split), TEST(trim_and_compare), TEST(numbers), TEST(copy_refuses_what_does_not_fit));
