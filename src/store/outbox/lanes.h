/* What keeps several relays of one server's database apart: the numbering, which is one short transaction at
 * a time, and lanes of subjects, each published by whoever has leased it.
 *
 * Numbers:   only rows that are committed get one, in the order of their ids, so they are dense and follow
 *            the versions of each subject; a writer that has not committed yet delays nobody else.
 * Lanes:     the events of a lane are published in the order of their numbers. A lease ends with the batch;
 *            one that runs out because its relay died is taken over, and its events go out once more.
 * Cost:      a claim reads the oldest rows without a number, or behind `published`, each by an index; it
 *            costs the same whatever lies behind them. All by the thread that owns the connection. Only for
 *            servers; files have one relay (store/outbox/numbers.h). */
#pragma once
#include "base/arena.h"
#include "store/outbox/numbers.h"
#include "store/outbox/outbox.h"

typedef struct LaneRow {
    int64_t sequence;
    int lane;
    bool skipped; /* an EventSkipped stands for it */
    Span body;    /* packed Envelope without numbers, in memory of the arena */
} LaneRow;

typedef struct LaneRows {
    LaneRow *at; /* room for `most` rows */
    size_t most, count;
    size_t given; /* lanes_number(): how many got a number */
    Arena *arena;
} LaneRows;

/* Gives numbers to the rows that have none, `rows->most` at most, and takes their lanes where those are free
 * and nothing older waits in them: these events are in *rows, ascending, to be published; others that got a number
 * stand in lanes of other relays. Numbers are durable when this returns. With it goes what lanes_published() would
 * note (NULL: nothing); what is noted without a number being given is not synced. Autocommit. */
bool lanes_number(Db *db, const char *owner, const int64_t published[OUTBOX_LANES], NumbersState *state,
                  LaneRows *rows, Err *err);
/* Takes free lanes (and those that this owner had) in which something waits, not more than its share while
 * other relays are at work, and gives the oldest of it.
 * *elsewhere: something waits in lanes of other relays. */
bool lanes_claim(Db *db, const char *owner, LaneRows *rows, bool *elsewhere, Err *err);
/* Rows with the numbers from..to, ascending, whoever has their lanes. */
bool lanes_read(Db *db, int64_t from, int64_t to, LaneRows *rows, Err *err);
/* published[lane]: the highest number published there, 0 where none was. Gives these lanes back. */
bool lanes_published(Db *db, const char *owner, const int64_t published[OUTBOX_LANES], Err *err);
