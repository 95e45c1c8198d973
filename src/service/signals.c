#include "service/signals.h"

#include "base/clock.h"
#include "base/log.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

struct Signals {
    SignalsOptions options;
    pthread_t thread;
    bool started;
    int signal_fd, wake_fd;
    atomic_bool ending;        /* what wake_fd announces */
    int64_t stopping_since_us; /* 0: not yet */
    int first;                 /* the signal that began the stop; 0: none did */
};

static void set_of_signals(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
}

static _Noreturn void end_by_force(Signals *s, int number, const char *why) {
    log_error("ended by force", LOG_TEXT("reason", why));
    if (s->options.last) s->options.last(s->options.user);
    signal(number, SIG_DFL);
    sigset_t set;
    set_of_signals(&set);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(number);
    _exit(128 + number);
}

static void begin_stop(Signals *s, int number) {
    if (s->stopping_since_us) return;
    s->stopping_since_us = clock_mono_us();
    s->first = number;
    log_info("stopping", LOG_INT("signal", number));
    s->options.stop(s->options.user);
}

static void take_signal(Signals *s, int number) {
    if (number == SIGHUP) {
        log_info("reloading");
        s->options.reload(s->options.user);
        return;
    }
    /* A terminal's Ctrl-C reaches the whole group and its leader then sends SIGTERM: only the same signal
     * again means that somebody has lost patience. */
    if (s->stopping_since_us && s->first == number) end_by_force(s, number, "second signal");
    begin_stop(s, number);
    s->first = s->first ? s->first : number;
}

static int milliseconds_left(const Signals *s) {
    if (!s->stopping_since_us) return -1;
    int64_t left = s->options.drain_ms - (clock_mono_us() - s->stopping_since_us) / 1000;
    return left > 0 ? (int)left : 0;
}

static void *signal_thread(void *user) {
    Signals *s = user;
    while (!atomic_load(&s->ending)) {
        struct pollfd fds[] = {{.fd = s->signal_fd, .events = POLLIN}, {.fd = s->wake_fd, .events = POLLIN}};
        int ready = poll(fds, COUNT(fds), milliseconds_left(s));
        if (ready < 0 && errno != EINTR) break;
        if (atomic_load(&s->ending)) break;
        struct signalfd_siginfo info;
        while (read(s->signal_fd, &info, sizeof info) == sizeof info) take_signal(s, (int)info.ssi_signo);
        if (s->stopping_since_us && !milliseconds_left(s)) end_by_force(s, SIGTERM, "drain took too long");
    }
    return NULL;
}

static void wake(Signals *s) {
    uint64_t one = 1;
    if (write(s->wake_fd, &one, sizeof one) < 0) return; /* full means that it is awake already */
}

bool signals_open(const SignalsOptions *options, Signals **ret, Err *err) {
    AUTO(Signals) s = must(calloc(1, sizeof *s));
    s->options = *options;
    s->signal_fd = s->wake_fd = -1;
    signal(SIGPIPE, SIG_IGN);
    sigset_t set;
    set_of_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->signal_fd < 0 || s->wake_fd < 0) return err_set_errno(err, &ERR_UNAVAILABLE, errno, "signalfd");
    int failed = pthread_create(&s->thread, NULL, signal_thread, s);
    if (failed) return err_set_errno(err, &ERR_UNAVAILABLE, failed, "signal thread");
    s->started = true;
    pthread_setname_np(s->thread, "signals");
    *ret = s;
    s = NULL;
    return true;
}

Signals *signals_free(Signals *s) {
    if (!s) return NULL;
    if (s->started) {
        atomic_store(&s->ending, true);
        wake(s);
        pthread_join(s->thread, NULL);
    }
    if (s->signal_fd >= 0) close(s->signal_fd);
    if (s->wake_fd >= 0) close(s->wake_fd);
    free(s);
    return NULL;
}
