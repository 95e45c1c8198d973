#include "kit/test.h"
#include "kit/web.h"

#include "grid/grid_endpoint.h"
#include "grid/grid_publish.h"
#include <stdio.h>

static void statuses_have_verdicts(void) {
    static const struct {
        int status;
        size_t events;
        GridVerdict want;
    } CASES[] = {
        {200, 9, GRID_DELIVERED}, {201, 1, GRID_DELIVERED}, {204, 1, GRID_DELIVERED}, {205, 1, GRID_LATER},
        {0, 1, GRID_LATER},       {301, 1, GRID_LATER},     {400, 2, GRID_HALVE},     {400, 1, GRID_GIVE_UP},
        {401, 1, GRID_GIVE_UP},   {403, 3, GRID_HALVE},     {404, 1, GRID_LATER},     {408, 1, GRID_LATER},
        {413, 2, GRID_HALVE},     {413, 1, GRID_GIVE_UP},   {429, 1, GRID_LATER},     {500, 5, GRID_LATER},
        {503, 1, GRID_LATER},
    };
    for (size_t i = 0; i < COUNT(CASES); i++)
        CHECK(grid_verdict(CASES[i].status, CASES[i].events) == CASES[i].want);
}

static void pauses_follow_the_schedule(void) {
    static const struct {
        unsigned attempt;
        int status;
        int64_t least_s;
    } CASES[] = {
        {0, 500, 10},   {1, 500, 10},   {2, 500, 30},    {3, 500, 60},    {4, 500, 300},    {5, 500, 600},
        {6, 500, 1800}, {7, 500, 3600}, {8, 500, 10800}, {9, 500, 21600}, {10, 500, 43200}, {99, 500, 43200},
        {1, 503, 30},   {2, 503, 30},   {3, 503, 60},    {1, 408, 120},   {4, 408, 300},    {1, 404, 300},
        {1, 401, 300},  {1, 0, 5},      {30, 0, 5},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        int64_t least = CASES[i].least_s * 1000;
        CHECK(grid_retry_wait_ms(CASES[i].attempt, CASES[i].status, 0) == least);
        int64_t most = grid_retry_wait_ms(CASES[i].attempt, CASES[i].status, UINT32_MAX);
        CHECK(most > least && most <= least + least / 10);
    }
}

static void publish_statuses_have_outcomes(void) {
    static const struct {
        int status;
        size_t taken;
        GridOutcome want;
    } CASES[] = {
        {200, 1, GRID_PUBLISHED}, {0, 1, GRID_RETRY},     {400, 8, GRID_SPLIT},   {400, 1, GRID_BAD},
        {401, 1, GRID_REFUSED},   {403, 1, GRID_REFUSED}, {404, 2, GRID_REFUSED}, {302, 1, GRID_REFUSED},
        {408, 1, GRID_RETRY},     {413, 2, GRID_SPLIT},   {413, 1, GRID_BAD},     {429, 1, GRID_RETRY},
        {500, 1, GRID_RETRY},     {503, 1, GRID_RETRY},   {599, 1, GRID_RETRY},
    };
    for (size_t i = 0; i < COUNT(CASES); i++)
        CHECK(grid_publish_outcome(CASES[i].status, CASES[i].taken) == CASES[i].want);
}

/* Consents or not by the path of the endpoint. */
static void on_handshake(void *user, HttpExchange *x) {
    (void)user;
    bool asked = span_is(http_method(x), "OPTIONS") && http_header(x, "webhook-request-origin").len &&
                 span_is(http_header(x, "x-events-webhook-secret"), "s3cret") &&
                 span_is(http_header(x, "aeg-subscription-name"), "PROJECTION");
    Span path = http_path(x), origin = http_header(x, "webhook-request-origin");
    if (span_is(path, "/star")) origin = SPAN("*");
    if (span_is(path, "/other")) origin = SPAN("example.org");
    const HttpField field = {"webhook-allowed-origin", origin};
    bool silent = span_is(path, "/silent"), refused = span_is(path, "/refused");
    http_respond(x, &(HttpAnswer){.status = !asked    ? 500
                                            : refused ? 401
                                                      : 200,
                                  .fields = &field,
                                  .field_count = !silent});
}

static void handshakes_need_consent(void) {
    static const struct {
        const char *path;
        bool consents;
        int status;
    } CASES[] = {{"/same", true, 200},
                 {"/star", true, 200},
                 {"/other", false, 200},
                 {"/silent", false, 200},
                 {"/refused", false, 401}};
    TestWeb *web = test_web_start(on_handshake, NULL);
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO(GridEndpoint) endpoint = NULL;
        Err err = {0};
        int status;
        const GridEndpointOptions options = {
            .name = "projection", .url = test_web_url(web, CASES[i].path), .secret = "s3cret"};
        REQUIRE(CHECK_OK(grid_endpoint_open(&options, &endpoint, &err), &err));
        CHECK(grid_endpoint_handshake(endpoint, &status, &err) == CASES[i].consents);
        CHECK(status == CASES[i].status);
    }
    test_web_stop(web);
}

SUITE("grid_endpoint", TEST(statuses_have_verdicts), TEST(pauses_follow_the_schedule),
      TEST(publish_statuses_have_outcomes), TEST(handshakes_need_consent));
