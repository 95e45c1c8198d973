/* grid_journal.c - a batcher's thread is the only writer of grid.db, and one transaction serves all who
 * wait.
 *
 * Promise:   200 only after a commit with synchronous=FULL. What is committed enters the tail in the same
 *            moment, so the senders begin while the answer is still on its way.
 * Cursors:   they need not be exact: a receiver drops what it has seen. So they are saved in passing, every
 *            CURSOR_STEP events, when it is quiet, and at the end; never with a commit of their own under
 *            load.
 * Deletion:  only at or below every saved cursor, in small pieces, so that no commit becomes long by it.
 */
#include "app/grid/grid_journal.h"

#include "base/clock.h"
#include "base/log.h"
#include "io/batcher.h"
#include "observe/metric.h"
#include "store/grid/grid_log.h"
#include <pthread.h>
#include <stdio.h>

enum {
    RUN_MOST = 256,      /* publications in one commit */
    WAITING_MOST = 4096, /* publications */
    TAIL_EVENTS = 65536,
    TAIL_BYTES = 64 << 20,
    CURSOR_STEP = 256,
    DELETE_STEP = 2000,
    BACKLOG_MAX = 10 * 1000 * 1000, /* undelivered events; above: 503, the relay's outbox keeps the rest */
};

/* The batcher's items are of three kinds, told apart by what is to be done after the commit. */
typedef struct Waiting {
    BatchItem item;
    GridPublication *publication;
    bool stored;
} Waiting;

/* The sender blocks until its burial is settled, so that lies on its stack; the item lives until its done().
 */
typedef struct Burial {
    const GridBurial *what;
    enum { BURIAL_WAITS, BURIAL_WRITTEN, BURIAL_FAILED } state;
} Burial;
typedef struct BurialItem {
    BatchItem item;
    Burial *burial;
} BurialItem;

typedef struct Cursor {
    _Atomic int64_t passed, saved;
} Cursor;

struct GridJournal {
    GridJournalOptions options;
    char *url;
    GridLog *log; /* the batcher thread's, except at open and free */
    GridTail *tail;
    Batcher *batcher;
    Cursor cursors[GRID_SUBSCRIPTIONS];
    _Atomic int64_t last; /* position of the newest committed event */
    int64_t deleted;      /* nothing is stored at or below it */
    atomic_bool more_to_delete;
    BatchItem flush;
    pthread_mutex_t lock; /* of what follows, and of the burials' states */
    pthread_cond_t buried;
    bool flush_queued, stopped;
    Metric *accepted, *commits, *letters;
};

/* What one run wants to write, and what is true once it has been committed. */
typedef struct Run {
    GridJournal *journal;
    BatchItem **items;
    size_t count;
    bool flushes, buries;
    Blob **events;
    size_t event_count;
    int64_t cursors[GRID_SUBSCRIPTIONS], deleted;
} Run;

static void on_stored(BatchItem *item) {
    Waiting *w = CONTAINER(item, Waiting, item);
    grid_publication_answer(w->publication, w->stored); /* w lies in the publication's arena */
}

static void on_buried(BatchItem *item) {
    free(CONTAINER(item, BurialItem, item));
}

static void on_flushed(BatchItem *item) {
    GridJournal *j = CONTAINER(item, GridJournal, flush);
    pthread_mutex_lock(&j->lock);
    j->flush_queued = false;
    pthread_mutex_unlock(&j->lock);
    if (atomic_load(&j->more_to_delete)) grid_journal_save(j);
}

static Waiting *waiting_of(const Run *run, size_t i) {
    return run->items[i]->done == on_stored ? CONTAINER(run->items[i], Waiting, item) : NULL;
}

static Burial *burial_of(const Run *run, size_t i) {
    return run->items[i]->done == on_buried ? CONTAINER(run->items[i], BurialItem, item)->burial : NULL;
}

static bool append_events(Run *run, Err *err) {
    GridJournal *j = run->journal;
    int64_t now = clock_now_us(), position = atomic_load(&j->last);
    size_t total = 0;
    for (size_t i = 0; i < run->count; i++)
        if (waiting_of(run, i)) total += waiting_of(run, i)->publication->count;
    run->events = must(calloc(total + 1, sizeof *run->events));
    for (size_t i = 0; i < run->count; i++) {
        const Waiting *w = waiting_of(run, i);
        for (size_t k = 0; w && k < w->publication->count; k++) {
            Span body = w->publication->events[k];
            if (!grid_log_append(j->log, ++position, body, now, err)) return false;
            run->events[run->event_count++] = must(blob_copy(body));
        }
    }
    return true;
}

