/* migrate.c - a database remembers the highest step that it has taken, in a table of its own (schema_step).
 * All missing steps are taken in one transaction under the write lock: two programs that start together
 * cannot take one twice, and a crash leaves either the old or the new tables. */
#include "db/migrate.h"

#include "base/buf.h"
#include "base/clock.h"

static bool current_step(Db *db, int64_t *ret, Err *err) {
    Stmt *s = db_statement(db, "SELECT coalesce(max(number), 0) FROM schema_step");
    if (!stmt_run(s, NULL, err) || !stmt_row(s, err)) return false;
    *ret = stmt_int(s, 0);
    stmt_done(s);
    return true;
}

static bool run_statements(Db *db, const char *sql, Err *err) {
    while (*sql) {
        const char *end = strstr(sql, ";\n");
        size_t len = end ? (size_t)(end - sql) : strlen(sql);
        AUTO_BUF one = {0};
        buf_append(&one, sql, len);
        buf_byte(&one, 0);
        if (!db_execute(db, one.at, err)) return false;
        sql += end ? len + 2 : len;
    }
    return true;
}

/* A file that has tables but no step of ours belongs to somebody else. */
static bool refuse_foreign(Db *db, Err *err) {
    if (db_dialect(db) != DB_SQLITE) return true;
    Stmt *s = db_statement(db, "SELECT count(*), coalesce(sum(name = 'schema_step'), 0) FROM sqlite_schema"
                               " WHERE type = 'table' AND name NOT LIKE 'sqlite_%'");
    if (!stmt_run(s, NULL, err) || !stmt_row(s, err)) return false;
    bool foreign = stmt_int(s, 0) > 0 && stmt_int(s, 1) == 0;
    stmt_done(s);
    return !foreign ||
           err_set(err, &ERR_CONFIG, "the database has tables that are not ours; it is left alone");
}

static bool take_steps(Db *db, const Migration *steps, size_t count, Err *err) {
    int64_t at = 0;
    if (!refuse_foreign(db, err) ||
        !db_execute(
            db,
            "CREATE TABLE IF NOT EXISTS schema_step (number INTEGER PRIMARY KEY, taken_at BIGINT NOT NULL)",
            err) ||
        !current_step(db, &at, err))
        return false;
    if (count && at > steps[count - 1].number)
        return err_set(err, &ERR_CONFIG, "the database is at step %lld, this program knows only %d",
                       (long long)at, steps[count - 1].number);
    for (size_t i = 0; i < count; i++) {
        if (steps[i].number <= at) continue;
        Stmt *s = db_statement(db, "INSERT INTO schema_step (number, taken_at) VALUES (?, ?)");
        stmt_bind_int(s, 1, steps[i].number);
        stmt_bind_int(s, 2, clock_now_us());
        if (!run_statements(db, steps[i].sql, err) || !stmt_run(s, NULL, err)) return false;
    }
    return true;
}

bool migrate(Db *db, const Migration *steps, size_t count, Err *err) {
    if (!db_begin(db, err)) return false;
    if (take_steps(db, steps, count, err)) return db_commit(db, err);
    db_rollback(db);
    return false;
}
