/* fanout_load.c - one turn: publish what is due, read what is there. Latency is counted from when an event should have
 * been published, so that a late client or a full server does not make it look better. */
#include "bench/fanout_load.h"

#include "base/clock.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READY = 64, TURN_US = 5000, DRAIN_MS = 20000, SLOW_TICK_US = 100000, READ_MOST = 256 << 10 };

/* --- processor time --- */

static int64_t file_number(const char *path, int skip) {
    char text[4096] = "";
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    char *at = text;
    text[n > 0 ? n : 0] = 0;
    for (int i = 0; i < skip && at; i++) at = (at = strchr(at, ' ')) ? at + 1 : NULL;
    return at ? strtoll(at, NULL, 10) : 0;
}

static int64_t threads_ns(long pid) {
    char path[96];
    int64_t total = 0;
    snprintf(path, sizeof path, "/proc/%ld/task", pid);
    DIR *tasks = opendir(path);
    for (struct dirent *task; tasks && (task = readdir(tasks));) {
        snprintf(path, sizeof path, "/proc/%ld/task/%.20s/schedstat", pid, task->d_name);
        if (*task->d_name != '.') total += file_number(path, 0);
    }
    if (tasks) closedir(tasks);
    return total;
}

/* Of the lines of /proc/stat the second is processor 0: user, nice, system, idle, wait, interrupts ... */
static void processor_us(Cpu *cpu) {
    int64_t ticks[8] = {0};
    FILE *stat = fopen("/proc/stat", "re");
    if (stat && fscanf(stat, "%*[^\n] cpu0") == 0)
        for (size_t i = 0; i < COUNT(ticks); i++)
            if (fscanf(stat, "%ld", &ticks[i]) != 1) break;
    if (stat) fclose(stat);
    int64_t us = 1000000 / sysconf(_SC_CLK_TCK);
    for (size_t i = 0; i < COUNT(ticks); i++)
        *(i == 3 || i == 4 ? &cpu->idle_us : &cpu->busy_us) += ticks[i] * us;
}

Cpu cpu_now(const char *pids) {
    Cpu cpu = {0};
    struct timespec own;
    for (char *end; *pids; pids = *end ? end + 1 : end) cpu.server_ns += threads_ns(strtol(pids, &end, 10));
    processor_us(&cpu);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    cpu.client_ns = own.tv_sec * 1000000000 + own.tv_nsec;
    return cpu;
}

/* --- what comes --- */

static void note_latency(Load *load, int64_t number) {
    int64_t at = (load->now_us - load->intended_us[number % IN_FLIGHT]) / LATENCY_US;
    if (number >= load->measured_from) load->latencies[at < 0 ? 0 : at < LATENCIES ? at : LATENCIES - 1]++;
}

/* A slow one may be given again what was dropped; nobody may miss one. */
bool load_seen(Subscriber *s, int64_t number) {
    Load *load = s->load;
    bool again = s->slow && number > 0 && number <= s->last;
    if (s->other || (number != s->last + 1 && !again)) {
        load->fault = number;
        return false;
    }
    if (!again) s->last = number;
    if (s->slow) return true;
    load->deliveries++;
    note_latency(load, number);
    if (++load->seen[number % IN_FLIGHT] < load->fast) return true;
    while (load->completed < load->published && load->seen[(load->completed + 1) % IN_FLIGHT] == load->fast)
        load->seen[++load->completed % IN_FLIGHT] = 0;
    return true;
}

static bool read_subscriber(Load *load, Subscriber *s, size_t most, Err *err) {
    size_t got;
    do {
        load->now_us = clock_mono_us();
        if (!subscriber_read(load->plan, s, most, &got, err)) return false;
        s->budget -= (int64_t)got;
    } while (s->ssl && SSL_pending(s->ssl));
    return true;
}

/* Of answers over HTTP only what they begin with counts. */
static bool read_answers(Load *load, Err *err) {
    static const Span HEAD = {"HTTP/1.1 ", 9};
    char *to = buf_reserve(&load->answer, 1 << 16);
    ssize_t n = to ? recv(load->publisher, to, 1 << 16, 0) : -1;
    if (n < 0 && errno == EAGAIN) return true;
    if (n <= 0) return err_set(err, &ERR_UNAVAILABLE, "the publisher was cut");
    load->answer.len += (size_t)n;
    Span all = buf_view(&load->answer);
    for (const char *at;
         (at = memmem(all.at, all.len, HEAD.at, HEAD.len)) && at + HEAD.len < all.at + all.len;) {
        if (at[HEAD.len] != '2') return err_set(err, &ERR_UNAVAILABLE, "publishing got %.12s", at);
        all = (Span){at + HEAD.len, all.len - (size_t)(at + HEAD.len - all.at)};
    }
    size_t keep = all.len < HEAD.len ? all.len : HEAD.len;
    buf_consume(&load->answer, load->answer.len - keep);
    return true;
}

