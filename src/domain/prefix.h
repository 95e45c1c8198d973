/* What a receiver of numbered events holds: the prefix (all numbers up to it), the early ones above it, the
 * holes.
 *
 * Pure: no I/O, no clock (the caller says what time it is), nothing durable (the owner stores the prefix and
 * the early events, and offers them again after a restart). Memory is one small record per hole, however many
 * numbers are held. One thread at a time. */
#pragma once
#include "base/auto.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Prefix Prefix;

typedef enum PrefixOffer {
    PREFIX_NEXT,      /* held now; the prefix has moved to it or, where early ones followed, beyond it */
    PREFIX_EARLY,     /* held now, above a hole */
    PREFIX_DUPLICATE, /* was held already */
    PREFIX_FULL,      /* not held: it would make one hole too many. It will come again, by repair */
} PrefixOffer;

enum {
    PREFIX_HOLES_MAX = 4096,
    PREFIX_REPAIR_MAX = 1000,          /* numbers asked for at once */
    PREFIX_PATIENCE_US = 1000000,      /* age at which a hole is repaired */
    PREFIX_BACK_OFF_MAX_US = 30000000, /* between two requests for the same hole; they never end */
};
#define PREFIX_NEVER INT64_MAX

/* Everything up to `start` is held, nothing above it is known. */
Prefix *prefix_new(int64_t start);
Prefix *prefix_free(Prefix *p);
AUTO_FREE(Prefix, prefix_free)

/* An event with this number has come (and will be kept by the caller unless FULL or DUPLICATE). */
PrefixOffer prefix_offer(Prefix *p, int64_t number, int64_t now_us);
/* All numbers up to `to` are held, however they came (read from the replay log, for instance). */
void prefix_advance(Prefix *p, int64_t to, int64_t now_us);
/* The numbers up to `last` are known to exist: those above the highest one seen are a hole from now on. */
void prefix_known_last(Prefix *p, int64_t last, int64_t now_us);
/* From now on the numbers up to `to` can be had where they are asked for: holes among them need not wait for the
 * back-off of requests that were in vain. */
void prefix_available(Prefix *p, int64_t to, int64_t now_us);

int64_t prefix_held(const Prefix *p); /* the prefix: this number and all below it are held */
int64_t prefix_last(const Prefix *p); /* the highest number known to exist */
bool prefix_has(const Prefix *p, int64_t number);

/* Gives the numbers to ask for again, from one hole that is due; call until false (or stop early: the rest
 * stays due). Asking again for the same hole backs off; a hole that fills makes the next part due at once. */
bool prefix_due_repair(Prefix *p, int64_t now_us, int64_t *from, int64_t *to);
int64_t prefix_next_due_us(const Prefix *p); /* when prefix_due_repair() will have something; PREFIX_NEVER */

size_t prefix_holes(const Prefix *p);
/* Holes count from 0, lowest first. since_us: when it was first seen; of the tail, when it last moved. */
bool prefix_hole(const Prefix *p, size_t index, int64_t *from, int64_t *to, int64_t *since_us);
