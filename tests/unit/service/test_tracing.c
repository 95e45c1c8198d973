#include "base/clock.h"
#include "kit/test.h"
#include "kit/web.h"
#include "observe/trace.h"
#include "service/tracing.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const NAMES[] = {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS",
                                    "OTEL_RESOURCE_ATTRIBUTES",    "OTEL_TRACES_SAMPLER_ARG",
                                    "OTEL_BSP_SCHEDULE_DELAY",     "OTEL_SDK_DISABLED"};

static const struct {
    const char *values[COUNT(NAMES)]; /* NULL: not set */
    bool fine, on;
} SETTINGS[] = {
    {{NULL}, true, false},
    {{"http://127.0.0.1:1"}, true, true},
    {{"https://collector.example/base/", "a=b,c=d", "x=y", "0.25", "50"}, true, true},
    {{"http://127.0.0.1:1", NULL, NULL, NULL, NULL, "true"}, true, false},
    {{"127.0.0.1:4318"}, false, false},
    {{"http://"}, false, false},
    {{"ftp://127.0.0.1"}, false, false},
    {{"http://name:password@127.0.0.1"}, false, false},
    {{"http://127.0.0.1/?key=secret"}, false, false},
    {{"http://127.0.0.1", "secret"}, false, false},
    {{"http://127.0.0.1", "a=b\r\nX: y"}, false, false},
    {{"http://127.0.0.1", NULL, "name"}, false, false},
    {{"http://127.0.0.1", NULL, NULL, "1.5"}, false, false},
    {{"http://127.0.0.1", NULL, NULL, "-1"}, false, false},
    {{"http://127.0.0.1", NULL, NULL, "all"}, false, false},
    {{"http://127.0.0.1", NULL, NULL, NULL, "0"}, false, false},
};

static bool open_with(const char *const *values, Tracing **ret, Err *err) {
    setenv("EVENTS_HOME", "/nonexistent", 1);
    for (size_t i = 0; i < COUNT(NAMES); i++)
        if (values && values[i]) setenv(NAMES[i], values[i], 1);
    char *argv[] = {(char[]){"events-relay"}, NULL};
    AUTO(Config) config = NULL;
    ConfigOutcome outcome;
    bool ok =
        config_load("relay", 1, argv, &config, &outcome, err) && tracing_open(config, "relay", ret, err);
    for (size_t i = 0; i < COUNT(NAMES); i++) unsetenv(NAMES[i]);
    return ok;
}

static void settings_are_checked_at_the_start(void) {
    for (size_t i = 0; i < COUNT(SETTINGS); i++) {
        AUTO(Tracing) tracing = NULL;
        Err err = {0};
        bool ok = open_with(SETTINGS[i].values, &tracing, &err);
        if (ok != SETTINGS[i].fine) printf("\n    case %zu: %s", i, err.why);
        CHECK(ok == SETTINGS[i].fine && !!tracing == SETTINGS[i].on && trace_on() == SETTINGS[i].on);
        CHECK(ok ||
              (err_is(&err, &ERR_CONFIG) && !strstr(err.why, "secret") && !strstr(err.why, "password")));
    }
    CHECK(!trace_on());
}

typedef struct Collector {
    atomic_int requests, good;
} Collector;

static void on_request(void *user, HttpExchange *x) {
    Collector *c = user;
    bool good = span_is(http_method(x), "POST") && span_is(http_path(x), "/v1/traces") &&
                span_is(http_header(x, "content-type"), "application/x-protobuf") &&
                span_is(http_header(x, "api-key"), "k=1") && http_body(x).len > 60;
    atomic_fetch_add(&c->good, good);
    int before = atomic_fetch_add(&c->requests, 1);
    test_web_answer(x, before ? 200 : 503, "");
}

/* The first try fails. */
static void spans_arrive_over_http(void) {
    Collector c = {0};
    TestWeb *web = test_web_start(on_request, &c);
    const char *values[COUNT(NAMES)] = {test_web_url(web, ""), "api-key=k=1", NULL, NULL, "1"};
    Tracing *tracing = NULL;
    Err err = {0};
    REQUIRE(CHECK_OK(open_with(values, &tracing, &err), &err));
    TraceSpan room;
    char traceparent[TRACEPARENT_TEXT];
    trace_end(trace_begin_edge(&room, TRACE_SERVER, "GET", "/x", SPAN_NONE, traceparent));
    for (int i = 0; i < 20000 && atomic_load(&c.requests) < 2; i++) clock_sleep_ms(1);
    tracing_free(tracing);
    CHECK(atomic_load(&c.requests) == 2 && atomic_load(&c.good) == 2);
    test_web_stop(web);
}

SUITE("tracing", TEST(settings_are_checked_at_the_start), TEST(spans_arrive_over_http));
