#include "base/clock.h"
#include "io/batcher.h"
#include "io/doorbell.h"
#include "io/pool.h"
#include "kit/test.h"
#include <stdatomic.h>
#include <stdio.h>

enum { JOBS = 500 };
typedef struct Sum {
    Job job;
    int value, squared;
} Sum;
static Loop *home;
static int done_count;

static void square(Job *job, void *context) {
    Sum *sum = CONTAINER(job, Sum, job);
    sum->squared = context ? sum->value * sum->value : -1;
}
static void squared(Job *job) {
    (void)job;
    if (++done_count == JOBS) loop_stop(home);
}
static void *context_open(void *user) {
    return user;
}

static void pool_answers_every_job(void) {
    Err err = {0};
    AUTO(Loop) loop = NULL;
    AUTO(Pool) pool = NULL;
    static int context;
    PoolOptions options = {
        .name = "test", .threads = 3, .bound = JOBS, .context_open = context_open, .user = &context};
    REQUIRE(CHECK_OK(loop_open(&loop, &err), &err));
    REQUIRE(CHECK_OK(pool_open(&options, &pool, &err), &err));
    home = loop;
    done_count = 0;
    static Sum sums[JOBS];
    for (int i = 0; i < JOBS; i++) {
        sums[i] = (Sum){{.run = square, .done = squared}, i, 0};
        REQUIRE(CHECK_OK(pool_submit(pool, loop, &sums[i].job, &err), &err));
    }
    loop_run(loop);
    for (int i = 0; i < JOBS; i++) CHECK(sums[i].squared == i * i);
}

static void slow(Job *job, void *context) {
    (void)job, (void)context;
    clock_sleep_ms(50);
}
static void slow_done(Job *job) {
    (void)job;
}

static void pool_refuses_past_its_bound(void) {
    Err err = {0};
    AUTO(Loop) loop = NULL;
    AUTO(Pool) pool = NULL;
    PoolOptions options = {.name = "test", .threads = 1, .bound = 2};
    REQUIRE(CHECK_OK(loop_open(&loop, &err), &err));
    REQUIRE(CHECK_OK(pool_open(&options, &pool, &err), &err));
    static Job jobs[8];
    int refused = 0;
    for (int i = 0; i < 8; i++) {
        Err full = {0};
        jobs[i] = (Job){.run = slow, .done = slow_done};
        if (!pool_submit(pool, loop, &jobs[i], &full)) refused += full.kind == &ERR_UNAVAILABLE;
    }
    CHECK(refused >= 5);
    pool = pool_free(pool);
}

static int ran, late;
static atomic_bool hangs, may_go_on;
static void stick(Job *job, void *context) {
    (void)job, (void)context;
    ran++;
    hangs = true;
    while (!may_go_on) clock_sleep_ms(1);
}
static void stick_done(Job *job) {
    late += job->late;
    if (++done_count == 4) loop_stop(home);
}

/* A thread that hangs: who has waited too long is given back without having been run, when the next one comes. */
static void pool_gives_back_what_is_late(void) {
    Err err = {0};
    AUTO(Loop) loop = NULL;
    AUTO(Pool) pool = NULL;
    PoolOptions options = {.name = "test", .threads = 1, .bound = 8, .patience_ms = 500};
    REQUIRE(CHECK_OK(loop_open(&loop, &err), &err));
    REQUIRE(CHECK_OK(pool_open(&options, &pool, &err), &err));
    home = loop;
    done_count = ran = late = 0;
    hangs = may_go_on = false;
    static Job jobs[4];
    for (int i = 0; i < 4; i++) {
        jobs[i] = (Job){.run = stick, .done = stick_done};
        if (i == 3) clock_sleep_ms(600); /* the patience of the two before it is over */
        REQUIRE(CHECK_OK(pool_submit(pool, loop, &jobs[i], &err), &err));
        while (!hangs) clock_sleep_ms(1);
    }
    may_go_on = true;
    loop_run(loop);
    CHECK(ran == 2 && late == 2);
    CHECK(!jobs[0].late && jobs[1].late && jobs[2].late && !jobs[3].late);
}

/* What would probably wait too long is refused, although there is room; with nothing waiting there is always a try. */
static void pool_refuses_what_would_be_late(void) {
    Err err = {0};
    AUTO(Loop) loop = NULL;
    AUTO(Pool) pool = NULL;
    PoolOptions options = {.name = "test", .threads = 1, .bound = 1000, .patience_ms = 40};
    REQUIRE(CHECK_OK(loop_open(&loop, &err), &err));
    REQUIRE(CHECK_OK(pool_open(&options, &pool, &err), &err));
    static Job first[3], jobs[200];
    for (size_t i = 0; i < COUNT(first); i++) { /* 50 ms each: now it knows */
        first[i] = (Job){.run = slow, .done = slow_done};
        REQUIRE(CHECK_OK(pool_submit(pool, loop, &first[i], &err), &err));
        clock_sleep_ms(70);
    }
    size_t taken = 0;
    for (size_t i = 0; i < COUNT(jobs); i++) {
        Err full = {0};
        jobs[i] = (Job){.run = slow, .done = slow_done};
        taken += pool_submit(pool, loop, &jobs[i], &full);
    }
    CHECK(taken >= 2 && taken < 30);
    pool = pool_free(pool);
}

