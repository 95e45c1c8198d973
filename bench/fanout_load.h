/* The load of bench-fanout: a publisher, its subscribers, and what was measured. */
#pragma once
#include "bench/fanout.h"

enum { IN_FLIGHT = 1 << 17, LATENCY_US = 50, LATENCIES = 80000 }; /* up to four seconds */

/* rate > 0: so many events a second, each on its own, late or not. Else `chunk` together whenever no more than
 * `window` are then on their way. */
typedef struct Mode {
    const char *text;
    uint64_t rate, window, chunk;
} Mode;

typedef struct Cpu {
    int64_t server_ns, busy_us, idle_us; /* of the server's threads; of processor 0 */
    int64_t client_ns;
} Cpu;
Cpu cpu_now(const char *pids); /* numbers, a comma between */

typedef struct Load {
    const Plan *plan;
    Subscriber *subscribers;
    size_t count, fast;
    int epoll, publisher;
    Buf out, answer;
    Mode mode;
    int64_t published, completed; /* numbers; completed: every fast subscriber has all up to it */
    int64_t now_us;
    uint64_t due, deliveries;
    int64_t measured_from; /* the first number whose latency counts; INT64_MAX: none does */
    int64_t fault;         /* a number that came out of order */
    uint32_t seen[IN_FLIGHT];
    int64_t intended_us[IN_FLIGHT];
    uint32_t latencies[LATENCIES];
} Load;

/* Subscribes them all, until all are confirmed. */
bool load_subscribe(Load *load, Err *err);
/* Runs one mode and writes its JSON line. */
bool load_run(Load *load, Err *err);
/* Subscribes them all at once and runs until each has caught up; writes its JSON line. */
bool load_resume(Load *load, Err *err);
/* Until all that was published has been seen, by the slow ones too. */
bool load_drain(Load *load, bool slow_ones, Err *err);
