#include "kit/test.h"

#include "store/grid/grid_log.h"
#include <stdio.h>

static GridLog *open_log(const char *folder) {
    char url[128];
    GridLog *log = NULL;
    Err err = {0};
    snprintf(url, sizeof url, "sqlite:%s/grid.db", folder);
    REQUIRE(CHECK_OK(grid_log_open(url, &log, &err), &err));
    return log;
}

static void append(GridLog *log, int64_t first, int64_t last) {
    Err err = {0};
    CHECK_OK(grid_log_begin(log, &err), &err);
    for (int64_t p = first; p <= last; p++) {
        char body[64];
        snprintf(body, sizeof body, "{\"n\":%lld,\"x\":\"\u00e4\u20ac\"}", (long long)p);
        CHECK_OK(grid_log_append(log, p, span_of(body), 1000 + p, &err), &err);
    }
    CHECK_OK(grid_log_commit(log, &err), &err);
}

typedef struct Seen {
    int64_t first, last;
    size_t count, most;
    bool whole;
} Seen;

static bool note(void *user, int64_t position, Span body) {
    Seen *seen = user;
    char want[64];
    snprintf(want, sizeof want, "{\"n\":%lld,\"x\":\"\u00e4\u20ac\"}", (long long)position);
    if (!seen->count++) seen->first = position;
    seen->last = position;
    seen->whole = span_is(body, want);
    return seen->count < seen->most;
}

static void reads_in_order(void) {
    AUTO(GridLog) log = open_log(test_folder());
    append(log, 1, 20);
    static const struct {
        int64_t after;
        size_t limit, stop_at;
        int64_t first, last;
        size_t count;
    } CASES[] = {{0, 100, 100, 1, 20, 20},
                 {0, 5, 100, 1, 5, 5},
                 {7, 100, 3, 8, 10, 3},
                 {19, 9, 100, 20, 20, 1},
                 {20, 9, 100, 0, 0, 0}};
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Seen seen = {.most = CASES[i].stop_at, .whole = true};
        Err err = {0};
        CHECK_OK(grid_log_read(log, CASES[i].after, CASES[i].limit, note, &seen, &err), &err);
        CHECK(seen.count == CASES[i].count && seen.first == CASES[i].first && seen.last == CASES[i].last);
        CHECK(seen.whole);
    }
}

/* Positions never come twice, also when everything has been delivered and deleted. */
static void positions_outlive_deletion(void) {
    const char *folder = test_folder();
    int64_t last, first, cursor;
    Err err = {0};
    {
        AUTO(GridLog) log = open_log(folder);
        CHECK(grid_log_last(log, &last, &err) && last == 0);
        CHECK(grid_log_first(log, &first, &err) && first == INT64_MAX);
        append(log, 1, 9);
        CHECK_OK(grid_log_set_cursor(log, SPAN("projection"), 8, &err), &err);
        CHECK_OK(grid_log_set_cursor(log, SPAN("projection"), 9, &err), &err);
        CHECK_OK(grid_log_set_cursor(log, SPAN("gateway"), 9, &err), &err);
        CHECK_OK(grid_log_delete(log, 4, &err), &err);
        CHECK(grid_log_first(log, &first, &err) && first == 5);
        CHECK_OK(grid_log_delete(log, 9, &err), &err);
    }
    AUTO(GridLog) log = open_log(folder);
    CHECK(grid_log_last(log, &last, &err) && last == 9);
    CHECK(grid_log_first(log, &first, &err) && first == INT64_MAX);
    CHECK(grid_log_cursor(log, SPAN("projection"), &cursor, &err) && cursor == 9);
    CHECK(grid_log_cursor(log, SPAN("nobody"), &cursor, &err) && cursor == 0);
}

static void rollback_leaves_nothing(void) {
    AUTO(GridLog) log = open_log(test_folder());
    Err err = {0};
    int64_t last, count;
    append(log, 1, 2);
    CHECK(grid_log_begin(log, &err) && grid_log_append(log, 3, SPAN("{}"), 1, &err));
    CHECK(!grid_log_append(log, 3, SPAN("{}"), 1, &err) && err.kind == &ERR_DUPLICATE);
    grid_log_rollback(log);
    err_clear(&err);
    CHECK(grid_log_last(log, &last, &err) && last == 2);
    const GridDeadLetter letter = {.subscription = SPAN("gateway"),
                                   .body = SPAN("{}"),
                                   .reason = SPAN("NotAccepted"),
                                   .last_outcome = SPAN("HTTP 400"),
                                   .position = 2,
                                   .attempts = 1,
                                   .dead_at_us = 5};
    CHECK_OK(grid_log_bury(log, &letter, &err), &err);
    CHECK(grid_log_buried(log, &count, &err) && count == 1);
}

SUITE("grid_log", TEST(reads_in_order), TEST(positions_outlive_deletion), TEST(rollback_leaves_nothing));