static bool read_ready(Load *load, int64_t wait_us, Err *err) {
    struct epoll_event ready[READY];
    struct timespec wait = {wait_us / 1000000, wait_us % 1000000 * 1000};
    int count = epoll_pwait2(load->epoll, ready, READY, &wait, NULL);
    for (int i = 0; i < count; i++) {
        Subscriber *s = ready[i].data.ptr;
        if (s ? !read_subscriber(load, s, READ_MOST, err) : !read_answers(load, err)) return false;
    }
    return true;
}

/* Each as if its line carried so many bytes a second. */
static bool read_slowly(Load *load, Err *err) {
    static int64_t next_us;
    int64_t now = clock_mono_us(), each = (int64_t)load->plan->slow_rate * SLOW_TICK_US / 1000000;
    if (now < next_us || !load->plan->slow) return true;
    next_us = now + SLOW_TICK_US;
    for (size_t i = 0; i < load->count; i++) {
        Subscriber *s = &load->subscribers[i];
        if (!s->slow) continue;
        s->budget += each;
        if (s->budget > 0 && !read_subscriber(load, s, (size_t)s->budget, err)) return false;
    }
    return true;
}

/* --- what goes --- */

static bool flush(Load *load, Err *err) {
    while (load->out.len) {
        ssize_t n = send(load->publisher, load->out.at, load->out.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) return true;
        if (n < 0) return err_set_errno(err, &ERR_UNAVAILABLE, errno, "publishing");
        buf_consume(&load->out, (size_t)n);
    }
    return true;
}

static void publish(Load *load, size_t count, int64_t intended_us) {
    for (size_t i = 0; i < count; i++) {
        int64_t number = load->published + 1 + (int64_t)i;
        load->intended_us[number % IN_FLIGHT] = intended_us;
    }
    load->plan->wire->publish(load->plan, load->published + 1, count, &load->out);
    load->published += (int64_t)count;
}

/* Returns for how long there is nothing to do. */
static int64_t publish_due(Load *load, int64_t began_us) {
    const Mode *m = &load->mode;
    int64_t now = clock_mono_us();
    if (m->rate) {
        int64_t due = began_us + (int64_t)(load->due * 1000000 / m->rate);
        for (; due <= now; due = began_us + (int64_t)(++load->due * 1000000 / m->rate))
            if (load->published - load->completed < IN_FLIGHT - 1) publish(load, 1, due);
        return due - now < TURN_US ? due - now : TURN_US;
    }
    uint64_t on_their_way = (uint64_t)(load->published - load->completed), room = 0;
    while (on_their_way + room + m->chunk <= m->window) room += m->chunk;
    if (room) publish(load, room, now);
    return TURN_US;
}

static bool turn(Load *load, int64_t began_us, Err *err) {
    int64_t wait_us = began_us ? publish_due(load, began_us) : TURN_US;
    return flush(load, err) && read_ready(load, load->out.len ? 1000 : wait_us, err) &&
           read_slowly(load, err);
}

/* --- a mode from its beginning to its figures --- */

static double percentile(const Load *load, double part) {
    uint64_t total = 0, below = 0;
    for (size_t i = 0; i < LATENCIES; i++) total += load->latencies[i];
    for (size_t i = 0; i < LATENCIES; i++)
        if ((below += load->latencies[i]) >= (uint64_t)(part * (double)total) && below)
            return (double)(i + 1) * LATENCY_US / 1000;
    return 0;
}

