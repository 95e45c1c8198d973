/* Small pure parts of the gateway: routes, cursors, origins, headers, attempts, rings. */
#include "gateway/auth/attempts.h"
#include "gateway/auth/origin.h"
#include "gateway/command.h"
#include "gateway/feed/keeper.h"
#include "gateway/rest/cursor.h"
#include "gateway/rest/request.h"
#include "gateway/routes.h"
#include "kit/test.h"

static void routes(void) {
    static const struct {
        const char *method, *path, *route, *param, *allow;
    } CASES[] = {
        {"POST", "/api/auth/login", "/api/auth/login", "", NULL},
        {"GET", "/api/auth/login", NULL, NULL, "OPTIONS, POST"},
        {"GET", "/api/prospects", "/api/prospects", "", NULL},
        {"HEAD", "/api/prospects", "/api/prospects", "", NULL},
        {"DELETE", "/api/prospects", NULL, NULL, "OPTIONS, GET, HEAD, POST"},
        {"PUT", "/api/prospects/12", "/api/prospects/{}", "12", NULL},
        {"PATCH", "/api/prospects/12", NULL, NULL, "OPTIONS, GET, HEAD, PUT"},
        {"GET", "/api/prospects/12/history", "/api/prospects/{}/history", "12", NULL},
        {"GET", "/api/prospects/12/13/history", NULL, NULL, ""},
        {"GET", "/api/prospects/", NULL, NULL, ""},
        {"POST", "/api/commands/CreateProspect", "/api/commands/{}", "CreateProspect", NULL},
        {"GET", "/api/nothing", NULL, NULL, ""},
        {"GET", "/test/bytes", NULL, NULL, ""},
        {"GET", "/ws/events", "/ws/events", "", NULL},
        {"HEAD", "/ws/events", NULL, NULL, "OPTIONS, GET"},
        {"CONNECT", "/ws/events", "/ws/events", "", NULL},
        {"CONNECT", "/api/prospects", NULL, NULL, "OPTIONS, GET, HEAD, POST"},
        {"CONNECT", "/", NULL, NULL, "OPTIONS, GET, HEAD"},
        {"OPTIONS", "*", NULL, NULL, "OPTIONS, GET, HEAD, POST, PUT"},
        {"GET", "/.well-known/jwks.json", "/.well-known/jwks.json", "", NULL},
        {"GET", "/", "/", "", NULL},
        {"GET", "/prospects/12", "/", "", NULL},
        {"GET", "/apiary", "/", "", NULL},
        {"POST", "/prospects", NULL, NULL, "OPTIONS, GET, HEAD"},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        RouteMatch m = routes_match(span_of(CASES[i].method), span_of(CASES[i].path), false);
        CHECK(!m.route == !CASES[i].route);
        if (m.route && CASES[i].route) CHECK_SPAN(span_of(m.route->path), CASES[i].route);
        if (m.route) CHECK_SPAN(m.param, CASES[i].param);
        if (CASES[i].allow) CHECK_SPAN(span_of(m.allow), CASES[i].allow);
    }
    CHECK(routes_match(SPAN("BREW"), SPAN("/test/echo"), true).route);
    CHECK(!routes_match(SPAN("CONNECT"), SPAN("/test/echo"), true).route);
    CHECK(routes_match(SPAN("CONNECT"), SPAN("/ws/echo"), true).route);
}

static void cursors(void) {
    AUTO_BUF text = {0}, other = {0}, bytes = {0}, more = {0}, long_text = {0};
    Cursor out;
    cursor_write(&text, &(Cursor){-5, SPAN("muller"), 42}, 7);
    REQUIRE(cursor_read(buf_view(&text), 7, &bytes, &out));
    CHECK(out.number == -5 && out.id == 42);
    CHECK_SPAN(out.key, "muller");
    CHECK(!cursor_read(buf_view(&text), 8, &more, &out)); /* of another list */
    buf_span(&other, buf_view(&text));
    other.at[3] ^= 1;
    buf_clear(&more);
    CHECK(!cursor_read(buf_view(&other), 7, &more, &out));
    static const char *const BAD[] = {"", "x", "%%%", "AQ", "AQAAAAAAAAAH"};
    for (size_t i = 0; i < COUNT(BAD); i++) {
        buf_clear(&more);
        CHECK(!cursor_read(span_of(BAD[i]), 7, &more, &out));
    }
    while (long_text.len <= CURSOR_TEXT_MAX) buf_byte(&long_text, 'A');
    CHECK(!cursor_read(buf_view(&long_text), 7, &more, &out));
}

static void origins(void) {
    static const struct {
        const char *origin, *allowed;
        bool tls, ok;
    } CASES[] = {
        {NULL, "", true, true},
        {"https://host:8443", "", true, true},
        {"http://host:8443", "", true, false},
        {"http://host:8443", "", false, true},
        {"https://evil.example", "", true, false},
        {"https://host:8443.evil.example", "", true, false},
        {"https://app.example", "https://other.example, https://app.example", true, true},
        {"null", "", true, false},
        {"", "", true, false},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Span origin = CASES[i].origin ? span_of(CASES[i].origin) : SPAN_NONE;
        CHECK(origin_allowed(origin, CASES[i].allowed, CASES[i].tls, SPAN("host:8443")) == CASES[i].ok);
    }
}

