#include "app/projection/read_cleaner.h"

#include "base/log.h"
#include "store/read/replay_log.h"
#include "store/retention.h"

static bool trim_log(Db *db, int64_t before_us, size_t *seen, Err *err) {
    bool done =
        db_begin(db, err) && replay_log_trim(db, before_us, CLEANER_ROWS, seen, err) && db_commit(db, err);
    if (!done) db_rollback(db);
    return done;
}

bool read_clean(Db *db, const ReadRetention *r, int64_t wall_us, bool *more, Err *err) {
    size_t ids = 0, outcomes = 0, seen = 0;
    *more = false;
    if (!retain_inbox(db, wall_us - r->inbox_s * 1000000, CLEANER_ROWS, &ids, err) ||
        !retain_outcomes(db, wall_us - r->command_s * 1000000, CLEANER_ROWS, &outcomes, err) ||
        !trim_log(db, wall_us - r->log_s * 1000000, &seen, err))
        return false;
    *more = ids == CLEANER_ROWS || outcomes == CLEANER_ROWS || seen == CLEANER_ROWS;
    if (ids || outcomes || seen)
        log_debug("old rows removed", LOG_INT("inbox", ids), LOG_INT("outcomes", outcomes),
                  LOG_INT("logPassed", seen));
    return true;
}
