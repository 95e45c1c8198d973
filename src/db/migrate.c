/* migrate.c - a database remembers the highest step that each part has taken, in a table of its own
 * (schema_step). All missing steps are taken in one transaction under a lock: two programs that start
 * together cannot take one twice, and a crash leaves either the old or the new tables (all three engines undo
 * changes of tables, too). */
#include "db/migrate.h"

#include "base/buf.h"
#include "base/clock.h"
#include "db/inside.h"

/* A file of SQLite is one part, and was before there were names of parts. */
static const SqlText MAKE_TABLE = {
    .sqlite = "CREATE TABLE IF NOT EXISTS schema_step (number INTEGER PRIMARY KEY, taken_at BIGINT NOT NULL)",
    .postgresql =
        "CREATE TABLE IF NOT EXISTS schema_step (part {name}, number INTEGER, taken_at BIGINT NOT NULL,"
        " PRIMARY KEY (part, number))",
    .sqlserver = "IF OBJECT_ID('schema_step') IS NULL CREATE TABLE schema_step (part {name} NOT NULL,"
                 " number INTEGER NOT NULL, taken_at BIGINT NOT NULL, PRIMARY KEY (part, number))"};
#define HIGHEST "SELECT coalesce(max(number), 0) FROM schema_step WHERE "
static const SqlText LAST_STEP = {
    .sqlite = HIGHEST "? <> ''", .postgresql = HIGHEST "part = ?", .sqlserver = HIGHEST "part = ?"};
#define ADD "INSERT INTO schema_step (number, taken_at"
static const SqlText ADD_STEP = {.sqlite = ADD ") SELECT ?, ? WHERE ? <> ''",
                                 .postgresql = ADD ", part) VALUES (?, ?, ?)",
                                 .sqlserver = ADD ", part) VALUES (?, ?, ?)"};
#define COUNT_TABLES(name, rest)                                                                             \
    "SELECT count(*), coalesce(sum(CASE WHEN " name " = 'schema_step' THEN 1 ELSE 0 END), 0) FROM " rest
static const SqlText TABLES = {
    .sqlite = COUNT_TABLES("name", "sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"),
    .postgresql = COUNT_TABLES("tablename", "pg_tables WHERE schemaname = current_schema()"),
    .sqlserver = COUNT_TABLES("name", "sys.tables WHERE schema_id = schema_id()")};

static bool current_step(Db *db, const char *part, int64_t *ret, Err *err) {
    Stmt *s = db_statement(db, db_text(db, &LAST_STEP));
    stmt_bind_text(s, 1, span_of(part));
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

/* One that has tables but no step of ours belongs to somebody else. */
static bool refuse_foreign(Db *db, Err *err) {
    Stmt *s = db_statement(db, db_text(db, &TABLES));
    if (!stmt_run(s, NULL, err) || !stmt_row(s, err)) return false;
    bool foreign = stmt_int(s, 0) > 0 && stmt_int(s, 1) == 0;
    stmt_done(s);
    return !foreign ||
           err_set(err, &ERR_CONFIG, "the database has tables that are not ours; it is left alone");
}

static const char *text_of(const Db *db, const Migration *step) {
    DbDialect dialect = db_dialect(db);
    if (dialect == DB_SQLSERVER && step->on_sqlserver) return step->on_sqlserver;
    return dialect != DB_SQLITE && step->on_server ? step->on_server : step->sql;
}

static bool take_step(Db *db, const char *part, const Migration *step, Err *err) {
    Stmt *s = db_statement(db, db_text(db, &ADD_STEP));
    stmt_bind_int(s, 1, step->number);
    stmt_bind_int(s, 2, clock_now_us());
    stmt_bind_text(s, 3, span_of(part));
    return stmt_run(s, NULL, err) && run_statements(db, text_of(db, step), err);
}

static bool refuse_newer(int64_t at, int known, Err *err) {
    return err_set(err, &ERR_CONFIG, "the database is at step %lld, this program knows only %d",
                   (long long)at, known);
}

static bool take_steps(Db *db, const char *part, const Migration *steps, size_t count, Err *err) {
    int64_t at = 0;
    const char *lock = db->dialect->migration_lock;
    if ((lock && !run_statements(db, lock, err)) || !refuse_foreign(db, err) ||
        !db_execute(db, db_text(db, &MAKE_TABLE), err) || !current_step(db, part, &at, err))
        return false;
    if (count && at > steps[count - 1].number) return refuse_newer(at, steps[count - 1].number, err);
    for (size_t i = 0; i < count; i++)
        if (steps[i].number > at && !take_step(db, part, &steps[i], err)) return false;
    return true;
}

/* Of a reader: nothing changes. */
static bool compare_steps(Db *db, const char *part, const Migration *steps, size_t count, Err *err) {
    int64_t at;
    int known = count ? steps[count - 1].number : 0;
    if (!db_has_table(db, "schema_step", err) || !current_step(db, part, &at, err)) return false;
    if (at > known) return refuse_newer(at, known, err);
    return at == known || err_set(err, &ERR_DB_DOWN, "its tables are at step %lld, this program needs %d",
                                  (long long)at, known);
}

bool migrate(Db *db, const char *part, const Migration *steps, size_t count, Err *err) {
    if (db->options.read_only) return compare_steps(db, part, steps, count, err);
    if (!db_begin(db, err)) return false;
    if (take_steps(db, part, steps, count, err)) return db_commit(db, err);
    db_rollback(db);
    return false;
}
