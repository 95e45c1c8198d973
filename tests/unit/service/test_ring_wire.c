#include "service/ring_wire.h"

#include "kit/test.h"
#include <stdio.h>

/* a ring, and the request that it is */
static const struct {
    const char *ring, *path, *body;
} OUT[] = {
    {"work", "/doorbell", "{}"},
    {"last 01a2-e 17", "/doorbell", "{\"epoch\":\"01a2-e\",\"last\":\"17\"}"},
    {"held - 0", "/doorbell", "{\"epoch\":\"-\",\"last\":\"0\"}"},
    {"repair 3 9", "/repair", "{\"from\":\"3\",\"to\":\"9\"}"},
    {"revoked", "/doorbell", "{\"revoked\":true}"},
    {"up gateway", NULL, ""},
    {"", NULL, ""},
};

/* program, path, body, and the ring; NULL: refused */
static const struct {
    const char *program, *path, *body, *ring;
    const ErrKind *why;
} IN[] = {
    {"relay", "/doorbell", "{}", "work", NULL},
    {"prospects", "/doorbell", " { } ", "work", NULL},
    {"relay", "/doorbell", "{\"epoch\":\"e\",\"last\":\"17\"}", "held e 17", NULL},
    {"gateway", "/doorbell", "{\"last\":17,\"epoch\":\"e\"}", "held e 17", NULL},
    {"projection", "/doorbell", "{\"epoch\":\"e\",\"last\":\"9223372036854775807\"}",
     "last e 9223372036854775807", NULL},
    {"relay", "/doorbell", "{\"newer\":[1,{}]}", "work", NULL},
    {"gateway", "/doorbell", "{\"revoked\":true}", "revoked", NULL},
    {"gateway", "/doorbell", "{\"revoked\":false}", "work", NULL},
    {"gateway", "/doorbell", "{\"revoked\":1}", NULL, &ERR_INVALID},
    {"gateway", "/doorbell", "{\"revoked\":true,\"epoch\":\"e\",\"last\":1}", NULL, &ERR_INVALID},
    {"relay", "/repair", "{\"from\":\"3\",\"to\":9}", "repair 3 9", NULL},
    {"relay", "/repair", "{\"from\":\"3\"}", NULL, &ERR_INVALID},
    {"relay", "/repair", "{\"from\":9,\"to\":3}", NULL, &ERR_INVALID},
    {"relay", "/repair", "{\"from\":0,\"to\":3}", NULL, &ERR_INVALID},
    {"relay", "/repair", "{\"from\":-1,\"to\":3}", NULL, &ERR_INVALID},
    {"projection", "/repair", "{\"from\":1,\"to\":3}", NULL, &ERR_NOT_FOUND},
    {"relay", "/bell", "{}", NULL, &ERR_NOT_FOUND},
    {"relay", "/doorbell", "", NULL, &ERR_INVALID},
    {"relay", "/doorbell", "[]", NULL, &ERR_INVALID},
    {"relay", "/doorbell", "{} x", NULL, &ERR_INVALID},
    {"relay", "/doorbell", "{\"epoch\":\"e\"}", NULL, &ERR_INVALID},
    {"relay", "/doorbell", "{\"last\":1}", NULL, &ERR_INVALID},
    {"relay", "/doorbell", "{\"epoch\":\"a b\",\"last\":1}", NULL, &ERR_INVALID},
    {"relay", "/doorbell", "{\"epoch\":\"\",\"last\":1}", NULL, &ERR_INVALID},
    {"relay", "/doorbell", "{\"epoch\":7,\"last\":1}", NULL, &ERR_INVALID},
    {"relay", "/doorbell", "{\"epoch\":\"e\",\"last\":1.5}", NULL, &ERR_INVALID},
    {"relay", "/doorbell", "{\"epoch\":\"e\",\"last\":1,\"last\":2}", NULL, &ERR_INVALID},
    {"relay", "/doorbell",
     "{\"epoch\":\"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\",\"last\":1}",
     NULL, &ERR_INVALID},
};

static void rings_become_requests(void) {
    for (size_t i = 0; i < COUNT(OUT); i++) {
        AUTO_BUF body = {0};
        const char *path = NULL;
        CHECK(ring_to_request(span_of(OUT[i].ring), &path, &body) == (OUT[i].path != NULL));
        if (OUT[i].path) CHECK_SPAN(span_of(path), OUT[i].path);
        CHECK_SPAN(buf_view(&body), OUT[i].body);
    }
}

static void requests_become_rings(void) {
    for (size_t i = 0; i < COUNT(IN); i++) {
        char ring[RING_TEXT] = "";
        Err err = {0};
        bool ok = ring_of_request(IN[i].program, span_of(IN[i].path), span_of(IN[i].body), ring, &err);
        if (ok != (IN[i].ring != NULL)) printf("\n    %s %s: %s", IN[i].path, IN[i].body, err.why);
        CHECK(ok == (IN[i].ring != NULL) && err.kind == IN[i].why);
        if (IN[i].ring) CHECK_SPAN(span_of(ring), IN[i].ring);
    }
}

static const struct {
    const char *secrets, *header;
    bool fits;
} SECRETS[] = {
    {"hush", "Bearer hush", true},     {"old, hush", "Bearer hush", true},
    {"hush,new", "Bearer hush", true}, {"hush", "Bearer hus", false},
    {"hush", "Bearer hush ", false},   {"hush", "hush", false},
    {"hush", "Basic hush", false},     {"", "Bearer ", false},
    {",", "Bearer ", false},           {"hush", "", false},
};

static void only_the_secret_opens(void) {
    for (size_t i = 0; i < COUNT(SECRETS); i++)
        CHECK(ring_authorized(SECRETS[i].secrets, span_of(SECRETS[i].header)) == SECRETS[i].fits);
}

SUITE("rings between machines", TEST(rings_become_requests), TEST(requests_become_rings),
      TEST(only_the_secret_opens));
