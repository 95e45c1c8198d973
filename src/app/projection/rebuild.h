/* The read model made anew from the replay log, while the projection goes on with the old one. */
#pragma once
#include "db/db.h"

typedef struct RebuildOptions {
    int64_t from; /* 0 or 1: from nothing, by the whole log. Else the present rows, and the events from this
                     number on applied to them once more */
    /* After each step; position: events up to here are in the new model. False ends the run. May be NULL. */
    bool (*step)(void *user, int64_t position, int64_t head);
    void *user;
} RebuildOptions;

typedef struct RebuildResult {
    int64_t upto;             /* the last number that is in it */
    int64_t events, unusable; /* read; of them, those that nobody can apply */
} RebuildResult;

/* db: read.db, migrated; a connection of its own. May be interrupted at any instant (the old model serves
 * on), and begun again at any time; of two runs the later one goes on, the other one gets ERR_CONFLICT.
 * Memory is bounded by a page of events. ERR_INVALID: `from` lies behind the log's end. */
bool rebuild_read_model(Db *db, const RebuildOptions *options, RebuildResult *ret, Err *err);
