#include "kit/test.h"

#include "base/buf.h"
#include "grid/grid_split.h"
#include <stdio.h>

#define EVENT(extra) "{\"id\":\"1\",\"source\":\"/s\",\"specversion\":\"1.0\",\"type\":\"T\"" extra "}"

static void cuts_and_checks(void) {
    static const struct {
        bool batch;
        const char *body;
        int count; /* -1: refused */
    } CASES[] = {
        {true, "[]", 0},
        {true, " [ ] ", 0},
        {true, "[" EVENT("") "]", 1},
        {true, " [ " EVENT("") " ,\n" EVENT(",\"data\":{\"a\":[1,{}]}") "] ", 2},
        {false, EVENT(""), 1},
        {false, " " EVENT(",\"time\":\"2026-01-01T00:00:00Z\",\"subject\":\"prospect/1\"") " ", 1},
        {false, EVENT(",\"sequence\":\"0000000000000000001\",\"count\":3,\"flag\":true,\"nothing\":null"), 1},
        {false, EVENT(",\"data_base64\":\"AAA=\",\"datacontenttype\":\"application/x-protobuf\""), 1},
        {false, EVENT(",\"data\":null"), 1},
        {true, EVENT(""), -1},
        {false, "[" EVENT("") "]", -1},
        {true, "[" EVENT("") "] x", -1},
        {true, "[" EVENT("") ",]", -1},
        {true, "[" EVENT(""), -1},
        {true, "[1]", -1},
        {true, "[{},{},{}]", -1},
        {true, "", -1},
        {false, "{\"id\":\"\",\"source\":\"/s\",\"specversion\":\"1.0\",\"type\":\"T\"}", -1},
        {false, "{\"id\":1,\"source\":\"/s\",\"specversion\":\"1.0\",\"type\":\"T\"}", -1},
        {false, "{\"id\":null,\"source\":\"/s\",\"specversion\":\"1.0\",\"type\":\"T\"}", -1},
        {false, "{\"source\":\"/s\",\"specversion\":\"1.0\",\"type\":\"T\"}", -1},
        {false, "{\"id\":\"1\",\"source\":\"/s\",\"specversion\":\"0.3\",\"type\":\"T\"}", -1},
        {false, EVENT(",\"id\":\"2\""), -1},
        {false, EVENT(",\"tenantId\":\"t\""), -1},
        {false, EVENT(",\"object\":{}"), -1},
        {false, EVENT(",\"time\":\"yesterday\""), -1},
        {false, EVENT(",\"data\":1,\"data_base64\":\"AA==\""), -1},
        {false, EVENT(",\"data_base64\":7"), -1},
        {false, EVENT(",\"data\":\"\xff\""), -1},
    };
    AUTO(Arena) arena = arena_new(0);
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Span *events;
        size_t count;
        Err err = {0};
        bool ok = grid_split(span_of(CASES[i].body), CASES[i].batch, arena, &events, &count, &err);
        CHECK(ok ? (int)count == CASES[i].count : CASES[i].count == -1);
        if ((ok ? (int)count : -1) != CASES[i].count) printf("\n    case %zu: %s", i, err.why);
        if (!ok) CHECK(err.kind == &ERR_INVALID);
        for (size_t k = 0; ok && k < count; k++)
            CHECK(*events[k].at == '{' && events[k].at[events[k].len - 1] == '}');
    }
}

static void limits_are_too_large(void) {
    AUTO(Arena) arena = arena_new(0);
    AUTO_BUF body = {0};
    Span *events;
    size_t count;
    Err err = {0};
    buf_byte(&body, '[');
    for (int i = 0; i < GRID_SPLIT_EVENTS; i++) buf_text(&body, i ? "," EVENT("") : EVENT(""));
    buf_byte(&body, ']');
    CHECK_OK(grid_split(buf_view(&body), true, arena, &events, &count, &err), &err);
    CHECK(count == GRID_SPLIT_EVENTS);
    body.len--;
    buf_text(&body, "," EVENT("") "]");
    CHECK(!grid_split(buf_view(&body), true, arena, &events, &count, &err) && err.kind == &ERR_TOO_LARGE);
    err_clear(&err);
    while (body.len <= GRID_SPLIT_BYTES) buf_byte(&body, ' ');
    CHECK(!grid_split(buf_view(&body), true, arena, &events, &count, &err) && err.kind == &ERR_TOO_LARGE);
}

SUITE("grid_split", TEST(cuts_and_checks), TEST(limits_are_too_large));