enum { ITEMS = 1000 };
static size_t runs, largest, seen;
static BatchItem items[ITEMS];
static bool in_order = true;

static void run_batch(void *user, BatchItem **batch, size_t count) {
    (void)user;
    runs++;
    if (count > largest) largest = count;
    for (size_t i = 0; i < count; i++)
        if (batch[i] != &items[seen++]) in_order = false;
    clock_sleep_ms(1);
}
static void item_done(BatchItem *item) {
    (void)item;
    if (++done_count == ITEMS) loop_stop(home);
}

static void batches_share_a_run(void) {
    Err err = {0};
    AUTO(Loop) loop = NULL;
    AUTO(Batcher) batcher = NULL;
    BatcherOptions options = {.name = "test", .most = 64, .bound = ITEMS, .run = run_batch};
    REQUIRE(CHECK_OK(loop_open(&loop, &err), &err));
    REQUIRE(CHECK_OK(batcher_open(&options, &batcher, &err), &err));
    home = loop;
    done_count = 0;
    for (int i = 0; i < ITEMS; i++) {
        items[i].done = item_done;
        REQUIRE(CHECK_OK(batcher_submit(batcher, loop, &items[i], &err), &err));
    }
    loop_run(loop);
    CHECK(in_order);
    CHECK(largest <= 64);
    CHECK(runs < ITEMS / 4);
}

static void hang(void *user, BatchItem **batch, size_t count) {
    (void)user, (void)batch, (void)count;
    clock_sleep_ms(300);
}
static void hung_done(BatchItem *item) {
    (void)item;
    if (++done_count == 2) loop_stop(home);
}

static void batcher_refuses_while_stuck(void) {
    Err err = {0};
    AUTO(Loop) loop = NULL;
    AUTO(Batcher) batcher = NULL;
    BatcherOptions options = {.name = "test", .most = 4, .bound = 100, .patience_ms = 100, .run = hang};
    REQUIRE(CHECK_OK(loop_open(&loop, &err), &err));
    REQUIRE(CHECK_OK(batcher_open(&options, &batcher, &err), &err));
    home = loop;
    done_count = 0;
    BatchItem first = {.done = hung_done}, refused = {.done = hung_done}, last = {.done = hung_done};
    REQUIRE(CHECK_OK(batcher_submit(batcher, loop, &first, &err), &err));
    clock_sleep_ms(150);
    Err stuck = {0};
    CHECK(!batcher_submit(batcher, loop, &refused, &stuck) && stuck.kind == &ERR_UNAVAILABLE);
    clock_sleep_ms(250);
    CHECK_OK(batcher_submit(batcher, loop, &last, &err), &err);
    loop_run(loop);
}

static atomic_size_t tended;
static int64_t tend_twice_after_a_run(void *user) {
    (void)user;
    return ++tended % 3 ? 1 : -1;
}

/* Before the first run too; after the third time only a run brings it about again. */
static void between_runs_it_tends(void) {
    Err err = {0};
    AUTO(Batcher) batcher = NULL;
    BatcherOptions options = {
        .name = "test", .most = 4, .bound = 4, .run = hang, .tend = tend_twice_after_a_run};
    REQUIRE(CHECK_OK(batcher_open(&options, &batcher, &err), &err));
    for (size_t round = 1; round <= 2; round++) {
        for (int i = 0; tended < 3 * round && i < 5000; i++) clock_sleep_ms(1);
        clock_sleep_ms(50);
        CHECK(tended == 3 * round);
        AUTO(Loop) loop = NULL;
        REQUIRE(CHECK_OK(loop_open(&loop, &err), &err));
        home = loop;
        done_count = 1;
        BatchItem item = {.done = hung_done};
        REQUIRE(CHECK_OK(batcher_submit(batcher, loop, &item, &err), &err));
        loop_run(loop);
    }
}

static void doorbell_over_a_long_path(void) {
    Err err = {0};
    char path[400];
    int len = snprintf(path, sizeof path, "%s/", test_folder());
    memset(path + len, 'd', 150);
    path[len + 150] = 0;
    char command[500];
    snprintf(command, sizeof command, "mkdir -p %s", path);
    REQUIRE(!system(command));
    AUTO(Doorbell) a = NULL;
    AUTO(Doorbell) b = NULL;
    REQUIRE(CHECK_OK(doorbell_open(path, "relay", &a, &err), &err));
    CHECK(!doorbell_ring(a, "projection", "work"));
    REQUIRE(CHECK_OK(doorbell_open(path, "projection", &b, &err), &err));
    CHECK(doorbell_ring(a, "projection", "last %s %d", "epoch", 7));
    char ring[RING_MAX];
    CHECK(doorbell_wait(b, 1000));
    REQUIRE(doorbell_take(b, ring));
    CHECK_SPAN(span_of(ring), "last epoch 7");
    CHECK(!doorbell_take(b, ring));
    CHECK(!doorbell_wait(b, 10));
    doorbell_interrupt(b);
    CHECK(!doorbell_wait(b, 10000));
}

SUITE("workers", TEST(pool_answers_every_job), TEST(pool_refuses_past_its_bound),
      TEST(pool_gives_back_what_is_late), TEST(pool_refuses_what_would_be_late),
      TEST(batcher_refuses_while_stuck), TEST(between_runs_it_tends), TEST(batches_share_a_run),
      TEST(doorbell_over_a_long_path));
