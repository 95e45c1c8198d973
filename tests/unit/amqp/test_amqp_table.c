#include "amqp/amqp_table.h"
#include "kit/test.h"
#include <ctype.h>
#include <stdio.h>

/* A story, a word for each step, and how the table looks behind it: N new, S sent, A accepted, R refused, L too large.
 *   +abc   cleared; a message for each letter, which is its lane
 *   >      all that may go is sent; >-b: but the lane b is full
 *   a2 r2  the broker accepts, refuses the third        l2  it is too large
 *   o2     a word about the third of an earlier table   x   the connection breaks */
static const struct {
    const char *name, *steps, *fates;
    size_t left;
} STORIES[] = {
    {"nothing", "", "", 0},
    {"laid", "+aaa", "NNN", 3},
    {"sent", "+aaa >", "SSS", 3},
    {"accepted out of order", "+aaa > a2 a0", "ASA", 1},
    {"all spoken about", "+aab > a0 r1 a2", "ARA", 0},
    {"a full lane waits, the others go", "+abab >-b", "SNSN", 4},
    {"... and follows", "+abab >-b a0 >", "ASSS", 3},
    {"too large", "+aaa l1 >", "SLS", 2},
    {"what had no word is new again", "+aaaa > a1 r2 x", "NARN", 2},
    {"... and goes out again, alone", "+aaaa > a1 r2 x > a0", "AARS", 1},
    {"a word that comes twice", "+aa > a0 r0", "AS", 1},
    {"a word about what is not sent", "+aa a0", "NN", 2},
    {"a word that a broken connection had", "+aa > x a0", "NN", 2},
    {"a late word about what was here before", "+aaa > +bbb > o1", "SSS", 3},
    {"a word about more than there is", "+a > a7", "S", 1},
    {"fewer than before", "+aaaa > +b", "N", 1},
    {"cleared", "+aaaa > +", "", 0},
};

typedef struct Play {
    AmqpTable *table;
    uint64_t marks[16], old[16];
} Play;

static void send_all(Play *p, uint64_t full) {
    for (size_t i = 0; (i = amqp_table_next(p->table, i, full)) != AMQP_NO_MESSAGE; i++) {
        CHECK_SPAN(amqp_table_message(p->table, i), "message");
        p->marks[i] = amqp_table_sent(p->table, i);
    }
}

static void lay(Play *p, const char *lanes) {
    memcpy(p->old, p->marks, sizeof p->old);
    amqp_table_clear(p->table);
    for (size_t i = 0; isalpha((unsigned char)lanes[i]); i++) {
        p->marks[i] = (uint64_t)i | p->old[0] >> 32 << 32;
        amqp_table_lay(p->table, SPAN("message"), (unsigned)(lanes[i] - 'a'));
        CHECK(amqp_table_lane(p->table, i) == (unsigned)(lanes[i] - 'a'));
    }
}

static void step(Play *p, const char *step) {
    size_t i = isdigit((unsigned char)step[1]) ? (size_t)(step[1] - '0') : 0;
    switch (*step) {
    case '+': lay(p, step + 1); break;
    case '>': send_all(p, step[1] == '-' ? UINT64_C(1) << (step[2] - 'a') : 0); break;
    case 'a': amqp_table_told(p->table, p->marks[i] + (i > 6), true, NULL); break;
    case 'r': amqp_table_told(p->table, p->marks[i], false, "no room"); break;
    case 'o': amqp_table_told(p->table, p->old[i], true, NULL); break;
    case 'l': amqp_table_too_large(p->table, i); break;
    case 'x': amqp_table_lost(p->table); break;
    default: CHECK(false);
    }
}

static void play(Play *p, const char *steps) {
    char text[64];
    snprintf(text, sizeof text, "%s", steps);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) step(p, word);
}

static void stories(void) {
    for (size_t i = 0; i < COUNT(STORIES); i++) {
        AUTO(AmqpTable) table = amqp_table_new();
        Play p = {.table = table};
        char fates[16] = "";
        play(&p, STORIES[i].steps);
        for (size_t k = 0; k < amqp_table_count(table); k++) fates[k] = "NSARL"[amqp_table_fate(table, k)];
        bool as_told = !strcmp(fates, STORIES[i].fates) && amqp_table_left(table) == STORIES[i].left;
        CHECK(as_told);
        if (!as_told) printf("    in \"%s\": %s, %zu left\n", STORIES[i].name, fates, amqp_table_left(table));
    }
}

/* Every lane is one of a set, also the last; and the table grows. */
static void many(void) {
    enum { MANY = 1000 };
    AUTO(AmqpTable) table = amqp_table_new();
    for (unsigned i = 0; i < MANY; i++) amqp_table_lay(table, SPAN("x"), i);
    uint64_t full = ~(UINT64_C(1) << 63);
    size_t sent = 0;
    for (size_t i = 0; (i = amqp_table_next(table, i, full)) != AMQP_NO_MESSAGE; sent++) {
        CHECK(i % AMQP_LANES_MOST == 63);
        amqp_table_told(table, amqp_table_sent(table, i), true, NULL);
    }
    CHECK(sent == MANY / AMQP_LANES_MOST && amqp_table_left(table) == MANY - sent);
    CHECK(amqp_table_next(table, 0, UINT64_MAX) == AMQP_NO_MESSAGE && amqp_table_next(table, 0, 0) == 0);
}

static void why_it_was_refused(void) {
    AUTO(AmqpTable) table = amqp_table_new();
    const char *const REASONS[] = {"amqp:resource-limit-exceeded", NULL};
    for (size_t i = 0; i < COUNT(REASONS); i++) {
        amqp_table_clear(table);
        CHECK_SPAN(span_of(amqp_table_reason(table)), "");
        amqp_table_lay(table, SPAN("x"), 0);
        amqp_table_told(table, amqp_table_sent(table, 0), false, REASONS[i]);
        CHECK_SPAN(span_of(amqp_table_reason(table)), REASONS[i] ? REASONS[i] : "");
    }
}

SUITE("amqp table", TEST(stories), TEST(many), TEST(why_it_was_refused));
