#include "amqp/amqp_url.h"
#include "kit/test.h"

#include "base/auto.h"
#include <stdio.h>

static const struct {
    const char *url, *user, *password, *host, *port, *queue, *dead, *ca,
        *subscription; /* user NULL: refused */
} CASES[] = {
    {"amqp://u:p@h/q", "u", "p", "h", "5672", "q", "", ""},
    {"amqps://u:p@h/q", "u", "p", "h", "5671", "q", "", ""},
    {"amqps://u:p@h.example:443/identity-commands", "u", "p", "h.example", "443", "identity-commands", "",
     ""},
    {"amqp://u:p%40%3a@[::1]:99/a.b_c", "u", "p@:", "::1", "99", "a.b_c", "", ""},
    {"amqp://u:p@p@h/q", "u", "p@p", "h", "5672", "q", "", ""},
    {"amqp://u:p@[::1]/q", "u", "p", "::1", "5672", "q", "", ""},
    {"amqp://u:p@h/q?ca=/a/b.pem&dead=postgresql://x:y%2540@h/n?a%3Db", "u", "p", "h", "5672", "q",
     "postgresql://x:y%40@h/n?a=b", "/a/b.pem"},
    {"amqps://u:p@h/prospect-events/subscriptions/gateway-1", "u", "p", "h", "5671", "prospect-events", "",
     "", "gateway-1"},
    {"amqps://u:p@h/t/Subscriptions/s?ca=/c", "u", "p", "h", "5671", "t", "", "/c", "s"},
    {"amqp://u:p@h/t/subscriptions", NULL},
    {"amqp://u:p@h/t/subscriptions/", NULL},
    {"amqp://u:p@h/t/subscriptions/a/b", NULL},
    {"amqp://u:p@h/q/", NULL},
    {"amqp://h/q", NULL},
    {"amqp://u@h/q", NULL},
    {"amqp://:p@h/q", NULL},
    {"amqp://u:@h/q", NULL},
    {"amqp://u:p@/q", NULL},
    {"amqp://u:p@h:0/q", NULL},
    {"amqp://u:p@h:65536/q", NULL},
    {"amqp://u:p@h:x/q", NULL},
    {"amqp://u:p@[::1/q", NULL},
    {"amqp://u:p@[::1]9/q", NULL},
    {"amqp://u:p@h", NULL},
    {"amqp://u:p@h/", NULL},
    {"amqp://u:p@h/a/b", NULL},
    {"amqp://u:p@h/a%20b", NULL},
    {"amqp://u:p%4@h/q", NULL},
    {"amqp://u:p%zz@h/q", NULL},
    {"amqp://u:p%00@h/q", NULL},
    {"amqp://u:p@h/q?x=1", NULL},
    {"amqp://u:p@h/q?dead=", NULL},
    {"amqp://u:p@h/q?dead", NULL},
    {"mqtt://u:p@h/q", NULL},
    {"", NULL},
};

static void parsing(void) {
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AmqpUrl got;
        Err err = {0};
        bool parsed = amqp_url_parse(CASES[i].url, &got, &err);
        if (parsed != (CASES[i].user != NULL)) CHECK_SPAN(span_of(CASES[i].url), "the opposite");
        if (!parsed) CHECK(err_is(&err, &ERR_CONFIG) && !strstr(err.why, "p@h"));
        if (!parsed || !CASES[i].user) continue;
        CHECK_SPAN(span_of(got.user), CASES[i].user);
        CHECK_SPAN(span_of(got.password), CASES[i].password);
        CHECK_SPAN(span_of(got.host), CASES[i].host);
        CHECK_SPAN(span_of(got.port), CASES[i].port);
        CHECK_SPAN(span_of(got.queue), CASES[i].queue);
        CHECK_SPAN(span_of(got.dead), CASES[i].dead);
        CHECK_SPAN(span_of(got.ca), CASES[i].ca);
        CHECK_SPAN(span_of(got.subscription), CASES[i].subscription ? CASES[i].subscription : "");
        CHECK(got.tls == !strncmp(CASES[i].url, "amqps", 5));
    }
}

/* Whatever is too long is refused, never cut. */
static void too_long(void) {
    static const char *const FORMS[] = {"amqp://%s:p@h/q", "amqp://u:%s@h/q",        "amqp://u:p@%s/q",
                                        "amqp://u:p@h/%s", "amqp://u:p@h/q?dead=%s", "amqp://u:p@h/q?ca=%s"};
    char text[1000], url[1100];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    for (size_t i = 0; i < COUNT(FORMS); i++) {
        AmqpUrl got;
        Err err = {0};
        const char *at = strstr(FORMS[i], "%s");
        snprintf(url, sizeof url, "%.*s%s%s", (int)(at - FORMS[i]), FORMS[i], text, at + 2);
        CHECK(!amqp_url_parse(url, &got, &err) && err_is(&err, &ERR_CONFIG));
    }
}

/* By the host's name, unless something else is said. */
static void brokers(void) {
    static const struct {
        const char *url;
        int service_bus; /* -1: refused */
    } BROKERS[] = {
        {"amqps://u:p@h/q", 0},
        {"amqps://u:p@h/q?broker=rabbitmq", 0},
        {"amqps://u:p@h/q?broker=servicebus&ca=/a.pem", 1},
        {"amqps://u:p@h/q?ca=/a.pem&broker=servicebus", 1},
        {"amqps://rule:key@name.servicebus.windows.net/q", 1},
        {"amqps://rule:key@name.servicebus.windows.net/q?ca=/a.pem", 1},
        {"amqps://rule:key@name.servicebus.windows.net/q?broker=rabbitmq", 0},
        {"amqps://rule:key@name.servicebus.windows.net.example/q", 0},
        {"amqps://u:p@h/q?broker=kafka", -1},
        {"amqps://u:p@h/q?broker=", -1},
    };
    for (size_t i = 0; i < COUNT(BROKERS); i++) {
        AmqpUrl got;
        Err err = {0};
        bool parsed = amqp_url_parse(BROKERS[i].url, &got, &err);
        CHECK(parsed == (BROKERS[i].service_bus >= 0));
        if (parsed && got.service_bus != (BROKERS[i].service_bus == 1))
            CHECK_SPAN(span_of(BROKERS[i].url), "the other");
    }
}

SUITE("amqp url", TEST(parsing), TEST(too_long), TEST(brokers));
