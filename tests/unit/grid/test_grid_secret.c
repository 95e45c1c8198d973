#include "kit/test.h"

#include "base/clock.h"
#include "grid/grid_secret.h"
#include "grid/grid_webhook.h"

static void compares_secrets(void) {
    static const struct {
        const char *secrets, *given;
        bool matches;
    } CASES[] = {
        {"one", "one", true},     {"one", "two", false},     {"one,two", "two", true},
        {"one,two", "one", true}, {"one, two", "two", true}, {"one,two", "one,two", false},
        {"one", "", false},       {"", "", false},           {"one,", "", false},
        {"one", "onE", false},    {"one", "one ", false},    {",one", "one", true},
    };
    for (size_t i = 0; i < COUNT(CASES); i++)
        CHECK(grid_secret_matches(CASES[i].secrets, span_of(CASES[i].given)) == CASES[i].matches);
    CHECK(!grid_secret_matches("one", SPAN_NONE));
}

static void reads_expiries(void) {
    static const struct {
        const char *text, *want;
    } CASES[] = {
        {"6/15/2017 6:20:15 PM", "2017-06-15T18:20:15Z"},
        {"12/1/2026 12:00:00 AM", "2026-12-01T00:00:00Z"},
        {"2017-06-15T18:20:15Z", "2017-06-15T18:20:15Z"},
        {"2017-06-15T18:20:15+02:00", "2017-06-15T16:20:15Z"},
        {"2017-06-15 18:20:15.5", "2017-06-15T18:20:15.5Z"},
        {"15/6/2017 6:20:15 PM", NULL},
        {"1497550815", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        int64_t us;
        char text[CLOCK_TEXT];
        bool read = grid_token_expiry(span_of(CASES[i].text), &us);
        CHECK(read == !!CASES[i].want);
        if (!read) continue;
        clock_format(us, text);
        CHECK_SPAN(span_of(text), CASES[i].want);
    }
}

/* Signatures made with Python's hmac from Event Grid's published recipe, key "c2VjcmV0LWtleQ==". */
static void checks_tokens(void) {
#define RESOURCE "r=https%3A%2F%2Flocalhost%3A8444%2Fapi%2Fevents%3FapiVersion%3D2018-01-01"
    static const struct {
        const char *keys, *token;
        bool valid;
    } CASES[] = {
        {"c2VjcmV0LWtleQ==",
         RESOURCE "&e=1%2F2%2F2036%203%3A04%3A05%20AM&s=P6FhZ3SjzEVXWuICPlph9ATQAnr%2Fv5PMJIEX44NdfD4%3D",
         true},
        {"b3RoZXI=,c2VjcmV0LWtleQ==",
         RESOURCE "&e=1%2F2%2F2036%203%3A04%3A05%20AM&s=P6FhZ3SjzEVXWuICPlph9ATQAnr%2Fv5PMJIEX44NdfD4%3D",
         true},
        {"c2VjcmV0LWtleQ",
         RESOURCE "&e=1%2F2%2F2036%203%3A04%3A05%20AM&s=P6FhZ3SjzEVXWuICPlph9ATQAnr%2Fv5PMJIEX44NdfD4%3D",
         true}, /* key without padding */
        {"b3RoZXI=",
         RESOURCE "&e=1%2F2%2F2036%203%3A04%3A05%20AM&s=P6FhZ3SjzEVXWuICPlph9ATQAnr%2Fv5PMJIEX44NdfD4%3D",
         false},
        {"c2VjcmV0LWtleQ==",
         RESOURCE "&e=1%2F2%2F2037%203%3A04%3A05%20AM&s=P6FhZ3SjzEVXWuICPlph9ATQAnr%2Fv5PMJIEX44NdfD4%3D",
         false}, /* longer life */
        {"c2VjcmV0LWtleQ==",
         RESOURCE "&e=2020-01-01T00%3A00%3A00Z&s=aD3hCo5jnVlSO4c7bD5Dv3ihrXWKjK0faBnlueCnD%2B0%3D",
         false}, /* expired */
        {"c2VjcmV0LWtleQ==",
         "r=https%3A%2F%2Flocalhost%2Fapi%2Fother&e=2036-01-01T00%3A00%3A00Z&s=RhLGLwfnrnq9yWMlmXqpp%2FVrK%"
         "2B7jpnveOxGnXoQV%2FCE%3D",
         false},
        {"c2VjcmV0LWtleQ==",
         "r=https%3A%2F%2Flocalhost%2Fapi%2Fevents&e=2036-01-01T00%3A00%3A00Z&s=NE5ZrTHcDd%2Bq9IyM8dy%"
         "2FlPoawzI3I8M2%2BhaqzHaEwaw%3D",
         true},
        {"c2VjcmV0LWtleQ==", RESOURCE "&e=1%2F2%2F2036%203%3A04%3A05%20AM&s=", false},
        {"c2VjcmV0LWtleQ==", RESOURCE "&e=1%2F2%2F2036%203%3A04%3A05%20AM", false},
        {"c2VjcmV0LWtleQ==", "s=%zz", false},
        {"c2VjcmV0LWtleQ==", "", false},
    };
    int64_t now;
    REQUIRE(clock_parse(SPAN("2026-11-23T00:00:00Z"), &now));
    for (size_t i = 0; i < COUNT(CASES); i++)
        CHECK(grid_token_valid(CASES[i].keys, span_of(CASES[i].token), "/api/events", now) == CASES[i].valid);
}

SUITE("grid_secret", TEST(compares_secrets), TEST(reads_expiries), TEST(checks_tokens));
