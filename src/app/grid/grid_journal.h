/* What events-grid has promised to deliver: the one writer of grid.db. Publications that arrive together
 * share a commit; cursors, deletions of what everybody has, and dead letters ride along with it. */
#pragma once
#include "app/grid/grid_tail.h"
#include "base/err.h"
#include "grid/grid_topic.h"
#include "io/loop.h"

typedef struct GridJournal GridJournal;
typedef struct GridJournalOptions {
    const char *url; /* of grid.db */
    Loop *home;      /* of the topic's servers: publications come from it and are answered on it */
    const char *const *subscriptions; /* names; borrowed */
    size_t count;                     /* at most GRID_SUBSCRIPTIONS */
} GridJournalOptions;
enum { GRID_SUBSCRIPTIONS = 8 };

bool grid_journal_open(const GridJournalOptions *options, GridJournal **ret, Err *err);
/* After the senders have ended: finishes what waits and saves the cursors. The answers are posted to the home
 * loop. */
void grid_journal_stop(GridJournal *journal);
GridJournal *
grid_journal_free(GridJournal *journal); /* after the home loop has ended, which may still touch it */
AUTO_FREE(GridJournal, grid_journal_free)

/* On the home loop. Owns the publication: answers 200 after the commit, 503 where it cannot be stored. */
void grid_journal_publish(GridJournal *journal, GridPublication *publication);

GridTail *grid_journal_tail(GridJournal *journal);
const char *grid_journal_url(const GridJournal *journal); /* for readers */
/* All that follows: any thread; index is the subscription's place. */
int64_t grid_journal_cursor(GridJournal *journal, size_t index);
void grid_journal_passed(GridJournal *journal, size_t index,
                         int64_t position); /* remembered; saved with a later commit */
bool grid_journal_saved(GridJournal *journal, size_t index);
void grid_journal_save(GridJournal *journal); /* soon, without waiting */

typedef struct GridBurial {
    size_t index;
    int64_t position;
    Span body;
    const char *reason;
    int last_status;
    unsigned attempts;
} GridBurial;
/* Writes a dead letter and moves the cursor past it, in one transaction; waits for the commit. */
bool grid_journal_bury(GridJournal *journal, const GridBurial *burial);
