/* One subscription of events-grid: a thread with its own connection that delivers what the journal holds, in
 * order, one request at a time, for as long as it takes. */
#pragma once
#include "app/grid/grid_journal.h"

typedef struct GridSender GridSender;
typedef struct GridSenderOptions {
    GridJournal *journal; /* must live longer */
    size_t index;         /* the subscription's place in the journal */
    const char *name, *url, *secret;
} GridSenderOptions;

bool grid_sender_open(const GridSenderOptions *options, GridSender **ret, Err *err);
GridSender *grid_sender_free(GridSender *sender); /* interrupts a delivery in flight; joins the thread */
AUTO_FREE(GridSender, grid_sender_free)
void grid_sender_up(GridSender *sender); /* any thread: the receiver is there, so do not wait any longer */
