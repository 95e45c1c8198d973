/* Pages of the replay log for those of one loop that catch up. Who comes back at the same time, after a restart
 * say, asks for the same pages: each is read once and kept for a while, and the one behind it is read ahead.
 * On the loop's thread; a reader of the pool does the reading. */
#pragma once
#include "gateway/feed/event.h"
#include "gateway/gateway.h"

enum { PAGE_EVENTS = 512, PAGE_BYTES = 256 << 10 /* about */ };

typedef struct LogPages LogPages;

/* Where somebody has come to, in which log. whole: what was trimmed is no gap. */
typedef struct LogPlace {
    const char *tenant_id, *epoch;
    int64_t after;
    bool whole;
} LogPlace;

typedef enum PageOutcome { PAGE_FAILED, PAGE_READ, PAGE_TOO_OLD, PAGE_OTHER_EPOCH } PageOutcome;

/* All of the tenant's events in (after, upto]. */
typedef struct LogPage {
    PageOutcome outcome;
    char epoch[64], tenant_id[TENANT_ID];
    bool whole;
    int64_t after, upto;
    size_t count, bytes;
    Event *events[PAGE_EVENTS];
} LogPage;

/* Embedded in who waits for a page. */
typedef struct LogWaiter {
    /* No longer waiting; the page, which may be of any outcome and another place than was asked for, lives until
     * the return. */
    void (*come)(struct LogWaiter *waiter, const LogPage *page);
    struct LogWaiter *next, **at; /* at: NULL while it does not wait */
} LogWaiter;

LogPages *log_pages_new(Worker *worker);
LogPages *log_pages_free(LogPages *all); /* when nobody waits and no job is out */
/* A page that is here and has what comes next, until the next call; or NULL, and come() follows. NULL with err:
 * the readers are too busy, nothing follows. */
const LogPage *log_pages_ask(LogPages *all, const LogPlace *place, LogWaiter *waiter, Err *err);
/* Does the page hold what comes next there? */
bool log_page_covers(const LogPage *page, const LogPlace *place);
void log_waiter_stop(LogWaiter *waiter); /* no come() follows; no effect where it does not wait */
void log_pages_forget(LogPages *all);    /* gives the kept pages back */
