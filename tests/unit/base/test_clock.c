#include "base/clock.h"
#include "kit/test.h"
#include <stdio.h>
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
    for (int64_t day = -719162; day < 2932897; day += 13) { /* from the first of the year 1 to the end of 9999 */
        time_t at = (time_t)(day * 86400 + (day + 719162) % 86400);
        ClockTime back;
        struct tm tm;
        char want[40], got[CLOCK_TEXT];
        gmtime_r(&at, &tm);
        snprintf(want, sizeof want, "%04d", tm.tm_year + 1900);
        strftime(want + 4, sizeof want - 4, "-%m-%dT%H:%M:%SZ", &tm);
        clock_format_exact((ClockTime){at, 0}, got);
        if (strcmp(want, got) != 0) CHECK_SPAN(span_of(got), want);
        if (!clock_parse_exact(span_of(want), &back) || back.seconds != at) CHECK_SPAN(span_of(want), "parsed as itself");
    }
}

static void exact_times(void) {
    static const struct { const char *text; int64_t seconds; int32_t nanos; const char *again; } CASES[] = {
        {"0001-01-01T00:00:00Z", CLOCK_FIRST_SECOND, 0, NULL},
        {"1815-12-10T07:08:09.5Z", -4861702311, 500000000, NULL},
        {"1969-12-31T23:59:59.999999999Z", -1, 999999999, NULL},
        {"1970-01-01T00:00:00.00000001Z", 0, 10, NULL},
        {"9999-12-31T23:59:59.999999999Z", CLOCK_LAST_SECOND, 999999999, NULL},
        {"1960-02-29T00:30:00+01:00", -310523400, 0, "1960-02-28T23:30:00Z"},
        {"2016-12-31T23:59:60Z", 1483228800, 0, "2017-01-01T00:00:00Z"}, /* a leap second */
        {"2026-01-01T00:00:00.1234567890000Z", 1767225600, 123456789, "2026-01-01T00:00:00.123456789Z"}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        ClockTime time = {0};
        char text[CLOCK_TEXT];
        CHECK(clock_parse_exact(span_of(CASES[i].text), &time));
        CHECK(time.seconds == CASES[i].seconds && time.nanos == CASES[i].nanos);
        CHECK(clock_format_exact(time, text) == strlen(text));
        CHECK_SPAN(span_of(text), CASES[i].again ? CASES[i].again : CASES[i].text);
    }
    static const char *const REFUSED[] = {"0000-12-31T00:00:00Z", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01",
                                          "2026-01-01T00:00:00.1234567891Z", "1900-02-29T00:00:00Z", "2026-04-31T00:00:00Z"};
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
        ClockTime time;
        CHECK(!clock_parse_exact(span_of(REFUSED[i]), &time));
    }
}

SUITE("clock", TEST(exact_times), TEST(every_day_of_the_calendar), TEST(round_trip), TEST(other_forms));
