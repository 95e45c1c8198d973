#include "domain/numbering.h"

#include "base/auto.h"
#include "kit/test.h"
#include <stdio.h>

#define S 1000000LL

static const struct {
    const char *name, *epoch;
    int64_t held;
    NumberingState state;
    bool publish;
} ANSWERS[] = {
    {"behind", "e1", 7, NUMBERING_AGREED, true},
    {"all of it", "e1", 10, NUMBERING_AGREED, true},
    {"more than was given", "e1", 11, NUMBERING_MISMATCH, false},
    {"another epoch", "e2", 7, NUMBERING_MISMATCH, false},
    {"no epoch yet", "-", 0, NUMBERING_AGREED, true},
    {"no epoch yet, but too much", "-", 11, NUMBERING_MISMATCH, false},
};

static void answers_are_judged(void) {
    for (size_t i = 0; i < COUNT(ANSWERS); i++) {
        Numbering n = numbering_start(SPAN("e1"), 10, 0);
        CHECK(numbering_held(&n, span_of(ANSWERS[i].epoch), ANSWERS[i].held, 1));
        if (n.state != ANSWERS[i].state) printf("%s: state %d\n", ANSWERS[i].name, (int)n.state);
        CHECK(n.state == ANSWERS[i].state);
        CHECK(numbering_may_publish(&n, 100 * S) == ANSWERS[i].publish);
    }
}

static void a_mismatch_can_heal(void) {
    Numbering n = numbering_start(SPAN("e1"), 10, 0);
    CHECK(numbering_held(&n, SPAN("e2"), 3, 1));
    CHECK(!numbering_held(&n, SPAN("e2"), 3, 2));
    CHECK(numbering_held(&n, SPAN("e1"), 3, 3));
    CHECK(numbering_may_publish(&n, 4));
}

static void a_start_waits_for_the_answer_but_not_for_ever(void) {
    Numbering n = numbering_start(SPAN("e1"), 10, 0);
    CHECK(!numbering_may_publish(&n, NUMBERING_SURE_US - 1));
    CHECK(numbering_may_publish(&n, NUMBERING_SURE_US));
    CHECK(numbering_held(&n, SPAN("e1"), 10, 5));
    CHECK(numbering_may_publish(&n, 6));
}

static void rings_until_acknowledged(void) {
    Numbering n = numbering_start(SPAN("e1"), 10, 0);
    int64_t rung_at[6], count = 0;
    for (int64_t now = 0; now <= 31 * S; now += S / 2)
        if (numbering_due_ring(&n, now)) rung_at[count++] = now;
    REQUIRE(count == 6);
    static const int64_t WANT[] = {0, S, 3 * S, 7 * S, 15 * S, 31 * S};
    for (size_t i = 0; i < COUNT(WANT); i++) CHECK(rung_at[i] == WANT[i]);
    numbering_held(&n, SPAN("e1"), 10, 32 * S);
    CHECK(numbering_next_ring_us(&n) == NUMBERING_NEVER);
    CHECK(!numbering_due_ring(&n, 1000 * S));
}

static void rings_at_once_for_new_numbers(void) {
    Numbering n = numbering_start(SPAN("e1"), 10, 0);
    numbering_held(&n, SPAN("e1"), 10, 0);
    numbering_given(&n, 12, 5 * S);
    CHECK(numbering_due_ring(&n, 5 * S));
    CHECK(!numbering_due_ring(&n, 5 * S));
    numbering_held(&n, SPAN("e1"), 11, 5 * S + 1); /* on its way */
    CHECK(numbering_next_ring_us(&n) == 6 * S + 1);
    numbering_held(&n, SPAN("e1"), 12, 5 * S + 2);
    CHECK(numbering_next_ring_us(&n) == NUMBERING_NEVER);
    numbering_held(&n, SPAN("e1"), 4, 6 * S); /* the read database was restored */
    CHECK(numbering_due_ring(&n, 6 * S));
}

static void a_projection_without_epoch_is_told(void) {
    Numbering n = numbering_start(SPAN("e1"), 0, 0);
    CHECK(numbering_due_ring(&n, 0));
    numbering_held(&n, SPAN("-"), 0, 10);
    CHECK(numbering_due_ring(&n, 10));
    numbering_held(&n, SPAN("e1"), 0, 20);
    CHECK(numbering_next_ring_us(&n) == NUMBERING_NEVER);
}

SUITE("numbering", TEST(answers_are_judged), TEST(a_mismatch_can_heal),
      TEST(a_start_waits_for_the_answer_but_not_for_ever), TEST(rings_until_acknowledged),
      TEST(rings_at_once_for_new_numbers), TEST(a_projection_without_epoch_is_told));
