#include "kit/test.h"
#include "queue/queue_lines.h"

#include <stdio.h>

/* A script: "+1a" add id 1 with key a, "(" a claim begins, "?" takes all that may be taken and must give the
 * ids that follow up to ";", "=1" settle, "~1" give back at once, "w1" wait (until 100), "s+1a" add as
 * suspect. */
static void take_all(Lines *l, char *got, size_t size) {
    size_t len = 0;
    got[0] = 0;
    for (Ticket *t; (t = lines_next(l));) {
        lines_lock(l, t, 1000);
        len += (size_t)snprintf(got + len, size - len, "%d", (int)t->queue_id);
    }
}

static const struct {
    const char *name, *script;
    int64_t floor;
} CASES[] = {
    {"in order", "+1a+2b+3c(?123;=1=2=3", 3},
    {"one key, one claim", "+1a+2a+3b(?123;", 0},
    {"a key that is locked is passed over", "+1a(?1;+2a+3b(?3;=1(?2;", 1},
    {"a waiting head holds its line", "+1a+2a+3b(?123;w1~2=3(?;", 0},
    {"... until its time has come", "+1a+2a+3b(?123;w1~2=3T(?12;", 0},
    {"out of order settling keeps the floor", "+1a+2b+3c(?123;=3=2", 0},
    {"and lets it go", "+1a+2b+3c(?123;=3=2=1", 3},
    {"dead head lets the line go on", "+1a+2a(?12;w1~2=1(?2;", 1},
    {"given back in reverse", "+1a+2a+3a(?123;~3~2~1(?123;", 0},
    {"line empty, then anew", "+1a(?1;=1+2a(?2;=2", 2},
    {"leases end", "+1a+2a(?12;LL(?12;", 0},
    {"skipped ids", "k1k2+3a(?3;=3k4", 4},
    {"skipped ids below an open one", "k1+2a(?2;k3", 1},
};

static void scripts(void) {
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO(Lines) l = lines_new(0);
        int64_t now = 1;
        for (const char *c = CASES[i].script; *c; c++) {
            int64_t id = c[1] ? c[1] - '0' : 0;
            char got[64], want[64];
            switch (*c) {
            case '+': lines_add(l, id, span_bytes(c + 2, 1), 0, false), c += 2; break;
            case 'k': lines_skip(l, id), c++; break;
            case '(': lines_begin(l, now); break;
            case '?':
                take_all(l, got, sizeof got);
                span_copy(span_bytes(c + 1, strcspn(c + 1, ";")), want, sizeof want);
                if (strcmp(got, want)) printf("\n    %s: got %s, want %s", CASES[i].name, got, want);
                CHECK(strcmp(got, want) == 0);
                c += strcspn(c, ";");
                break;
            case '=': lines_settle(l, lines_find(l, id)), c++; break;
            case '~': lines_wait(l, lines_find(l, id), 0), c++; break;
            case 'w': lines_wait(l, lines_find(l, id), 100), c++; break;
            case 'T': now = 100; break;
            case 'L': now = 1000; break;
            }
        }
        if (lines_floor(l) != CASES[i].floor)
            printf("\n    %s: floor %d", CASES[i].name, (int)lines_floor(l));
        CHECK(lines_floor(l) == CASES[i].floor);
    }
}

static void due(void) {
    AUTO(Lines) l = lines_new(0);
    CHECK(lines_next_due(l) == -1);
    lines_begin(l, 1);
    for (int64_t id = 1; id <= 3; id++) {
        Ticket *t = lines_add(l, id, span_bytes("abc" + id - 1, 1), 0, false);
        lines_lock(l, t, 5);
        if (id > 1) lines_wait(l, t, 100 - id);
    }
    CHECK(lines_next_due(l) == 97); /* a lease is no wait */
    CHECK(lines_find(l, 4) == NULL);
}

/* Random work against the two rules: each id is taken in order within its key, and settled ones never come
 * back. */
static void random_work(void) {
    AUTO(Lines) l = lines_new(0);
    unsigned seed = 7;
    enum { IDS = 4000, KEYS = 17 };
    static int64_t next_of_key[KEYS]; /* the id that must come next */
    static unsigned char settled[IDS + 1];
    for (int k = 0; k < KEYS; k++) next_of_key[k] = k ? k : KEYS;
    int64_t added = 0, done = 0, now = 1;
    for (int round = 0; done < IDS && round < 100000; round++) {
        lines_begin(l, now += 10);
        for (int i = 0; i < 20 && added < IDS; i++) {
            char key = (char)('a' + ++added % KEYS);
            lines_add(l, added, span_bytes(&key, 1), 0, false);
        }
        Ticket *taken[64];
        size_t count = 0;
        for (Ticket *t; count < 64 && (t = lines_next(l));) lines_lock(l, taken[count++] = t, now + 100000);
        bool held[KEYS] = {false};
        for (size_t i = 0; i < count; i++) {
            int64_t id = taken[i]->queue_id;
            int key = (int)(id % KEYS);
            if (held[key] || rand_r(&seed) % 4 == 0) {
                lines_wait(l, taken[i], held[key] ? 0 : now + rand_r(&seed) % 50);
                held[key] = true;
                continue;
            }
            CHECK(id == next_of_key[key] && !settled[id]);
            settled[id] = 1;
            next_of_key[key] = id + KEYS;
            lines_settle(l, taken[i]);
            done++;
        }
    }
    CHECK(done == IDS && lines_floor(l) == IDS);
}

SUITE("queue lines", TEST(scripts), TEST(due), TEST(random_work));
