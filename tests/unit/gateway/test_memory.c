#include "gateway/memory.h"
#include "kit/test.h"

static const struct {
    const char *text;
    size_t bytes;
} STATMS[] = {
    {"1000 300 100 20 0 200 0\n", 200 * 4096},
    {"1000 100 100 20 0 200 0\n", 0},
    {"1000 100 300 0 0 0 0\n", 0},
    {"", 0},
    {"1000", 0},
    {"a b c", 0},
};

static void statm(void) {
    for (size_t i = 0; i < COUNT(STATMS); i++)
        CHECK(memory_of_statm(span_of(STATMS[i].text), 4096) == STATMS[i].bytes);
}

static void short_or_not(void) {
    AUTO(Loop) loop = NULL;
    Err err = {0};
    if (!CHECK_OK(loop_open(&loop, &err), &err)) return;
    AUTO(Memory) tight = memory_new(1 << 20, NULL);
    AUTO(Memory) wide = memory_new((size_t)1 << 45, NULL);
    AUTO(Memory) usual = memory_new(0, NULL);
    CHECK(memory_is_short(tight, loop));
    CHECK(!memory_is_short(wide, loop));
    CHECK(!memory_is_short(usual, loop));
}

SUITE("memory", TEST(statm), TEST(short_or_not));
