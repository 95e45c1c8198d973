/* Reading the events of one tenant from the replay log, and the outcomes of commands. Every statement names
 * the tenant. One thread per Db. */
#pragma once
#include "base/arena.h"
#include "events/v1/rest.pb-c.h"
#include "store/read/replay_log.h"

/* As replay_log_read(), for one tenant. */
bool tenant_log_read(Db *db, Span tenant_id, int64_t after, int64_t upto, int64_t limit,
                     const ReplayVisitor *visitor, Err *err);
/* The events of a subject with numbers below `before`, newest first; without EventSkipped, which nobody may
 * read and which must not take the place of others. */
bool subject_history(Db *db, Span tenant_id, Span subject, int64_t before, int64_t limit,
                     const ReplayVisitor *visitor, Err *err);
/* ERR_NOT_FOUND where the projection knows none (yet). The message lives in the arena. */
bool outcome_find(Db *db, Span tenant_id, Span issued_by, Span command_id, Arena *arena,
                  Events__V1__CommandOutcome **ret, Err *err);