static bool write_letter(Run *run, const GridBurial *b, Err *err) {
    char outcome[32] = "no answer";
    if (b->last_status) snprintf(outcome, sizeof outcome, "HTTP %d", b->last_status);
    const GridDeadLetter letter = {.subscription = span_of(run->journal->options.subscriptions[b->index]),
                                   .body = b->body,
                                   .reason = span_of(b->reason),
                                   .last_outcome = span_of(outcome),
                                   .position = b->position,
                                   .attempts = b->attempts,
                                   .dead_at_us = clock_now_us()};
    run->cursors[b->index] = b->position;
    return grid_log_bury(run->journal->log, &letter, err);
}

static bool write_letters(Run *run, Err *err) {
    for (size_t i = 0; i < run->count; i++) {
        const Burial *burial = burial_of(run, i);
        if (burial && !write_letter(run, burial->what, err)) return false;
        run->buries |= burial != NULL;
    }
    return true;
}

static bool write_cursors(Run *run, Err *err) {
    GridJournal *j = run->journal;
    for (size_t i = 0; i < j->options.count; i++) {
        int64_t saved = atomic_load(&j->cursors[i].saved);
        int64_t passed = atomic_load(&j->cursors[i].passed);
        if (passed > run->cursors[i] && (run->flushes || passed - saved >= CURSOR_STEP))
            run->cursors[i] = passed;
        if (run->cursors[i] == saved) continue;
        if (!grid_log_set_cursor(j->log, span_of(j->options.subscriptions[i]), run->cursors[i], err))
            return false;
    }
    return true;
}

static bool delete_delivered(Run *run, Err *err) {
    GridJournal *j = run->journal;
    int64_t low = INT64_MAX;
    for (size_t i = 0; i < j->options.count; i++)
        if (run->cursors[i] < low) low = run->cursors[i];
    int64_t step = low - run->deleted;
    if (low == INT64_MAX || step <= 0 || (!run->flushes && step < DELETE_STEP)) return true;
    run->deleted += step < DELETE_STEP ? step : DELETE_STEP;
    return grid_log_delete(j->log, run->deleted, err);
}

static bool write_run(Run *run, Err *err) {
    GridLog *log = run->journal->log;
    return grid_log_begin(log, err) && append_events(run, err) && write_letters(run, err) &&
           write_cursors(run, err) && delete_delivered(run, err) && grid_log_commit(log, err);
}

static void take_over(Run *run) {
    GridJournal *j = run->journal;
    int64_t low = INT64_MAX;
    for (size_t i = 0; i < j->options.count; i++) {
        atomic_store(&j->cursors[i].saved, run->cursors[i]);
        if (run->cursors[i] < low) low = run->cursors[i];
    }
    j->deleted = run->deleted;
    atomic_store(&j->more_to_delete, low != INT64_MAX && low > j->deleted);
    atomic_fetch_add(&j->last, (int64_t)run->event_count);
    if (run->event_count) grid_tail_push(j->tail, run->events, run->event_count);
    metric_add(j->accepted, (int64_t)run->event_count);
    metric_add(j->commits, 1);
}

/* An operator may have taken some away. */
static void count_letters(GridJournal *j) {
    int64_t count;
    Err err = {0};
    if (grid_log_buried(j->log, &count, &err))
        metric_set(j->letters, count);
    else
        log_warn("dead letters not counted", LOG_ERR(&err));
}

/* The last touch of each item by this thread: what a burial's owner waits for, he may free at once. */
static void settle(Run *run, bool ok) {
    GridJournal *j = run->journal;
    pthread_mutex_lock(&j->lock);
    for (size_t i = 0; i < run->count; i++) {
        if (waiting_of(run, i)) waiting_of(run, i)->stored = ok;
        if (burial_of(run, i)) burial_of(run, i)->state = ok ? BURIAL_WRITTEN : BURIAL_FAILED;
    }
    pthread_cond_broadcast(&j->buried);
    pthread_mutex_unlock(&j->lock);
}

static void run_batch(void *user, BatchItem **items, size_t count) {
    GridJournal *j = user;
    Run run = {.journal = j, .items = items, .count = count, .deleted = j->deleted};
    Err err = {0};
    for (size_t i = 0; i < count; i++) run.flushes |= items[i] == &j->flush;
    for (size_t i = 0; i < j->options.count; i++) run.cursors[i] = atomic_load(&j->cursors[i].saved);
    bool ok = write_run(&run, &err);
    if (ok) {
        take_over(&run);
        if (run.flushes || run.buries) count_letters(j);
    } else {
        log_error("events not stored", LOG_ERR(&err), LOG_INT("events", run.event_count));
        grid_log_rollback(j->log);
        for (size_t i = 0; i < run.event_count; i++) blob_unref(run.events[i]);
    }
    free(run.events);
    settle(&run, ok);
}

static int64_t backlog(GridJournal *j) {
    int64_t last = atomic_load(&j->last), low = last;
    for (size_t i = 0; i < j->options.count; i++) {
        int64_t passed = atomic_load(&j->cursors[i].passed);
        if (passed < low) low = passed;
    }
    return last - low;
}

