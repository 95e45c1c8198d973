/* A batch cut into the requests that are sent at the same time. Requests may overtake each other on their
 * way, so that the events of a subject all stand in one, in their order; apart from that each holds a run of
 * neighbours, so that what arrives first can be applied first. Pure. */
#pragma once
#include "app/relay/relay_batch.h"
#include "grid/grid_publish.h"

typedef struct RelayPart {
    size_t first, count, done; /* places in RelayParts; done: of them, from the first, the topic has */
    size_t limit;              /* events of a request while an answer has to be narrowed down; 0: no limit */
    size_t bad_at;             /* `done` when an event was refused last; SIZE_MAX */
} RelayPart;

typedef struct RelayParts {
    size_t count;
    RelayPart at[GRID_REQUESTS];
    size_t index[RELAY_BATCH]; /* of the event in the batch */
    Span packed[RELAY_BATCH];
} RelayParts;

/* least: events that are worth a request of their own. */
void relay_parts_cut(RelayParts *parts, const RelayBatch *batch, size_t least);
