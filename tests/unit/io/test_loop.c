#include "base/clock.h"
#include "io/loop.h"
#include "kit/test.h"
#include <pthread.h>
#include <sys/epoll.h>

typedef struct Trace {
    Loop *loop;
    Timer timers[4];
    int order[4], count;
} Trace;
static Trace trace;

static void expired(Timer *timer) {
    trace.order[trace.count++] = (int)(timer - trace.timers);
    if (trace.count == 3) loop_stop(trace.loop);
}

static void timers_in_order(void) {
    Err err = {0};
    AUTO(Loop) loop = NULL;
    REQUIRE(CHECK_OK(loop_open(&loop, &err), &err));
    trace = (Trace){.loop = loop};
    static const int AFTER[] = {30, 10, 20, 5};
    for (int i = 0; i < 4; i++) {
        trace.timers[i].expired = expired;
        loop_timer_set(loop, &trace.timers[i], AFTER[i]);
    }
    loop_timer_stop(loop, &trace.timers[3]);
    int64_t start = clock_mono_us();
    loop_run(loop);
    CHECK(trace.order[0] == 1 && trace.order[1] == 2 && trace.order[2] == 0);
    CHECK(clock_mono_us() - start >= 30000);
}

enum { POSTERS = 4, POSTS = 5000 };
typedef struct Post {
    Task task;
    int poster, number;
} Post;
static Loop *posting;
static int next_number[POSTERS], arrived;
static bool out_of_order;

static void post_run(Task *task) {
    Post *post = CONTAINER(task, Post, task);
    if (post->number != next_number[post->poster]++) out_of_order = true;
    free(post);
    if (++arrived == POSTERS * POSTS) loop_stop(posting);
}

static void *poster(void *user) {
    for (int i = 0; i < POSTS; i++) {
        Post *post = must(calloc(1, sizeof *post));
        *post = (Post){{.run = post_run}, (int)(intptr_t)user, i};
        loop_post(posting, &post->task);
    }
    return NULL;
}

static void posts_keep_their_order(void) {
    Err err = {0};
    AUTO(Loop) loop = NULL;
    REQUIRE(CHECK_OK(loop_open(&loop, &err), &err));
    posting = loop;
    pthread_t threads[POSTERS];
    for (intptr_t i = 0; i < POSTERS; i++) REQUIRE(!pthread_create(&threads[i], NULL, poster, (void *)i));
    loop_run(loop);
    for (int i = 0; i < POSTERS; i++) pthread_join(threads[i], NULL);
    CHECK(arrived == POSTERS * POSTS);
    CHECK(!out_of_order);
}

typedef struct End {
    Watch watch;
    Loop *loop;
    struct End *other;
    int calls;
} End;

static void end_ready(Watch *watch, unsigned events) {
    (void)events;
    End *end = CONTAINER(watch, End, watch);
    end->calls++;
    loop_unwatch(end->loop, &end->other->watch);
    loop_stop(end->loop);
}

/* Both ends are ready in one turn; the first one called takes the other out, which then must not be called. */
static void unwatched_in_the_same_turn(void) {
    Err err = {0};
    AUTO(Loop) loop = NULL;
    REQUIRE(CHECK_OK(loop_open(&loop, &err), &err));
    int pipes[2][2];
    End ends[2];
    for (int i = 0; i < 2; i++) {
        REQUIRE(!pipe(pipes[i]));
        REQUIRE(write(pipes[i][1], "x", 1) == 1);
        ends[i] = (End){{.ready = end_ready, .fd = pipes[i][0]}, loop, &ends[1 - i], 0};
        REQUIRE(CHECK_OK(loop_watch(loop, &ends[i].watch, EPOLLIN, &err), &err));
    }
    loop_run(loop);
    CHECK(ends[0].calls + ends[1].calls == 1);
    for (int i = 0; i < 2; i++) close(pipes[i][0]), close(pipes[i][1]);
}

SUITE("loop", TEST(timers_in_order), TEST(posts_keep_their_order), TEST(unwatched_in_the_same_turn));
