/* Applies deliveries of events to the read database, each number once and in order, whatever the topic loses,
 * doubles or reorders. All by one thread, which owns the connection; now_us is monotonic time. */
#pragma once
#include "base/auto.h"
#include "db/db.h"
#include "grid/grid_webhook.h"

typedef struct Projector Projector;

typedef struct ProjectorItem {
    Events__V1__Envelope **events;
    size_t count;
    const GridBadEvent *bad;
    size_t bad_count;
    size_t unknown_members; /* as of GridDelivery */
    int status;             /* set by projector_apply(): 200 safe, 503 not now */
} ProjectorItem;

/* db: read.db, migrated; borrowed. */
bool projector_open(Db *db, int64_t now_us, Projector **ret, Err *err);
Projector *projector_free(Projector *projector);
AUTO_FREE(Projector, projector_free)

/* All items in one transaction. False where it failed: nothing has happened, every status is 503, and the
 * next call begins by reading the stored state again. */
bool projector_apply(Projector *projector, ProjectorItem **items, size_t count, int64_t now_us, Err *err);
/* The relay has rung "last EPOCH N". The first epoch heard is stored; a different one later stops everything
 * until the stored one is heard again. */
bool projector_announced(Projector *projector, Span epoch, int64_t last, int64_t now_us, Err *err);

/* The numbers to ask the relay for, as of prefix_due_repair(); call until false. */
bool projector_due_repair(Projector *projector, int64_t now_us, int64_t *from, int64_t *to);
int64_t projector_due_us(const Projector *projector); /* INT64_MAX where no hole is known */

int64_t projector_held(const Projector *projector);
const char *projector_epoch(const Projector *projector); /* "" where not known yet */
bool projector_healthy(const Projector *projector);      /* false while the relay's epoch is another one */
