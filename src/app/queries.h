/* The gateway's read side on one thread: its own connection to read.db (opened when the file is there, and
 * again after it was lost) and its own view of the command queue. */
#pragma once
#include "queue/queue.h"
#include "store/read/event_queries.h"
#include "store/read/prospect_queries.h"

typedef struct Queries Queries;
typedef struct QueriesOptions {
    const char *read_url, *queue_url, *home; /* kept, not copied */
} QueriesOptions;

Queries *queries_new(const QueriesOptions *options); /* opens nothing yet */
Queries *queries_free(Queries *queries);
AUTO_FREE(Queries, queries_free)

/* ERR_UNAVAILABLE while there is no read model; tries to open it at most four times a second. */
bool queries_db(Queries *queries, Db **ret, Err *err);
/* After a failed read: the next queries_db() looks at the connection. */
void queries_failed(Queries *queries, const Err *err);

/* What is known of a command: its outcome from the read model; else pending or failed from the queue; else
 * ERR_NOT_FOUND. */
bool queries_outcome(Queries *queries, Span tenant_id, Span issued_by, Span command_id, Arena *arena,
                     Events__V1__CommandOutcome **ret, Err *err);
