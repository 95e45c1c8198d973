#include "store/grid/grid_log.h"

#include "store/dead_letters.h"
#include "store/grid/migrations_grid.h"

struct GridLog {
    Db *db;
};

static bool open_log(const char *url, DbOptions options, GridLog **ret, Err *err) {
    GridLog *log = must(calloc(1, sizeof *log));
    *ret = log;
    return db_open(url, options, &log->db, err);
}

bool grid_log_open(const char *url, GridLog **ret, Err *err) {
    AUTO(GridLog) log = NULL;
    if (!open_log(url, (DbOptions){0}, &log, err) || !grid_migrate(log->db, err)) return false;
    *ret = log;
    log = NULL;
    return true;
}

bool grid_log_open_reader(const char *url, GridLog **ret, Err *err) {
    AUTO(GridLog) log = NULL;
    if (!open_log(url, (DbOptions){.read_only = true}, &log, err)) return false;
    *ret = log;
    log = NULL;
    return true;
}

GridLog *grid_log_free(GridLog *log) {
    if (!log) return NULL;
    db_free(log->db);
    free(log);
    return NULL;
}

bool grid_log_begin(GridLog *log, Err *err) {
    return db_begin(log->db, err);
}
bool grid_log_commit(GridLog *log, Err *err) {
    return db_commit(log->db, err);
}
void grid_log_rollback(GridLog *log) {
    Err ignored = {0};
    db_rollback(log->db);
    db_recover(log->db, &ignored);
}

/* One number out of one row; `fallback` where there is no row or a NULL. */
static bool read_number(Stmt *s, int64_t fallback, int64_t *ret, Err *err) {
    *ret = fallback;
    if (!stmt_run(s, NULL, err)) return false;
    if (stmt_row(s, err) && !stmt_is_null(s, 0)) *ret = stmt_int(s, 0);
    stmt_done(s);
    return !err->kind;
}

/* Deleted rows leave their trace in the cursors: nothing is deleted above the lowest of them. */
bool grid_log_last(GridLog *log, int64_t *ret, Err *err) {
    int64_t stored, passed;
    if (!read_number(db_statement(log->db, "SELECT max(position) FROM grid_event"), 0, &stored, err) ||
        !read_number(db_statement(log->db, "SELECT max(position) FROM grid_cursor"), 0, &passed, err))
        return false;
    *ret = stored > passed ? stored : passed;
    return true;
}

bool grid_log_first(GridLog *log, int64_t *ret, Err *err) {
    return read_number(db_statement(log->db, "SELECT min(position) FROM grid_event"), INT64_MAX, ret, err);
}

bool grid_log_append(GridLog *log, int64_t position, Span body, int64_t now_us, Err *err) {
    Stmt *s = db_statement(log->db, "INSERT INTO grid_event (position, body, accepted_at) VALUES (?, ?, ?)");
    stmt_bind_int(s, 1, position);
    stmt_bind_text(s, 2, body);
    stmt_bind_int(s, 3, now_us);
    return stmt_run(s, NULL, err);
}

bool grid_log_cursor(GridLog *log, Span subscription, int64_t *ret, Err *err) {
    Stmt *s = db_statement(log->db, "SELECT position FROM grid_cursor WHERE subscription = ?");
    stmt_bind_text(s, 1, subscription);
    return read_number(s, 0, ret, err);
}

bool grid_log_set_cursor(GridLog *log, Span subscription, int64_t position, Err *err) {
    int64_t changed = 0;
    Stmt *s = db_statement(log->db, "UPDATE grid_cursor SET position = ? WHERE subscription = ?");
    stmt_bind_int(s, 1, position);
    stmt_bind_text(s, 2, subscription);
    if (!stmt_run(s, &changed, err) || changed) return !err->kind;
    s = db_statement(log->db, "INSERT INTO grid_cursor (position, subscription) VALUES (?, ?)");
    stmt_bind_int(s, 1, position);
    stmt_bind_text(s, 2, subscription);
    return stmt_run(s, NULL, err);
}

bool grid_log_delete(GridLog *log, int64_t position, Err *err) {
    Stmt *s = db_statement(log->db, "DELETE FROM grid_event WHERE position <= ?");
    stmt_bind_int(s, 1, position);
    return stmt_run(s, NULL, err);
}

bool grid_log_bury(GridLog *log, const GridDeadLetter *letter, Err *err) {
    Stmt *s = db_statement(log->db,
                           "INSERT INTO grid_dead_letter (subscription, position, body, reason, last_outcome,"
                           " attempts, dead_at) VALUES (?, ?, ?, ?, ?, ?, ?)");
    stmt_bind_text(s, 1, letter->subscription);
    stmt_bind_int(s, 2, letter->position);
    stmt_bind_text(s, 3, letter->body);
    stmt_bind_text(s, 4, letter->reason);
    stmt_bind_text(s, 5, letter->last_outcome);
    stmt_bind_int(s, 6, letter->attempts);
    stmt_bind_int(s, 7, letter->dead_at_us);
    return stmt_run(s, NULL, err);
}

bool grid_log_buried(GridLog *log, int64_t *count, Err *err) {
    return dead_letter_count(log->db, &DELIVERY_LETTERS, count, err);
}

bool grid_log_read(GridLog *log, int64_t after, size_t most,
                   bool (*each)(void *user, int64_t position, Span body), void *user, Err *err) {
    Stmt *s = db_statement(log->db, "SELECT position, body FROM grid_event WHERE position > ?"
                                    " ORDER BY position {limit}");
    stmt_bind_int(s, 1, after);
    stmt_bind_int(s, 2, (int64_t)most);
    if (!stmt_run(s, NULL, err)) return false;
    while (stmt_row(s, err)) {
        int64_t position = stmt_int(s, 0);
        if (!each(user, position, stmt_text(s, 1))) break;
    }
    stmt_done(s);
    return !err->kind;
}
