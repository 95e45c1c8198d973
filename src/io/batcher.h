/* One thread that works off what has gathered, all together: posts that arrive together share one commit.
 *
 * Items are embedded in the caller's own struct. run() gets everything that waits (at most `most`), in order of
 * arrival, on the batcher's thread; it sets a result in each. Then done() is called for each item on the loop that
 * submitted it, exactly once. Each file of SQLite has one such thread as its writer. */
#pragma once
#include "io/loop.h"

typedef struct Batcher Batcher;
typedef struct BatchItem {
    void (*done)(struct BatchItem *item);
    Task task; /* the batcher's own */
    Loop *home;
    struct BatchItem *next;
    int64_t since_us; /* waits */
} BatchItem;

typedef struct BatcherOptions {
    const char *name; /* of the thread, at most 11 characters */
    size_t most;      /* items per run */
    size_t bound;     /* items waiting at most */
    int64_t patience_ms; /* where a run, or the oldest item, takes longer, new ones are refused; 0: never */
    void (*run)(void *user, BatchItem **items, size_t count);
    /* Between runs, on the same thread: other work on what it writes. May be NULL. How many milliseconds until it
     * wants to be called again; -1: not before there has been a run. */
    int64_t (*tend)(void *user);
    void *user;
} BatcherOptions;

bool     batcher_open(const BatcherOptions *options, Batcher **ret, Err *err);
Batcher *batcher_free(Batcher *batcher); /* finishes what waits, joins the thread */
AUTO_FREE(Batcher, batcher_free)
bool batcher_submit(Batcher *batcher, Loop *home, BatchItem *item, Err *err); /* ERR_UNAVAILABLE when full, or stuck */
