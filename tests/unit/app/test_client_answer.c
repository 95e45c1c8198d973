#include "app/import/client_answer.h"
#include "kit/test.h"
#include <stdio.h>

static void answers(void) {
    static const struct {
        const char *name, *body;
        bool ok;
        const char *status, *code, *field, *message;
    } CASES[] = {
        {"empty object", "{}", true, "", "", "", ""},
        {"pending", "{\"commandId\":\"x\",\"status\":\"pending\"}", true, "pending", "", "", ""},
        {"a problem", "{\"type\":\"/problems/rate_limited\",\"status\":429,\"detail\":\"slow down\"}", true,
         "", "rate_limited", "", "slow down"},
        {"field errors: the first counts",
         "{\"type\":\"/problems/"
         "invalid\",\"status\":400,\"errors\":[{\"field\":\"email\",\"code\":\"required\","
         "\"message\":\"is "
         "missing\",\"more\":{\"a\":[1]}},{\"field\":\"phone\",\"code\":\"invalid_phone\"}]}",
         true, "", "required", "email", "is missing"},
        {"rejected", "{\"status\":\"rejected\",\"code\":\"duplicate_email\",\"errors\":[]}", true, "rejected",
         "duplicate_email", "", ""},
        {"unknown members", "{\"a\":{\"status\":\"x\"},\"b\":[{},[]],\"status\":\"failed\"}", true, "failed",
         "", "", ""},
        {"null is absent", "{\"code\":null,\"status\":null}", true, "", "", "", ""},
        {"an array", "[]", false, "", "", "", ""},
        {"cut", "{\"status\":\"pend", false, "", "", "", ""},
        {"nothing", "", false, "", "", "", ""},
        {"HTML", "<html>", false, "", "", "", ""},
    };
    AUTO(Arena) arena = arena_new(0);
    for (size_t i = 0; i < COUNT(CASES); i++) {
        ClientAnswer got;
        bool ok = client_answer_read(span_of(CASES[i].body), arena, &got);
        if (ok != CASES[i].ok) printf("\n  case: %s\n", CASES[i].name);
        CHECK(ok == CASES[i].ok);
        if (!ok || !CASES[i].ok) continue;
        CHECK_SPAN(got.status, CASES[i].status);
        CHECK_SPAN(got.code, CASES[i].code);
        CHECK_SPAN(got.field, CASES[i].field);
        CHECK_SPAN(got.message, CASES[i].message);
    }
}

static void tokens(void) {
    AUTO(Arena) arena = arena_new(0);
    ClientAnswer got;
    REQUIRE(
        client_answer_read(SPAN("{\"accessToken\":\"a.b.c\",\"refreshToken\":\"r\",\"tokenType\":\"Bearer\","
                                "\"expiresIn\":900}"),
                           arena, &got));
    CHECK_SPAN(got.access_token, "a.b.c");
    CHECK_SPAN(got.refresh_token, "r");
    CHECK(got.expires_in == 900);
}

static void tenants(void) {
    static const struct {
        const char *token, *tenant; /* NULL: none */
    } CASES[] = {
        {"eyJhIjoxfQ.eyJzdWIiOiJ4IiwidGlkIjoiZGVtbyJ9.c2ln", "demo"}, /* {"sub":"x","tid":"demo"} */
        {"eyJhIjoxfQ.eyJ0aWQiOiJ-fz8ifQ.", "~\x7f?"}, /* the two letters of base64url: {"tid":"~.?"} */
        {"eyJhIjoxfQ.eyJzdWIiOiJ4In0.c2ln", NULL},
        {"eyJhIjoxfQ.W10.c2ln", NULL},
        {"eyJhIjoxfQ", NULL},
        {"", NULL},
        {"a.*.b", NULL},
    };
    AUTO(Arena) arena = arena_new(0);
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Span tenant = SPAN_NONE;
        CHECK(client_token_tenant(span_of(CASES[i].token), arena, &tenant) == !!CASES[i].tenant);
        if (CASES[i].tenant) CHECK_SPAN(tenant, CASES[i].tenant);
    }
}

SUITE("client_answer", TEST(answers), TEST(tokens), TEST(tenants));
