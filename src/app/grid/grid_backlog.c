#include "app/grid/grid_backlog.h"

#include "base/log.h"
#include "store/grid/grid_log.h"
#include <stdio.h>

enum { SAVE_AFTER_MS = 1000 }; /* of quiet */

struct GridBacklog {
    GridJournal *journal;
    size_t index;
    const char *name;
    GridLog *reader; /* opened when events have left the tail */
};

/* While the database is read. */
typedef struct Reading {
    GridTake *take;
    size_t bytes;
} Reading;

static bool on_stored_event(void *user, int64_t position, Span body) {
    Reading *r = user;
    GridTake *t = r->take;
    if (!t->count) t->position = position - 1;
    bool next = position == t->position + (int64_t)t->count + 1;
    if (!next || (t->count && r->bytes + body.len > t->bytes)) return false;
    t->events[t->count++] = must(blob_copy(body));
    r->bytes += body.len;
    return true;
}

static bool take_stored(GridBacklog *b, GridTake *take) {
    Err err = {0};
    Reading reading = {.take = take};
    if (!b->reader && !grid_log_open_reader(grid_journal_url(b->journal), &b->reader, &err)) b->reader = NULL;
    if (b->reader && grid_log_read(b->reader, take->position, take->most, on_stored_event, &reading, &err))
        return true;
    log_warn("backlog not read", LOG_TEXT("subscription", b->name), LOG_ERR(&err));
    b->reader = grid_log_free(b->reader);
    grid_take_drop(take);
    return false;
}

bool grid_backlog_take(GridBacklog *b, GridTake *take) {
    bool older = false;
    take->count = grid_tail_take(grid_journal_tail(b->journal), take->position, take->events, take->most,
                                 take->bytes, &older);
    return !older || (take_stored(b, take) && take->count);
}

void grid_take_drop(GridTake *take) {
    for (size_t i = 0; i < take->count; i++) blob_unref(take->events[i]);
    take->count = 0;
}

void grid_backlog_wait(GridBacklog *b, int64_t position, const atomic_bool *alarm) {
    GridTail *tail = grid_journal_tail(b->journal);
    bool saved = grid_journal_saved(b->journal, b->index);
    grid_tail_wait(tail, position, saved ? -1 : SAVE_AFTER_MS, alarm);
    if (!saved && grid_tail_last(tail) == position) grid_journal_save(b->journal);
}

static Metric *labelled(Metric *(*make)(const char *name, const char *help), const char *name,
                        const char *help, const char *subscription) {
    char whole[128];
    snprintf(whole, sizeof whole, "%s{subscription=\"%s\"}", name, subscription);
    return make(whole, help);
}

GridCounts grid_counts(const char *name) {
    return (GridCounts){
        labelled(metric_counter, "events_grid_delivered_total", "Events a subscriber has taken.", name),
        labelled(metric_counter, "events_grid_delivery_failures_total", "Deliveries to be repeated.", name),
        labelled(metric_counter, "events_grid_dead_letters_total", "Events given up.", name),
        labelled(metric_gauge, "events_grid_delivery_lag", "Accepted events not yet taken.", name)};
}

GridBacklog *grid_backlog_new(GridJournal *journal, size_t index, const char *name) {
    GridBacklog *b = must(calloc(1, sizeof *b));
    b->journal = journal;
    b->index = index;
    b->name = name;
    return b;
}

GridBacklog *grid_backlog_free(GridBacklog *b) {
    if (!b) return NULL;
    grid_log_free(b->reader);
    free(b);
    return NULL;
}
