#include "queue/amqp_tries.h"

#include "kit/test.h"
#include "queue/queue.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { MESSAGES = 2 * QUEUE_LANES };

static const char *id_of(unsigned i) {
    static char id[16];
    snprintf(id, sizeof id, "message-%u", i);
    return id;
}

static unsigned tries_of(unsigned i) {
    return 1 + i % 4;
}

static AmqpTries *open_at(const char *folder, unsigned worker, unsigned workers) {
    char path[400];
    snprintf(path, sizeof path, "%s/queue-tries", folder);
    return amqp_tries_open(path, worker, workers);
}

static int files_in(const char *folder) {
    int count = 0;
    DIR *all = opendir(folder);
    for (const struct dirent *one; all && (one = readdir(all));) count += *one->d_name != '.';
    if (all) closedir(all);
    return count;
}

static void write_all(const char *folder, unsigned workers) {
    for (unsigned worker = 0; worker < workers; worker++) {
        AUTO(AmqpTries) tries = open_at(folder, worker, workers);
        Err err = {0};
        for (unsigned i = 0; i < MESSAGES; i++) {
            if (i % QUEUE_LANES % workers != worker) continue;
            Try *one = amqp_tries_put(tries, span_of(id_of(i)), i % QUEUE_LANES, 0);
            one->deliveries = (int)tries_of(i);
            one->locked = i % 3 == 0;
        }
        CHECK_OK(amqp_tries_write(tries, 0, &err), &err);
    }
}

/* Each of the workers knows those of its lanes, and no other. */
static void read_all(const char *folder, unsigned workers) {
    for (unsigned worker = 0; worker < workers; worker++) {
        AUTO(AmqpTries) tries = open_at(folder, worker, workers);
        bool as_written = true;
        for (unsigned i = 0; i < MESSAGES; i++) {
            const Try *one = amqp_tries_find(tries, span_of(id_of(i)));
            if (i % QUEUE_LANES % workers != worker)
                as_written = as_written && !one;
            else
                as_written = as_written && one && one->deliveries == (int)tries_of(i) &&
                             one->suspect == (i % 3 == 0) && one->lane == i % QUEUE_LANES;
        }
        CHECK(as_written);
    }
    CHECK(files_in(folder) == (int)workers);
}

static void another_number_of_workers(void) {
    static const unsigned NUMBERS[] = {1, 4, 3, 3, 16, 2, 1};
    const char *folder = test_folder();
    write_all(folder, NUMBERS[0]);
    for (size_t i = 1; i < COUNT(NUMBERS); i++) read_all(folder, NUMBERS[i]);
}

/* The process ends before the last of the workers is there: what the first has forgotten since is not remembered when
 * the former file is read again, and nothing else is lost. */
static void a_start_that_is_cut(void) {
    const char *folder = test_folder();
    Err err = {0};
    write_all(folder, 1);
    for (int start = 0; start < 2; start++) {
        AUTO(AmqpTries) first = open_at(folder, 0, 2);
        Try *one = amqp_tries_put(first, span_of(id_of(2)), 2, 0);
        CHECK(one->deliveries == (int)tries_of(2) + start);
        one->deliveries = (int)tries_of(2) + 1;
        CHECK_OK(amqp_tries_write(first, 0, &err), &err);
    }
    AUTO(AmqpTries) second = open_at(folder, 1, 2);
    CHECK(amqp_tries_find(second, span_of(id_of(1))) && !amqp_tries_find(second, span_of(id_of(2))));
    CHECK(files_in(folder) == 2);
}

static void lines_that_are_none(void) {
    static const char *const TEXT = "locked 2 0 good\nlocked\nwaiting x 0 a\nwaiting 1 64 b\nnothing 1 0 c\n"
                                    "waiting 1 0 \nwaiting 1 0\n\nwaiting 3 0 also good\nwaiting 1 0 cut";
    const char *folder = test_folder();
    char path[400];
    snprintf(path, sizeof path, "%s/queue-tries-0-of-1", folder);
    AUTO_FD int fd = open(path, O_WRONLY | O_CREAT, 0600);
    CHECK(write(fd, TEXT, strlen(TEXT)) == (ssize_t)strlen(TEXT));
    AUTO(AmqpTries) tries = open_at(folder, 0, 1);
    static const char *const IDS[] = {"a", "b", "c", "", "cut", "0"};
    for (size_t i = 0; i < COUNT(IDS); i++) CHECK(!amqp_tries_find(tries, span_of(IDS[i])));
    const Try *good = amqp_tries_find(tries, SPAN("good")), *also = amqp_tries_find(tries, SPAN("also good"));
    CHECK(good && good->deliveries == 2 && good->suspect);
    CHECK(also && also->deliveries == 3 && !also->suspect);
}

SUITE("amqp tries", TEST(another_number_of_workers), TEST(a_start_that_is_cut), TEST(lines_that_are_none));
