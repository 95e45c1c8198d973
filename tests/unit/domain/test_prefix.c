#include "domain/prefix.h"

#include "kit/test.h"
#include <stdio.h>

#define S 1000000LL

/* Steps of a script: what comes in, and what the prefix is afterwards. */
typedef enum Kind { OFFER, LAST, ADVANCE, AVAILABLE, DUE, QUIET } Kind;
typedef struct Step {
    int64_t at;
    Kind kind;
    int64_t a, b; /* OFFER: number, outcome; LAST, ADVANCE, AVAILABLE: number; DUE: the range asked for */
    int64_t held;
} Step;

typedef struct Case {
    const char *name;
    int64_t start;
    Step steps[12];
} Case;

static const Case CASES[] = {
    {"in order", 0, {{0, OFFER, 1, PREFIX_NEXT, 1}, {0, OFFER, 2, PREFIX_NEXT, 2}, {9 * S, QUIET, 0, 0, 2}}},
    {"twice",
     5,
     {{0, OFFER, 5, PREFIX_DUPLICATE, 5}, {0, OFFER, 6, PREFIX_NEXT, 6}, {0, OFFER, 6, PREFIX_DUPLICATE, 6}}},
    {"below one", 0, {{0, OFFER, 0, PREFIX_DUPLICATE, 0}, {0, OFFER, -7, PREFIX_DUPLICATE, 0}}},
    {"early, then the hole closes",
     0,
     {{0, OFFER, 3, PREFIX_EARLY, 0},
      {0, OFFER, 3, PREFIX_DUPLICATE, 0},
      {0, OFFER, 1, PREFIX_NEXT, 1},
      {0, OFFER, 2, PREFIX_NEXT, 3},
      {9 * S, QUIET, 0, 0, 3}}},
    {"a hole is asked for after a second, then less and less often",
     0,
     {{0, OFFER, 3, PREFIX_EARLY, 0},
      {S - 1, QUIET, 0, 0, 0},
      {S, DUE, 1, 2, 0},
      {2 * S - 1, QUIET, 0, 0, 0},
      {2 * S, DUE, 1, 2, 0},
      {4 * S - 1, QUIET, 0, 0, 0},
      {4 * S, DUE, 1, 2, 0},
      {8 * S, DUE, 1, 2, 0},
      {5000 * S, DUE, 1, 2, 0},
      {5030 * S, DUE, 1, 2, 0}}},
    {"a hole that is split is asked for in two parts",
     0,
     {{0, OFFER, 6, PREFIX_EARLY, 0},
      {S / 2, OFFER, 3, PREFIX_EARLY, 0},
      {S, DUE, 1, 2, 0},
      {S, DUE, 4, 5, 0},
      {S, QUIET, 0, 0, 0}}},
    {"the tail is asked for when nothing moves for a second",
     0,
     {{0, LAST, 4, 0, 0},
      {S - 1, OFFER, 1, PREFIX_NEXT, 1},
      {S, QUIET, 0, 0, 1},
      {2 * S - 1, DUE, 2, 4, 1},
      {3 * S, OFFER, 2, PREFIX_NEXT, 2},
      {3 * S, OFFER, 3, PREFIX_NEXT, 3},
      {3 * S, OFFER, 4, PREFIX_NEXT, 4},
      {99 * S, QUIET, 0, 0, 4}}},
    {"a tail that is overtaken is an inner hole",
     0,
     {{0, LAST, 3, 0, 0},
      {S / 2, OFFER, 4, PREFIX_EARLY, 0},
      {S, QUIET, 0, 0, 0},
      {3 * S / 2, DUE, 1, 3, 0}}},
    {"new numbers do not wait for the back-off of old ones",
     0,
     {{0, LAST, 2, 0, 0},
      {S, DUE, 1, 2, 0},
      {2 * S, DUE, 1, 2, 0},
      {4 * S, DUE, 1, 2, 0},
      {5 * S, OFFER, 5, PREFIX_EARLY, 0},
      {6 * S, DUE, 1, 4, 0}}},
    {"numbers that are only announced do not hurry the requests",
     0,
     {{0, LAST, 2, 0, 0},
      {S, DUE, 1, 2, 0},
      {3 * S / 2, LAST, 3, 0, 0},
      {2 * S, DUE, 1, 3, 0},
      {5 * S / 2, LAST, 4, 0, 0},
      {4 * S - 1, QUIET, 0, 0, 0},
      {4 * S, DUE, 1, 4, 0},
      {5 * S, LAST, 5, 0, 0},
      {8 * S - 1, QUIET, 0, 0, 0},
      {8 * S, DUE, 1, 5, 0}}},
    {"a front that moves keeps the distance that requests had grown to",
     0,
     {{0, LAST, 4, 0, 0},
      {S, DUE, 1, 4, 0},
      {2 * S, DUE, 1, 4, 0},
      {3 * S, OFFER, 1, PREFIX_NEXT, 1},
      {7 * S - 1, QUIET, 0, 0, 1},
      {7 * S, DUE, 2, 4, 1}}},
    {"... until all that was asked for has come",
     0,
     {{0, LAST, 2, 0, 0},
      {S, DUE, 1, 2, 0},
      {S, LAST, 4, 0, 0},
      {2 * S - 1, OFFER, 1, PREFIX_NEXT, 1},
      {3 * S, OFFER, 2, PREFIX_NEXT, 2},
      {3 * S, DUE, 3, 4, 2},
      {4 * S - 1, QUIET, 0, 0, 2},
      {4 * S, DUE, 3, 4, 2}}},
    {"what can be had at last does not wait for the back-off, once",
     0,
     {{0, OFFER, 3, PREFIX_EARLY, 0},
      {S, DUE, 1, 2, 0},
      {2 * S, DUE, 1, 2, 0},
      {4 * S, DUE, 1, 2, 0},
      {5 * S, AVAILABLE, 1, 0, 0},
      {5 * S, DUE, 1, 2, 0},
      {11 * S / 2, AVAILABLE, 1, 0, 0},
      {6 * S - 1, QUIET, 0, 0, 0},
      {6 * S, DUE, 1, 2, 0},
      {13 * S / 2, OFFER, 1, PREFIX_NEXT, 1},
      {13 * S / 2, AVAILABLE, 2, 0, 1},
      {13 * S / 2, DUE, 2, 2, 1}}},
    {"... nor does it lose its patience: it may be on its way",
     0,
     {{0, OFFER, 3, PREFIX_EARLY, 0},
      {S / 2, AVAILABLE, 3, 0, 0},
      {S - 1, QUIET, 0, 0, 0},
      {S, DUE, 1, 2, 0}}},
    {"an older announcement changes nothing", 9, {{0, LAST, 4, 0, 9}, {9 * S, QUIET, 0, 0, 9}}},
    {"advance over holes",
     0,
     {{0, OFFER, 3, PREFIX_EARLY, 0},
      {0, OFFER, 9, PREFIX_EARLY, 0},
      {0, ADVANCE, 5, 0, 5},
      {S, DUE, 6, 8, 5},
      {S, ADVANCE, 20, 0, 20},
      {0, OFFER, 21, PREFIX_NEXT, 21}}},
    {"advance into what is held", 0, {{0, OFFER, 2, PREFIX_EARLY, 0}, {0, ADVANCE, 1, 0, 2}}},
    {"a big hole is asked for in parts, the next when the first is filled",
     0,
     {{0, LAST, 2500, 0, 0},
      {S, DUE, 1, 1000, 0},
      {S, QUIET, 0, 0, 0},
      {S, ADVANCE, 999, 0, 999},
      {S, QUIET, 0, 0, 999},
      {S, ADVANCE, 1000, 0, 1000},
      {S, DUE, 1001, 2000, 1000},
      {S, ADVANCE, 2000, 0, 2000},
      {S, DUE, 2001, 2500, 2000}}},
};

