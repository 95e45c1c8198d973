#include "gateway/auth/proxies.h"
#include "kit/test.h"
#include <stdio.h>

static void networks(void) {
    static const struct {
        const char *networks, *address;
        bool trusted;
    } CASES[] = {
        {"", "127.0.0.1", false},
        {"127.0.0.1", "127.0.0.1", true},
        {"127.0.0.1", "127.0.0.2", false},
        {"127.0.0.1", "::ffff:127.0.0.1", true},
        {"10.0.0.0/8", "10.255.0.1", true},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"10.16.0.0/12", "10.31.255.255", true},
        {"10.16.0.0/12", "10.32.0.0", false},
        {" 10.0.0.0/8 , fd00::/8 ,", "fd12::1", true},
        {"fd00::/8", "fe00::1", false},
        {"0.0.0.0/0", "8.8.8.8", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "8.8.8.8", true},
        {"::1", "::1", true},
        {"10.0.0.0/8", "not an address", false},
        {"10.0.0.0/8", "", false},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO(Proxies) p = NULL;
        Err err = {0};
        if (!CHECK_OK(proxies_read(CASES[i].networks, &p, &err), &err)) continue;
        bool trusted = proxies_trust(p, span_of(CASES[i].address));
        if (trusted != CASES[i].trusted) printf("\n    %s in %s", CASES[i].address, CASES[i].networks);
        CHECK(trusted == CASES[i].trusted);
    }
}

static void settings_that_are_wrong(void) {
    static const char *const BAD[] = {"x",      "10.0.0.0/33",  "10.0.0.0/-1", "10.0.0/8",
                                      "::/129", "10.0.0.0/8/8", "10.0.0.0/"};
    for (size_t i = 0; i < COUNT(BAD); i++) {
        Proxies *p = NULL;
        Err err = {0};
        CHECK(!proxies_read(BAD[i], &p, &err) && err_is(&err, &ERR_CONFIG) && !p);
    }
}

static void clients(void) {
    static const struct {
        const char *list, *client;
    } CASES[] = {
        {NULL, "10.0.0.1"},
        {"", "10.0.0.1"},
        {"192.0.2.7", "192.0.2.7"},
        {"192.0.2.7:4321", "192.0.2.7"},
        {"[2001:db8::7]:4321", "2001:db8::7"},
        {"[2001:db8::7]", "2001:db8::7"},
        {"2001:db8::7", "2001:db8::7"},
        {"8.8.8.8, 192.0.2.7", "192.0.2.7"}, /* the first was made up by the second */
        {"8.8.8.8, 192.0.2.7, 10.0.0.2", "192.0.2.7"},
        {"10.0.0.3, 10.0.0.2", "10.0.0.3"},
        {"192.0.2.7, unknown", "10.0.0.1"},
        {"192.0.2.7, unknown, 10.0.0.2", "10.0.0.2"},
        {"192.0.2.7,", "10.0.0.1"},
        {",", "10.0.0.1"},
        {"[", "10.0.0.1"},
        {":", "10.0.0.1"},
    };
    AUTO(Proxies) p = NULL;
    Err err = {0};
    REQUIRE(proxies_read("10.0.0.0/8", &p, &err));
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Span list = CASES[i].list ? span_of(CASES[i].list) : SPAN_NONE;
        CHECK_SPAN(proxies_client(p, SPAN("10.0.0.1"), list), CASES[i].client);
    }
}

SUITE("proxies", TEST(networks), TEST(settings_that_are_wrong), TEST(clients));
