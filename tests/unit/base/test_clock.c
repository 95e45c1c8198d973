#include "base/clock.h"
#include "kit/test.h"
#include <time.h>

static void round_trip(void) {
    static const struct { int64_t us; const char *text; } CASES[] = {
        {0, "1970-01-01T00:00:00Z"},
        {951782400000000, "2000-02-29T00:00:00Z"},
        {1795430430123456, "2026-11-23T10:40:30.123456Z"},
        {1795430430100000, "2026-11-23T10:40:30.1Z"},
        {253402300799000000, "9999-12-31T23:59:59Z"}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char text[CLOCK_TEXT];
        int64_t us = -1;
        clock_format(CASES[i].us, text);
        CHECK_SPAN(span_of(text), CASES[i].text);
        CHECK(clock_parse(span_of(text), &us) && us == CASES[i].us);
    }
}

static void other_forms(void) {
    static const struct { const char *text; bool ok; int64_t want; } CASES[] = {
        {"1970-01-01T01:00:00+01:00", true, 0},
        {"1970-01-01t00:00:01z", true, 1000000},
        {"1970-01-01 00:00:00.1234567Z", true, 123456},
        {"1970-01-01T00:00:00", false, 0},
        {"1969-12-31T23:59:59Z", false, 0},
        {"2023-02-29T00:00:00Z", false, 0},
        {"2023-13-01T00:00:00Z", false, 0},
        {"2023-01-01T24:00:00Z", false, 0},
        {"2023-01-01T00:00:00.Z", false, 0},
        {"2023-01-01T00:00:00Zx", false, 0},
        {"", false, 0}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        int64_t us = 0;
        CHECK(clock_parse(span_of(CASES[i].text), &us) == CASES[i].ok);
        if (CASES[i].ok) CHECK(us == CASES[i].want);
    }
}

static void every_day_of_the_calendar(void) {
    for (int64_t day = 0; day < 2932897; day += 13) { /* to the end of 9999 */
        time_t at = (time_t)(day * 86400 + day % 86400);
        struct tm tm;
        char want[40], got[CLOCK_TEXT];
        gmtime_r(&at, &tm);
        strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%SZ", &tm);
        clock_format((int64_t)at * 1000000, got);
        if (strcmp(want, got) != 0) CHECK_SPAN(span_of(got), want);
    }
}

SUITE("clock", TEST(every_day_of_the_calendar), TEST(round_trip), TEST(other_forms));