static void print(const Load *load, const Cpu *from, const Cpu *to, double seconds) {
    double each = load->deliveries ? (double)load->deliveries : 1;
    double busy = (double)(to->busy_us - from->busy_us), all = busy + (double)(to->idle_us - from->idle_us);
    uint64_t lagged = 0;
    for (size_t i = 0; i < load->count; i++) lagged += load->subscribers[i].lagged;
    printf("{\"mode\":\"%s\",\"deliveries\":%llu,\"per_second\":%.0f,\"us\":%.3f,\"busy_us\":%.3f,\"server_"
           "busy\":%.3f,"
           "\"client_busy\":%.3f,\"p50\":%.2f,\"p99\":%.2f,\"p999\":%.2f,\"lagged\":%llu}\n",
           load->mode.text, (unsigned long long)load->deliveries, each / seconds,
           (double)(to->server_ns - from->server_ns) / 1000 / each, busy / each, all > 0 ? busy / all : 0,
           (double)(to->client_ns - from->client_ns) / 1e9 / seconds, percentile(load, 0.5),
           percentile(load, 0.99), percentile(load, 0.999), (unsigned long long)lagged);
    fflush(stdout);
}

static bool run_until(Load *load, int64_t began_us, int64_t end_us, Err *err) {
    while (clock_mono_us() < end_us)
        if (!turn(load, began_us, err)) return false;
    return true;
}

bool load_run(Load *load, Err *err) {
    int64_t began = clock_mono_us(), measured = began + (int64_t)load->plan->warm_ms * 1000;
    load->due = 0;
    load->measured_from = INT64_MAX;
    if (!run_until(load, began, measured, err)) return false;
    Cpu from = cpu_now(load->plan->pids), to;
    memset(load->latencies, 0, sizeof load->latencies);
    load->deliveries = 0;
    load->measured_from = load->published + 1;
    int64_t start = clock_mono_us();
    if (!run_until(load, began, start + (int64_t)load->plan->seconds * 1000000, err)) return false;
    to = cpu_now(load->plan->pids);
    double seconds = (double)(clock_mono_us() - start) / 1e6;
    uint64_t deliveries = load->deliveries;
    if (!load_drain(load, false, err)) return false; /* the last ones' latencies count too */
    load->deliveries = deliveries;
    print(load, &from, &to, seconds);
    return true;
}

static bool say_hello(Load *load, Err *err) {
    for (size_t i = 0; i < load->count; i++)
        if (!subscriber_hello(load->plan, &load->subscribers[i], err)) return false;
    return true;
}

bool load_subscribe(Load *load, Err *err) {
    int64_t end = clock_mono_us() + DRAIN_MS * INT64_C(1000);
    load->measured_from = INT64_MAX;
    if (!say_hello(load, err)) return false;
    for (size_t i = 0; i < load->count; i++) {
        Subscriber *s = &load->subscribers[i];
        while (!s->ready) {
            if (clock_mono_us() > end)
                return err_set(err, &ERR_UNAVAILABLE, "a subscription was not confirmed");
            if (!(s->slow ? read_subscriber(load, s, READ_MOST, err) : read_ready(load, TURN_US, err)))
                return false;
        }
    }
    return true;
}

bool load_resume(Load *load, Err *err) {
    Cpu from = cpu_now(load->plan->pids), to;
    int64_t start = clock_mono_us(), end = start + DRAIN_MS * INT64_C(1000);
    load->measured_from = INT64_MAX;
    if (!say_hello(load, err)) return false;
    for (size_t i = 0; i < load->count; i++)
        while (!load->subscribers[i].caught_up) {
            if (clock_mono_us() > end) return err_set(err, &ERR_UNAVAILABLE, "not everybody has caught up");
            if (!read_ready(load, TURN_US, err)) return false;
        }
    to = cpu_now(load->plan->pids);
    print(load, &from, &to, (double)(clock_mono_us() - start) / 1e6);
    return true;
}

static bool all_seen(const Load *load, bool slow_ones) {
    if (load->completed < load->published) return false;
    for (size_t i = 0; slow_ones && i < load->count; i++)
        if (load->subscribers[i].slow && load->subscribers[i].last < load->published) return false;
    return true;
}

bool load_drain(Load *load, bool slow_ones, Err *err) {
    int64_t end = clock_mono_us() + DRAIN_MS * INT64_C(1000);
    while (!all_seen(load, slow_ones)) {
        if (clock_mono_us() > end) return err_set(err, &ERR_UNAVAILABLE, "not everything arrived");
        if (!turn(load, 0, err)) return false;
        for (size_t i = 0; slow_ones && i < load->count; i++)
            if (load->subscribers[i].slow && !read_subscriber(load, &load->subscribers[i], READ_MOST, err))
                return false;
    }
    return true;
}
