/* The process's signals, taken by a thread of their own, so that handlers may lock and allocate.
 *
 * SIGTERM and SIGINT ask for an orderly stop; the same one again, or drain_ms without an end, ends the
 * process at once (as killed by that signal). SIGHUP reloads. */
#pragma once
#include "base/auto.h"
#include "base/err.h"
#include <stdint.h>

typedef struct Signals Signals;
typedef struct SignalsOptions {
    void (*stop)(void *user); /* once, on the signal thread; must not block */
    void (*reload)(void *user);
    void (*last)(void *user); /* just before the process is ended by force */
    void *user;
    int64_t drain_ms;
} SignalsOptions;

/* Blocks the signals in the calling thread: threads made from now on inherit that. Ignores SIGPIPE. */
bool signals_open(const SignalsOptions *options, Signals **ret, Err *err);
Signals *signals_free(Signals *signals);
AUTO_FREE(Signals, signals_free)
