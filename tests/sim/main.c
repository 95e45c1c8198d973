/* simulation - many small worlds, each by a seed; see sim.h.
 *
 *   unit_sim                       the planted faults, then as many good worlds as every test run takes
 *   unit_sim --schedules N         that many
 *   unit_sim --seed N [--fault F]  one world, again
 *
 * One process per processor. Exit 0: every world was well, and every planted fault was found. */
#include "sim/sim.h"

#include "base/log.h"
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SCHEDULES = 1000 };
#else
enum { SCHEDULES = 100000 };
#endif
enum { FAULT_WITHIN = 400 }; /* schedules in which a planted fault must be found */

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool fault_is_found(Fault fault) {
    for (uint64_t seed = 1; seed <= FAULT_WITHIN; seed++) {
        const char *failure = world_run(seed, fault);
        if (!failure) continue;
        printf("%-17s found by seed %llu: %s\n", FAULT_NAMES[fault], (unsigned long long)seed, failure);
        return true;
    }
    printf("%-17s NOT FOUND in %d schedules\n", FAULT_NAMES[fault], FAULT_WITHIN);
    return false;
}

typedef struct Totals {
    uint64_t resyncs, resumes, crashes, duplicates, repairs, halted, lags;
} Totals;

static void add(Totals *t) {
    t->resyncs += w->resyncs, t->resumes += w->resumes, t->crashes += w->crashes;
    t->duplicates += w->duplicates, t->repairs += w->repairs, t->halted += w->restored;
    t->lags += w->lags;
}

static int run_share(uint64_t first, uint64_t count, uint64_t step) {
    Totals t = {0};
    for (uint64_t seed = first; seed <= count; seed += step) {
        const char *failure = world_run(seed, FAULT_NONE);
        if (failure) {
            printf("FAILED: seed %llu at %lld ms: %s (again: --seed %llu)\n", (unsigned long long)seed,
                   (long long)(w->now / MS), failure, (unsigned long long)seed);
            return 1;
        }
        add(&t);
    }
    printf("share %llu: %llu crashes, %llu pages of the log, %llu resyncs, %llu duplicates, %llu repairs, "
           "%llu lags, %llu restores\n",
           (unsigned long long)first, (unsigned long long)t.crashes, (unsigned long long)t.resumes,
           (unsigned long long)t.resyncs, (unsigned long long)t.duplicates, (unsigned long long)t.repairs,
           (unsigned long long)t.lags, (unsigned long long)t.halted);
    return 0;
}

static int run_all(uint64_t schedules) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    int failed = 0, status;
    double began = seconds();
    fflush(stdout);
    for (long i = 0; i < processors; i++) {
        pid_t pid = fork();
        if (pid < 0) return 1;
        if (pid) continue;
        int code = run_share((uint64_t)i + 1, schedules, (uint64_t)processors);
        fflush(stdout);
        _exit(code);
    }
    while (wait(&status) > 0)
        if (status) failed = 1;
    double took = seconds() - began;
    printf("  tests %llu schedules on %ld processors in %.1f s, %.0f a second: %s\n",
           (unsigned long long)schedules, processors, took, (double)schedules / took,
           failed ? "FAILED" : "all well");
    return failed;
}

static int run_one(uint64_t seed, Fault fault) {
    const char *failure = world_run(seed, fault);
    printf("seed %llu, fault %s: %s, at %lld ms; numbers %lld, head %lld\n", (unsigned long long)seed,
           FAULT_NAMES[fault], failure ? failure : "all well", (long long)(w->now / MS),
           (long long)w->highest, (long long)w->stored.head.head);
    return failure != NULL;
}

static Fault fault_named(const char *name) {
    for (int i = 0; i < FAULTS; i++)
        if (!strcmp(FAULT_NAMES[i], name)) return (Fault)i;
    fprintf(stderr, "no fault is called %s\n", name);
    exit(64);
}

int main(int argc, char **argv) {
    uint64_t schedules = SCHEDULES, seed = 0;
    Fault fault = FAULT_NONE;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--schedules")) schedules = strtoull(argv[i + 1], NULL, 10);
        if (!strcmp(argv[i], "--seed")) seed = strtoull(argv[i + 1], NULL, 10);
        if (!strcmp(argv[i], "--fault")) fault = fault_named(argv[i + 1]);
    }
    log_least = seed ? LOG_WARN : (LogLevel)(LOG_ERROR + 1);
    w = must(calloc(1, sizeof *w));
    w->arena = arena_new(256u << 20);
    world_run(0, FAULT_NONE); /* keys of hash tables and the like are made once in a process */
    int failed = 0;
    if (seed) {
        failed = run_one(seed, fault);
    } else {
        for (int i = FAULT_NONE + 1; i < FAULTS; i++) failed |= !fault_is_found((Fault)i);
        failed |= run_all(schedules);
    }
    arena_free(w->arena);
    free(w);
    return failed;
}
