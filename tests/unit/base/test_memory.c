#include "base/arena.h"
#include "base/blob.h"
#include "base/buf.h"
#include "base/map.h"
#include "kit/test.h"
#include <stdio.h>

static void buf_keeps_its_bound(void) {
    AUTO_BUF buf = {.limit = 8};
    buf_text(&buf, "12345678");
    CHECK(!buf.failed);
    buf_byte(&buf, '9');
    CHECK(buf.failed);
    CHECK_SPAN(buf_view(&buf), "12345678");
    buf_clear(&buf);
    buf_printf(&buf, "%d", 1234567);
    buf_consume(&buf, 3);
    CHECK_SPAN(buf_view(&buf), "4567");
    AUTO_BUF growing = {.limit = 300}; /* not a power of two: what is within the size is within the limit */
    for (int i = 0; i < 400; i++) buf_byte(&growing, 'x');
    CHECK(growing.failed && growing.len == 300);
}

static void arena_is_bounded_and_zeroed(void) {
    AUTO(Arena) arena = arena_new(100000);
    size_t handed_out = 0;
    for (char *at; (at = arena_alloc(arena, 1000)); handed_out += 1008) {
        CHECK(!at[0] && !at[999] && (uintptr_t)at % 16 == 0);
        memset(at, 0xff, 1000);
    }
    CHECK(handed_out > 90000 && handed_out <= 100000);
    arena_reset(arena);
    char *again = arena_alloc(arena, 1000);
    REQUIRE(again);
    CHECK(!again[0] && !again[999]);
    CHECK(!arena_alloc(arena, 200000));
    CHECK_SPAN(span_of(arena_printf(arena, "%s-%d", "a", 5)), "a-5");
}

static void arena_begins_within_its_room(void) {
    ArenaRoom room;
    memset(&room, 0xff, sizeof room);
    AUTO(Arena) arena = arena_within(&room, 0);
    char *small = arena_alloc(arena, 100), *large = arena_alloc(arena, sizeof room);
    REQUIRE(small && large);
    CHECK(small > room.bytes && small < room.bytes + sizeof room && !small[0] && (uintptr_t)small % 16 == 0);
    CHECK(large < room.bytes || large >= room.bytes + sizeof room); /* of the heap: no room is too small */
    arena_reset(arena);
    CHECK(arena_alloc(arena, 100) == small);
    AUTO(Arena) bounded = arena_within(&(ArenaRoom){0}, 64);
    CHECK(!arena_alloc(bounded, 65) && arena_alloc(bounded, 64));
}

static void blob_counts(void) {
    Blob *blob = blob_copy(SPAN("shared"));
    REQUIRE(blob);
    CHECK(blob_ref(blob) == blob);
    CHECK(!blob_unref(blob));
    CHECK_SPAN(blob_view(blob), "shared");
    CHECK(!blob_unref(blob));
    CHECK(!blob_unref(NULL));
}

enum { KEYS = 5000 };
static void map_through_growth_and_removal(void) {
    static int values[KEYS];
    char key[16];
    AUTO(Map) map = map_new();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < KEYS; i++) {
            snprintf(key, sizeof key, "key-%d", i);
            CHECK(!map_put(map, span_of(key), &values[i]));
        }
        CHECK(map_count(map) == KEYS);
        for (int i = 0; i < KEYS; i++) {
            snprintf(key, sizeof key, "key-%d", i);
            CHECK(map_get(map, span_of(key)) == &values[i]);
        }
        size_t at = 0, seen = 0;
        while (map_next(map, &at, NULL, NULL)) seen++;
        CHECK(seen == KEYS);
        for (int i = 0; i < KEYS; i++) {
            snprintf(key, sizeof key, "key-%d", i);
            CHECK(map_remove(map, span_of(key)) == &values[i]);
            CHECK(!map_remove(map, span_of(key)));
        }
        CHECK(map_count(map) == 0 && !map_get(map, SPAN("key-1")));
    }
}

SUITE("memory", TEST(buf_keeps_its_bound), TEST(arena_is_bounded_and_zeroed), TEST(arena_begins_within_its_room), TEST(blob_counts),
      TEST(map_through_growth_and_removal));
