#include "base/buf.h"
#include "gateway/peers.h"
#include "kit/test.h"

#define READY "events_program_ready{program=\"relay\"} 1\n"

static const struct {
    const char *text;
    bool answers, ready;
    size_t count;
    int64_t x; /* of events_x; -1: there is none */
} REPORTS[] = {
    {READY, true, true, 0, -1},
    {"events_program_ready{program=\"relay\"} 0\n", true, false, 0, -1},
    {"# HELP events_x 7\n# TYPE events_x gauge\nevents_x 5\n" READY, true, true, 1, 5},
    {READY "events_x{to=\"a b\"} 3\nevents_x{to=\"c\"} 9\nevents_xy 20\n", true, true, 3, 9},
    {READY "events_x 9223372036854775807", true, true, 1, INT64_MAX},
    {READY "events_x -4\n", true, true, 1, -4},
    {READY "events_x 1.5\nevents_x\n events_x 1\nevents_x 1 2 \n\n\nevents_x\x01 4\n", true, true, 1, -1},
    {READY "events_x 18446744073709551616\n", true, true, 0, -1},
    {"events_x 5\n", false, false, 0, -1},
    {"events_program_ready{program=\"grid\"} 1\nevents_x 5\n", false, false, 0,
     -1}, /* another has the address */
    {"", false, false, 0, -1},
    {"<html>", false, false, 0, -1},
};

static void reports(void) {
    for (size_t i = 0; i < COUNT(REPORTS); i++) {
        PeerReport report = {.program = "relay", .answers = true, .ready = true, .count = 9};
        peer_report_read(&report, span_of(REPORTS[i].text));
        int64_t x = -1;
        CHECK(report.answers == REPORTS[i].answers && report.ready == REPORTS[i].ready);
        CHECK(report.count == REPORTS[i].count);
        CHECK(peer_report_find(&report, "events_x", &x) == (REPORTS[i].x != -1));
        CHECK(x == REPORTS[i].x);
        CHECK(!strcmp(report.program, "relay"));
    }
}

static void bounded(void) {
    AUTO_BUF text = {0};
    buf_text(&text, READY);
    for (int i = 0; i < 1000; i++) buf_printf(&text, "events_%d %d\n", i, i);
    PeerReport report = {.program = "relay"};
    peer_report_read(&report, buf_view(&text));
    CHECK(report.answers && report.count == PEER_METRICS);
}

SUITE("peers", TEST(reports), TEST(bounded));
