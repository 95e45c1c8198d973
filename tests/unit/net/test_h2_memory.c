#include "net/h2/h2_memory.h"

#include "base/auto.h"
#include "kit/test.h"
#include <stdint.h>

/* Sizes around each step, again and again: nobody gets what another one holds, and what is given back comes
 * again. */
static void pieces(void) {
    H2Memory memory = {0};
    nghttp2_mem m = h2_memory_for(&memory);
    unsigned char *held[200];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT(held); i++) {
            held[i] = m.malloc(i * 8, m.mem_user_data);
            REQUIRE(held[i] && (uintptr_t)held[i] % 16 == 0);
            memset(held[i], (int)i, i * 8);
        }
        for (size_t i = 0; i < COUNT(held); i++) {
            size_t wrong = 0;
            for (size_t k = 0; k < i * 8; k++) wrong += held[i][k] != (unsigned char)i;
            CHECK(wrong == 0);
            m.free(held[i], m.mem_user_data);
        }
    }
    void *once = m.malloc(300, m.mem_user_data);
    m.free(once, m.mem_user_data);
    CHECK(m.malloc(310, m.mem_user_data) == once);
    m.free(once, m.mem_user_data);
    m.free(NULL, m.mem_user_data);
    h2_memory_clear(&memory);
    CHECK(memory.spare_bytes == 0);
}

static void grown_and_zeroed(void) {
    H2Memory memory = {0};
    nghttp2_mem m = h2_memory_for(&memory);
    char *text = m.realloc(NULL, 5, m.mem_user_data);
    memcpy(text, "text", 5);
    static const size_t SIZES[] = {64, 65, 1280, 1281, 70000, 10};
    for (size_t i = 0; i < COUNT(SIZES); i++) {
        text = m.realloc(text, SIZES[i], m.mem_user_data);
        REQUIRE(text);
        CHECK_SPAN(span_of(text), "text");
    }
    m.free(text, m.mem_user_data);
    char *used = m.malloc(100, m.mem_user_data);
    memset(used, 0xff, 100);
    m.free(used, m.mem_user_data);
    char *zeroed = m.calloc(10, 10, m.mem_user_data);
    CHECK(zeroed == used && !zeroed[0] && !memcmp(zeroed, zeroed + 1, 99));
    m.free(zeroed, m.mem_user_data);
    CHECK(!m.calloc(SIZE_MAX / 2, 3, m.mem_user_data));
    CHECK(!m.malloc(SIZE_MAX - 8, m.mem_user_data));
    h2_memory_clear(&memory);
}

/* A flood leaves no more behind than a bound. */
static void what_waits_is_bounded(void) {
    H2Memory memory = {0};
    nghttp2_mem m = h2_memory_for(&memory);
    enum { MANY = 3000 };
    void **held = must(calloc(MANY, sizeof *held));
    for (size_t i = 0; i < MANY; i++) held[i] = m.malloc(1200, m.mem_user_data);
    for (size_t i = 0; i < MANY; i++) m.free(held[i], m.mem_user_data);
    CHECK(memory.spare_bytes > 1000000 && memory.spare_bytes <= 1 << 20);
    free(held);
    h2_memory_clear(&memory);
}

SUITE("h2_memory", TEST(pieces), TEST(grown_and_zeroed), TEST(what_waits_is_bounded));