void grid_journal_publish(GridJournal *j, GridPublication *p) {
    Err err = {0};
    Waiting *w = arena_alloc(p->arena, sizeof *w);
    if (w && backlog(j) < BACKLOG_MAX) {
        *w = (Waiting){.item = {.done = on_stored}, .publication = p};
        if (batcher_submit(j->batcher, j->options.home, &w->item, &err)) return;
    }
    grid_publication_answer(p, false);
}

void grid_journal_save(GridJournal *j) {
    Err ignored = {0};
    pthread_mutex_lock(&j->lock);
    if (!j->stopped && !j->flush_queued)
        j->flush_queued = batcher_submit(j->batcher, j->options.home, &j->flush, &ignored);
    pthread_mutex_unlock(&j->lock);
}

bool grid_journal_bury(GridJournal *j, const GridBurial *what) {
    Err ignored = {0};
    Burial burial = {.what = what};
    BurialItem *item = must(calloc(1, sizeof *item));
    *item = (BurialItem){.item = {.done = on_buried}, .burial = &burial};
    if (!batcher_submit(j->batcher, j->options.home, &item->item, &ignored)) {
        free(item);
        return false;
    }
    pthread_mutex_lock(&j->lock);
    while (burial.state == BURIAL_WAITS) pthread_cond_wait(&j->buried, &j->lock);
    pthread_mutex_unlock(&j->lock);
    if (burial.state == BURIAL_WRITTEN) atomic_store(&j->cursors[what->index].passed, what->position);
    return burial.state == BURIAL_WRITTEN;
}

/* A subscription that is new begins with what is stored. */
static bool load_state(GridJournal *j, Err *err) {
    int64_t last, first;
    if (!grid_log_last(j->log, &last, err) || !grid_log_first(j->log, &first, err)) return false;
    j->deleted = first == INT64_MAX ? last : first - 1;
    atomic_store(&j->last, last);
    for (size_t i = 0; i < j->options.count; i++) {
        int64_t position;
        if (!grid_log_cursor(j->log, span_of(j->options.subscriptions[i]), &position, err)) return false;
        if (position < j->deleted) position = j->deleted;
        atomic_store(&j->cursors[i].saved, position);
        atomic_store(&j->cursors[i].passed, position);
    }
    j->tail = grid_tail_new(TAIL_EVENTS, TAIL_BYTES, last);
    count_letters(j);
    return true;
}

bool grid_journal_open(const GridJournalOptions *options, GridJournal **ret, Err *err) {
    AUTO(GridJournal) j = must(calloc(1, sizeof *j));
    if (options->count > GRID_SUBSCRIPTIONS) return err_set(err, &ERR_CONFIG, "too many subscriptions");
    j->options = *options;
    j->url = must(strdup(options->url));
    j->flush.done = on_flushed;
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->buried, NULL);
    j->accepted = metric_counter("events_grid_accepted_total", "Events accepted and committed.");
    j->commits = metric_counter("events_grid_commits_total", "Commits of the grid's database.");
    j->letters =
        metric_gauge("events_grid_dead_letters", "Events given up and not yet decided on, as counted last");
    const BatcherOptions batcher = {
        .name = "grid-writer", .most = RUN_MOST, .bound = WAITING_MOST, .run = run_batch, .user = j};
    if (!grid_log_open(j->url, &j->log, err) || !load_state(j, err) ||
        !batcher_open(&batcher, &j->batcher, err))
        return false;
    *ret = j;
    j = NULL;
    return true;
}

void grid_journal_stop(GridJournal *j) {
    if (!j || !j->batcher) return;
    pthread_mutex_lock(&j->lock);
    j->stopped = true;
    pthread_mutex_unlock(&j->lock);
    j->batcher = batcher_free(j->batcher);
    BatchItem *flush = &j->flush;
    run_batch(j, &flush, 1);
}

GridJournal *grid_journal_free(GridJournal *j) {
    if (!j) return NULL;
    grid_journal_stop(j);
    grid_log_free(j->log);
    grid_tail_free(j->tail);
    free(j->url);
    pthread_cond_destroy(&j->buried);
    pthread_mutex_destroy(&j->lock);
    free(j);
    return NULL;
}

GridTail *grid_journal_tail(GridJournal *j) {
    return j->tail;
}
const char *grid_journal_url(const GridJournal *j) {
    return j->url;
}
int64_t grid_journal_cursor(GridJournal *j, size_t index) {
    return atomic_load(&j->cursors[index].passed);
}
void grid_journal_passed(GridJournal *j, size_t index, int64_t position) {
    atomic_store(&j->cursors[index].passed, position);
}
bool grid_journal_saved(GridJournal *j, size_t index) {
    return atomic_load(&j->cursors[index].saved) == atomic_load(&j->cursors[index].passed);
}
