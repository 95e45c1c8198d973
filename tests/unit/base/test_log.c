/* What a line of the log says, and what it does not. */
#include "base/log.h"
#include "kit/test.h"
#include <stdio.h>
#include <unistd.h>

/* The one line that log_info() writes. */
static Span line_of(LogField field, char *room, size_t size) {
    int ends[2], before = dup(STDERR_FILENO);
    REQUIRE(before >= 0 && pipe(ends) == 0);
    dup2(ends[1], STDERR_FILENO);
    log_info("tested", field);
    dup2(before, STDERR_FILENO);
    close(before), close(ends[1]);
    ssize_t len = read(ends[0], room, size);
    close(ends[0]);
    REQUIRE(len > 0);
    return (Span){room, (size_t)len};
}

static void ids_that_are_none_are_redacted(void) {
    static const struct { const char *id, *shown; } CASES[] = {
        {"0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6069", "0190b3c4-5d6e-7f80-9a1b-2c3d4e5f6069"},
        {"prospect/12345", "prospect/12345"}, {"req-17", "req-17"}, {"4711", "4711"}, {"", ""},
        {"ada@example.org", "redacted"}, {"ada1@example.org", "redacted"}, {"Lovelace", "redacted"},
        {"Ada Lovelace 7", "redacted"}, {"+442079460958", "redacted"}, {"442079460958", "redacted"},
        {"020-7946-0958", "redacted"}, {"L\xc3\xb6velace7", "redacted"}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char room[512], want[128];
        Span line = line_of(LOG_ID("id", span_of(CASES[i].id)), room, sizeof room);
        snprintf(want, sizeof want, ",\"id\":\"%s\"}\n", CASES[i].shown);
        if (!span_ends(line, span_of(want))) printf("\n    %s: %.*s", CASES[i].id, SPAN_ARGS(line));
        CHECK(span_ends(line, span_of(want)));
    }
}

static void texts_are_escaped(void) {
    char room[512];
    CHECK(span_ends(line_of(LOG_TEXT("reason", "a\"b\\c\n\x7f"), room, sizeof room),
                    SPAN("\"event\":\"tested\",\"reason\":\"a\\\"b\\\\c\\u000a\\u007f\"}\n")));
    CHECK(span_ends(line_of(LOG_INT("n", INT64_MIN), room, sizeof room), SPAN(",\"n\":-9223372036854775808}\n")));
}

SUITE("log", TEST(ids_that_are_none_are_redacted), TEST(texts_are_escaped));
