/* What the read model's database keeps for a while only: inbox, outcomes, replay log. By the projection's
 * writer, between its transactions. */
#pragma once
#include "base/cleaner.h"
#include "db/db.h"

typedef struct ReadRetention {
    int64_t inbox_s, command_s, log_s;
} ReadRetention;

/* One small transaction for each. *more: there is more to take away. */
bool read_clean(Db *db, const ReadRetention *retention, int64_t wall_us, bool *more, Err *err);
