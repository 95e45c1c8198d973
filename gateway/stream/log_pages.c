/* log_pages.c - a page is true for ever: it holds all of a tenant's events between two numbers of one log, whose
 * rows never change, and is only ever read up to the projection's prefix in the same view. So it may be given to
 * whoever stands anywhere within it, also after the log has grown or was trimmed. */
#include "gateway/stream/log_pages.h"

#include "base/log.h"
#include "gateway/stream/cursor.h"
#include "observe/metric.h"
#include <stdio.h>
#include <stdlib.h>

enum { KEPT = 8 }; /* pages, PAGE_BYTES each: while thousands catch up they stand close together */

typedef struct Reading {
    Job job;
    LogPages *all;
    struct Reading *next;
    LogWaiter *waiters;
    bool broken; /* no memory for a row */
    Err err;
    LogPage page;
} Reading;

struct LogPages {
    Worker *worker;
    Reading *readings;   /* on their way */
    Reading *kept[KEPT]; /* the one used last is the first */
    Metric *pages;
};

LogPages *log_pages_new(Worker *worker) {
    LogPages *all = must(calloc(1, sizeof *all));
    all->worker = worker;
    all->pages = metric_counter("events_gateway_log_pages_total",
                                "pages of the replay log that were read for clients that catch up");
    return all;
}

static void reading_free(Reading *r) {
    if (!r) return;
    for (size_t i = 0; i < r->page.count; i++) event_unref(r->page.events[i]);
    free(r);
}

void log_pages_forget(LogPages *all) {
    for (size_t i = 0; i < KEPT; i++) {
        reading_free(all->kept[i]);
        all->kept[i] = NULL;
    }
}

LogPages *log_pages_free(LogPages *all) {
    if (!all) return NULL;
    log_pages_forget(all);
    free(all);
    return NULL;
}

/* --- on a reader's thread --- */

static bool keep_row(void *user, const ReplayRow *row) {
    Reading *r = user;
    LogPage *p = &r->page;
    Event *event = event_of_row(row);
    if (!event) return !(r->broken = true);
    p->events[p->count++] = event;
    p->bytes += event_size(event);
    p->upto = row->sequence;
    return p->count < PAGE_EVENTS && p->bytes < PAGE_BYTES;
}

static bool read_rows(Reading *r, Db *db, int64_t head, Err *err) {
    LogPage *p = &r->page;
    if (!tenant_log_read(db, span_of(p->tenant_id), p->after, head, PAGE_EVENTS,
                         &(ReplayVisitor){keep_row, r}, err))
        return false;
    if (r->broken) return err_set(err, &ERR_UNAVAILABLE, "no memory for a page of the log");
    bool full = p->count == PAGE_EVENTS || p->bytes >= PAGE_BYTES;
    p->upto = cursor_page_end(full, p->upto, head);
    p->outcome = PAGE_READ;
    return true;
}

static bool read_page(Reading *r, Db *db, Err *err) {
    LogPage *p = &r->page;
    ReplayHead head;
    int64_t oldest;
    if (!replay_log_head(db, &head, err) || !replay_log_oldest(db, &oldest, err)) return false;
    switch (cursor_ask_log(&head, oldest, p->epoch, p->whole ? 0 : p->after)) {
    case LOG_PAGE: return read_rows(r, db, head.head, err);
    case LOG_TOO_OLD: p->outcome = PAGE_TOO_OLD; break;
    case LOG_OTHER_EPOCH: p->outcome = PAGE_OTHER_EPOCH; break;
    }
    return true;
}

static void run(Job *job, void *context) {
    Reading *r = CONTAINER(job, Reading, job);
    Queries *queries = context;
    Db *db;
    if (!queries_db(queries, &db, &r->err) || !read_begin(db, &r->err)) {
        queries_failed(queries, &r->err);
        return;
    }
    if (!read_page(r, db, &r->err)) queries_failed(queries, &r->err);
    read_end(db);
}

/* --- back on the loop --- */

static bool same_log(const LogPage *page, const LogPlace *place) {
    return page->whole == place->whole && !strcmp(page->tenant_id, place->tenant_id) &&
           !strcmp(page->epoch, place->epoch);
}

