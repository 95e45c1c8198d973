#include "gateway/stream/cursor.h"

#include "kit/test.h"
#include <stdio.h>

/* A log whose events 11 to 20 are all there; those below are some subjects' first and last ones. */
static const struct {
    const char *name;
    int64_t after;
    int64_t pages[3];
    LogAnswer answers[3]; /* before each page */
} CASES[] = {
    {"before the trim point", 9, {0}, {LOG_TOO_OLD}},
    {"at the trim point", 10, {15, 20}, {LOG_PAGE, LOG_PAGE}},
    {"all that is kept, page by page", 0, {3, 9, 20}, {LOG_PAGE, LOG_PAGE, LOG_PAGE}},
};

static void what_is_trimmed_is_no_silent_gap(void) {
    const ReplayHead head = {.epoch = "e", .head = 20};
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Cursor c = cursor_begin(true, CASES[i].after, 20);
        for (size_t k = 0; k < 3 && (!k || CASES[i].pages[k]); k++) {
            LogAnswer answer = cursor_ask_log(&head, 11, "e", c.whole ? 0 : c.at);
            if (answer != CASES[i].answers[k]) printf("\n    %s, page %zu", CASES[i].name, k + 1);
            CHECK(answer == CASES[i].answers[k]);
            if (cursor_page(&c, CASES[i].pages[k], 20)) cursor_join(&c);
        }
    }
}

/* What was live and has fallen behind is like any other that resumes. */
static void whole_ends_with_the_first_live_event(void) {
    const ReplayHead head = {.epoch = "e", .head = 20};
    Cursor c = cursor_begin(true, 0, 20);
    CHECK(c.whole && cursor_page(&c, 20, 20));
    cursor_join(&c);
    cursor_fall_back(&c, 5);
    CHECK(!c.whole && !c.live);
    CHECK(!cursor_begin(true, 0, 0).whole && !cursor_begin(false, 0, 0).whole);
    /* all is trimmed: even then */
    CHECK(cursor_ask_log(&head, 21, "e", 5) == LOG_TOO_OLD && cursor_ask_log(&head, 21, "e", 20) == LOG_PAGE);
    CHECK(cursor_ask_log(&head, 21, "f", 20) == LOG_OTHER_EPOCH);
}

SUITE("cursor", TEST(what_is_trimmed_is_no_silent_gap), TEST(whole_ends_with_the_first_live_event));
