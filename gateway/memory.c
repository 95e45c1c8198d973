/* memory.c - the gateway's total budget.
 *
 * Every queue, body, buffer and stream has a bound of its own, but their number has not: what counts in the
 * end is what the kernel says. The resident pages that are not shared with files are looked at when requests
 * come, a system call of some microseconds, at most every 50 ms. What has been freed may still be resident,
 * scattered: where memory is short, a reader thread gives it back, every five seconds at most, for that takes
 * too long for a loop. */
#include "gateway/memory.h"

#include "base/log.h"
#include "observe/metric.h"
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LOOK_US = 50000, TRIM_US = 5000000, STATM_TEXT = 128 };

struct Memory {
    size_t limit, page;
    int statm;
    _Atomic int64_t looked_us, trimmed_us;
    atomic_bool is_short, trimming;
    Pool *trimmers;
    Job trim;
    Metric *shed, *held;
};

/* --- how much there is, and how much is used --- */

static size_t machine_bytes(void) {
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
    return pages > 0 && page > 0 ? (size_t)pages * (size_t)page : (size_t)1 << 30;
}

/* "max", or bytes. */
static size_t container_bytes(void) {
    char text[32] = "";
    FILE *file = fopen("/sys/fs/cgroup/memory.max", "re");
    if (!file) return SIZE_MAX;
    bool read = fgets(text, sizeof text, file);
    fclose(file);
    uint64_t bytes;
    text[strcspn(text, "\n")] = 0;
    return read && span_to_u64(span_of(text), INT64_MAX, &bytes) && bytes ? bytes : SIZE_MAX;
}

size_t memory_of_statm(Span text, size_t page) {
    uint64_t resident, shared;
    Span rest;
    span_split(text, ' ', &rest);
    Span first = span_split(rest, ' ', &rest), second = span_split(rest, ' ', &rest);
    if (!span_to_u64(first, UINT32_MAX, &resident) || !span_to_u64(second, UINT32_MAX, &shared)) return 0;
    return resident > shared ? (resident - shared) * page : 0;
}

static size_t held_bytes(const Memory *m) {
    char text[STATM_TEXT];
    ssize_t len = pread(m->statm, text, sizeof text, 0);
    return len > 0 ? memory_of_statm((Span){text, (size_t)len}, m->page) : 0;
}

/* --- giving back --- */

static void trim(Job *job, void *context) {
    (void)job, (void)context;
    malloc_trim(0);
}

static void trimmed(Job *job) {
    Memory *m = CONTAINER(job, Memory, trim);
    atomic_store(&m->trimming, false);
}

static void give_back(Memory *m, Loop *loop) {
    int64_t now = loop_now_us(loop);
    bool due = now - atomic_load(&m->trimmed_us) >= TRIM_US;
    if (!m->trimmers || !due || atomic_exchange(&m->trimming, true)) return;
    Err err = {0};
    atomic_store(&m->trimmed_us, now);
    m->trim = (Job){.run = trim, .done = trimmed};
    if (!pool_submit(m->trimmers, loop, &m->trim, &err)) atomic_store(&m->trimming, false);
}

/* --- looking --- */

static void look(Memory *m) {
    size_t held = held_bytes(m);
    bool was = atomic_load(&m->is_short);
    bool is = held > (was ? m->limit - m->limit / 10 : m->limit);
    metric_set(m->held, (int64_t)held);
    if (is == was || !atomic_compare_exchange_strong(&m->is_short, &was, is)) return;
    log_warn(is ? "memory is short, requests are shed" : "memory is no longer short",
             LOG_INT("heldMiB", (int64_t)(held >> 20)), LOG_INT("limitMiB", (int64_t)(m->limit >> 20)));
}

bool memory_is_short(Memory *m, Loop *loop) {
    int64_t now = loop_now_us(loop), before = atomic_load_explicit(&m->looked_us, memory_order_relaxed);
    if (now - before >= LOOK_US && atomic_compare_exchange_strong(&m->looked_us, &before, now)) look(m);
    bool is_short = atomic_load_explicit(&m->is_short, memory_order_relaxed);
    if (is_short) give_back(m, loop);
    return is_short;
}

void memory_shed(Memory *m) {
    metric_add(m->shed, 1);
}

Memory *memory_new(size_t limit, Pool *trimmers) {
    Memory *m = must(calloc(1, sizeof *m));
    size_t machine = machine_bytes(), container = container_bytes();
    m->limit = limit ? limit : (machine < container ? machine : container) / 2;
    m->page = (size_t)sysconf(_SC_PAGE_SIZE);
    m->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    m->trimmers = trimmers;
    m->shed = metric_counter("events_gateway_shed_total{cause=\"memory\"}",
                             "requests refused to stay within bounds");
    m->held = metric_gauge("events_gateway_memory_bytes", "memory held, as last looked at");
    return m;
}

Memory *memory_free(Memory *m) {
    if (!m) return NULL;
    if (m->statm >= 0) close(m->statm);
    free(m);
    return NULL;
}