static bool step_holds(Prefix *p, const Step *s) {
    int64_t from = 0, to = 0;
    switch (s->kind) {
    case OFFER:
        if ((int64_t)prefix_offer(p, s->a, s->at) != s->b) return false;
        break;
    case LAST: prefix_known_last(p, s->a, s->at); break;
    case ADVANCE: prefix_advance(p, s->a, s->at); break;
    case AVAILABLE: prefix_available(p, s->a, s->at); break;
    case DUE:
        if (prefix_next_due_us(p) > s->at) return false;
        if (!prefix_due_repair(p, s->at, &from, &to) || from != s->a || to != s->b) return false;
        break;
    case QUIET:
        if (prefix_due_repair(p, s->at, &from, &to) || prefix_next_due_us(p) <= s->at) return false;
    }
    return prefix_held(p) == s->held;
}

/* No real step is all zero: there is no number 0 to come next. */
static bool is_end(const Step *s) {
    return !s->at && s->kind == OFFER && !s->a && !s->b && !s->held;
}

static void scripts(void) {
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO(Prefix) p = prefix_new(CASES[i].start);
        for (size_t k = 0; k < COUNT(CASES[i].steps) && !is_end(&CASES[i].steps[k]); k++) {
            bool good = step_holds(p, &CASES[i].steps[k]);
            if (!good) printf("%s: step %zu, held %lld\n", CASES[i].name, k, (long long)prefix_held(p));
            CHECK(good);
        }
    }
}

/* Every second number: as many holes as are allowed, then no more, and in order always goes on. */
static void holes_are_bounded(void) {
    AUTO(Prefix) p = prefix_new(0);
    for (int64_t i = 1; i <= PREFIX_HOLES_MAX; i++) CHECK(prefix_offer(p, 2 * i, 0) == PREFIX_EARLY);
    int64_t last = prefix_last(p);
    CHECK(prefix_offer(p, last + 2, 0) == PREFIX_FULL);
    CHECK(!prefix_has(p, last + 2));
    prefix_known_last(p, last + 9, 0);
    CHECK(prefix_last(p) == last);
    CHECK(prefix_offer(p, last + 1, 0) == PREFIX_EARLY);
    CHECK(prefix_offer(p, 1, 0) == PREFIX_NEXT);
    CHECK(prefix_held(p) == 2);
    CHECK(prefix_offer(p, last + 3, 0) == PREFIX_EARLY);
    CHECK(prefix_holes(p) == PREFIX_HOLES_MAX);
}

static void holes_are_shown(void) {
    AUTO(Prefix) p = prefix_new(10);
    prefix_offer(p, 13, 5);
    prefix_known_last(p, 20, 7);
    int64_t from, to, since;
    REQUIRE(prefix_hole(p, 1, &from, &to, &since));
    CHECK(from == 14 && to == 20 && since == 7);
    REQUIRE(prefix_hole(p, 0, &from, &to, &since));
    CHECK(from == 11 && to == 12 && since == 5);
    CHECK(!prefix_hole(p, 2, &from, &to, &since));
    CHECK(prefix_has(p, 13) && prefix_has(p, 10) && !prefix_has(p, 12) && !prefix_has(p, 21));
}

SUITE("prefix", TEST(scripts), TEST(holes_are_bounded), TEST(holes_are_shown));