static void headers(void) {
    static const struct {
        const char *text;
        int64_t version; /* 0: refused */
    } IF_MATCH[] = {{"\"3\"", 3}, {"*", -1},    {" \"12\" ", 12},    {"3", 0}, {"W/\"3\"", 0}, {"\"0\"", 0},
                    {"\"\"", 0},  {"\"x\"", 0}, {"\"1\", \"2\"", 0}, {"", 0}};
    for (size_t i = 0; i < COUNT(IF_MATCH); i++) {
        int64_t version = 0;
        CHECK(if_match_read(span_of(IF_MATCH[i].text), &version) == (IF_MATCH[i].version != 0));
        CHECK(version == IF_MATCH[i].version);
    }
    CHECK(is_visible_ascii(SPAN("a~!"), 3) && !is_visible_ascii(SPAN("a b"), 9) &&
          !is_visible_ascii(SPAN(""), 9));
    CHECK(!is_visible_ascii(SPAN("abcd"), 3));
}

static void attempts(void) {
    AUTO(Attempts) a = attempts_new();
    int64_t wait, now = 1000000000;
    for (int i = 0; i < ATTEMPTS_BURST; i++) CHECK(attempts_take(a, SPAN("ada"), SPAN("::1"), now, &wait));
    CHECK(!attempts_take(a, SPAN("ada"), SPAN("::1"), now, &wait) && wait == 6);
    CHECK(attempts_take(a, SPAN("bob"), SPAN("::1"), now, &wait));
    CHECK(attempts_take(a, SPAN("ada"), SPAN("10.0.0.1"), now, &wait));
    CHECK(attempts_take(a, SPAN("ada"), SPAN("::1"), now + ATTEMPTS_REFILL_US, &wait));
    CHECK(!attempts_take(a, SPAN("ada"), SPAN("::1"), now + ATTEMPTS_REFILL_US, &wait));
    attempts_forgive(a, SPAN("ada"), SPAN("::1"));
    CHECK(attempts_take(a, SPAN("ada"), SPAN("::1"), now + ATTEMPTS_REFILL_US, &wait));
}

/* The i-th of many names. */
static bool attempt_of(Attempts *a, int i, const char *address, int64_t now, int64_t *wait) {
    char name[16];
    snprintf(name, sizeof name, "n%d", i);
    return attempts_take(a, span_of(name), span_of(address), now, wait);
}

static void many_names_from_one_address(void) {
    AUTO(Attempts) a = attempts_new();
    int64_t wait, now = 1000000000;
    int i = 0;
    for (; i < ATTEMPTS_HERE_BURST; i++) CHECK(attempt_of(a, i, "10.0.0.1", now, &wait));
    CHECK(!attempt_of(a, i++, "10.0.0.1", now, &wait) && wait == 1);
    CHECK(attempt_of(a, i++, "10.0.0.2", now, &wait));
    CHECK(attempt_of(a, i++, "10.0.0.1", now + ATTEMPTS_HERE_REFILL_US, &wait));
    CHECK(!attempt_of(a, i++, "10.0.0.1", now + ATTEMPTS_HERE_REFILL_US, &wait));
    attempts_forgive(a, SPAN("n0"), SPAN("10.0.0.1"));
    CHECK(attempt_of(a, i++, "10.0.0.1", now + ATTEMPTS_HERE_REFILL_US, &wait));
}

/* Who changes his address within his own /64 gets no further attempts by it. */
static void a_network_of_ipv6_is_one_address(void) {
    AUTO(Attempts) a = attempts_new();
    char address[64];
    int64_t wait, now = 1000000000;
    for (int i = 0; i <= ATTEMPTS_BURST; i++) {
        snprintf(address, sizeof address, "2001:db8:0:1::%x", i + 1);
        CHECK(attempts_take(a, SPAN("ada"), span_of(address), now, &wait) == (i < ATTEMPTS_BURST));
    }
    CHECK(attempts_take(a, SPAN("ada"), SPAN("2001:db8:0:2::1"), now, &wait));
}

static void rings(void) {
    HeldRing held;
    REQUIRE(held_ring_read(SPAN("held e-1 42"), &held));
    CHECK(held.position == 42);
    CHECK_SPAN(held.epoch, "e-1");
    static const char *const BAD[] = {"", "work", "held", "held e", "held e x", "held e -1", "last e 3"};
    for (size_t i = 0; i < COUNT(BAD); i++) CHECK(!held_ring_read(span_of(BAD[i]), &held));
}

SUITE("pure", TEST(routes), TEST(cursors), TEST(origins), TEST(headers), TEST(attempts),
      TEST(many_names_from_one_address), TEST(a_network_of_ipv6_is_one_address), TEST(rings));
