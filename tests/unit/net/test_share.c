/* Who may listen on a port that somebody has? */
#include "base/auto.h"
#include "kit/test.h"
#include "net/http_server.h"
#include <stdio.h>

static const char *const KINDS[] = {"alone", "shared first", "shared next"};

/* A server of `first` has the port, and one of `second` wants it. */
static const struct {
    HttpShare first, second;
    bool shares;
} CASES[] = {
    {HTTP_SHARED_FIRST, HTTP_SHARED_NEXT, true}, {HTTP_SHARED_FIRST, HTTP_SHARED_FIRST, false},
    {HTTP_SHARED_FIRST, HTTP_ALONE, false},      {HTTP_ALONE, HTTP_SHARED_FIRST, false},
    {HTTP_ALONE, HTTP_SHARED_NEXT, false},       {HTTP_ALONE, HTTP_ALONE, false},
};

static void a_port_with_an_owner(void) {
    AUTO(Loop) loop = NULL;
    Err err = {0};
    const HttpServerOptions options = {0};
    CHECK_OK(loop_open(&loop, &err), &err);
    for (size_t i = 0; i < COUNT(CASES); i++) {
        HttpServer *first = NULL, *second = NULL;
        char address[32];
        CHECK_OK(http_server_open(loop, "127.0.0.1:0", CASES[i].first, &options, &first, &err), &err);
        snprintf(address, sizeof address, "127.0.0.1:%u", http_server_port(first));
        Err why = {0};
        bool opened = http_server_open(loop, address, CASES[i].second, &options, &second, &why);
        CHECK(opened == CASES[i].shares);
        if (opened != CASES[i].shares)
            printf("\n    %s, then %s", KINDS[CASES[i].first], KINDS[CASES[i].second]);
        CHECK(opened || err_is(&why, &ERR_UNAVAILABLE));
        http_server_free(second);
        http_server_free(first);
    }
}

SUITE("share", TEST(a_port_with_an_owner));
