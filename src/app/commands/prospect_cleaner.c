#include "app/commands/prospect_cleaner.h"

#include "base/log.h"
#include "store/retention.h"

/* The relay may not have been here yet, or may be of an older version: then nothing goes. */
static int64_t disposable(const char *relay_url) {
    AUTO(Db) numbers = NULL;
    Err err = {0};
    int64_t upto = 0;
    if (!db_open(relay_url, (DbOptions){.read_only = true}, &numbers, &err) ||
        !retain_disposable(numbers, &upto, &err))
        log_debug("relay.db is not readable: no row of the outbox is removed", LOG_ERR(&err));
    return upto;
}

static bool clean_outbox(Db *db, const WriteRetention *r, int64_t before_us, size_t *gone, Err *err) {
    int64_t upto = db_dialect(db) == DB_SQLITE ? disposable(r->relay_url) : 0;
    return !upto || retain_outbox_file(db, upto, before_us, CLEANER_ROWS, gone, err);
}

bool write_clean(Db *db, const WriteRetention *r, int64_t wall_us, bool *more, Err *err) {
    size_t marks = 0, rows = 0;
    *more = false;
    if (!retain_command_marks(db, wall_us - r->command_s * 1000000, CLEANER_ROWS, &marks, err) ||
        !clean_outbox(db, r, wall_us - r->outbox_s * 1000000, &rows, err))
        return false;
    *more = marks == CLEANER_ROWS || rows == CLEANER_ROWS;
    if (marks || rows) log_debug("old rows removed", LOG_INT("commandMarks", marks), LOG_INT("outbox", rows));
    return true;
}