bool log_page_covers(const LogPage *page, const LogPlace *place) {
    return page->outcome == PAGE_READ && same_log(page, place) && page->after <= place->after &&
           place->after < page->upto;
}

static void keep(LogPages *all, Reading *r) {
    reading_free(all->kept[KEPT - 1]);
    memmove(&all->kept[1], &all->kept[0], (KEPT - 1) * sizeof all->kept[0]);
    all->kept[0] = r;
}

static void take_out(LogPages *all, Reading *r) {
    Reading **at = &all->readings;
    while (*at != r) at = &(*at)->next;
    *at = r->next;
}

/* What a waiter does may ask for more pages, and with that push this one out of the kept ones: it is kept last. */
static void back(Job *job) {
    Reading *r = CONTAINER(job, Reading, job);
    LogPages *all = r->all;
    all->worker->in_flight--;
    if (job->late) err_set(&r->err, &ERR_UNAVAILABLE, "the readers are busy");
    if (r->err.kind) log_warn("replay log not readable", LOG_ERR(&r->err));
    take_out(all, r);
    for (LogWaiter *w; (w = r->waiters);) {
        log_waiter_stop(w);
        w->come(w, &r->page);
    }
    if (r->page.outcome == PAGE_READ && r->page.count)
        keep(all, r);
    else
        reading_free(r);
}

static Reading *begin(LogPages *all, const LogPlace *place, Err *err) {
    Reading *r = must(calloc(1, sizeof *r));
    r->job = (Job){.run = run, .done = back};
    r->all = all;
    r->page.after = r->page.upto = place->after;
    r->page.whole = place->whole;
    snprintf(r->page.epoch, sizeof r->page.epoch, "%s", place->epoch);
    snprintf(r->page.tenant_id, sizeof r->page.tenant_id, "%s", place->tenant_id);
    if (!pool_submit(all->worker->gateway->readers, all->worker->loop, &r->job, err)) {
        free(r);
        return NULL;
    }
    all->worker->in_flight++;
    metric_add(all->pages, 1);
    r->next = all->readings;
    all->readings = r;
    return r;
}

/* One on its way that will have what comes next there, as far as can be told: numbers are dense, but other tenants
 * have some of them. */
static Reading *find_reading(LogPages *all, const LogPlace *place) {
    for (Reading *r = all->readings; r; r = r->next)
        if (same_log(&r->page, place) && r->page.after <= place->after &&
            place->after < r->page.after + PAGE_EVENTS)
            return r;
    return NULL;
}

static const LogPage *find_kept(LogPages *all, const LogPlace *place) {
    for (size_t i = 0; i < KEPT && all->kept[i]; i++) {
        Reading *found = all->kept[i];
        if (!log_page_covers(&found->page, place)) continue;
        memmove(&all->kept[1], &all->kept[0], i * sizeof all->kept[0]);
        all->kept[0] = found;
        return &found->page;
    }
    return NULL;
}

/* A full page has a next one, which will be asked for as soon as this one has been sent. */
static void read_ahead(LogPages *all, const LogPage *page) {
    LogPlace next = {page->tenant_id, page->epoch, page->upto, page->whole};
    bool full = page->count == PAGE_EVENTS || page->bytes >= PAGE_BYTES;
    if (!full || find_reading(all, &next)) return;
    for (size_t i = 0; i < KEPT && all->kept[i]; i++)
        if (log_page_covers(&all->kept[i]->page, &next)) return;
    begin(all, &next, NULL); /* if the readers are busy it is asked for in its turn */
}

const LogPage *log_pages_ask(LogPages *all, const LogPlace *place, LogWaiter *waiter, Err *err) {
    const LogPage *page = find_kept(all, place);
    if (page) {
        read_ahead(all, page);
        return page;
    }
    Reading *r = find_reading(all, place);
    if (!r && !(r = begin(all, place, err))) return NULL;
    waiter->next = r->waiters;
    waiter->at = &r->waiters;
    if (waiter->next) waiter->next->at = &waiter->next;
    r->waiters = waiter;
    return NULL;
}

void log_waiter_stop(LogWaiter *w) {
    if (!w->at) return;
    *w->at = w->next;
    if (w->next) w->next->at = w->at;
    w->at = NULL;
}
