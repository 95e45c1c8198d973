/* retention.c - deletes by age.
 *
 * The outbox is read from its lowest id on and has no index of times: ids and times rise together, but for
 * the order of commits and for clocks that were set, and a row that is kept too long does no harm.
 * T-SQL knows neither row values nor DELETE in a CTE: there a table of few columns is deleted from through a CTE that
 * names its first rows, and three tables by three statements over a table variable. */
#include "store/retention.h"

static bool run(Stmt *s, size_t *gone, Err *err) {
    int64_t changed = 0;
    if (!stmt_run(s, &changed, err)) return false;
    *gone = changed > 0 ? (size_t)changed : 0;
    return true;
}

static bool delete_old(Db *db, const SqlText *text, int64_t before_us, size_t most, size_t *gone, Err *err) {
    Stmt *s = db_statement(db, db_text(db, text));
    stmt_bind_int(s, 1, before_us);
    stmt_bind_int(s, 2, (int64_t)most);
    return run(s, gone, err);
}
/* T-SQL: a row of a CTE is the table's own row, and deleting it there deletes it here. */
#define DELETE_OLD(table, key, age)                                                                          \
    {                                                                                                        \
        .sqlite = "DELETE FROM " table " WHERE (" key ") IN (SELECT " key " FROM " table                     \
                  "{skipped} WHERE " age " < ? ORDER BY " age " {limit}{free})",                             \
        .sqlserver = "WITH old AS (SELECT " key " FROM " table "{skipped} WHERE " age " < ? ORDER BY " age   \
                     " {limit}) DELETE FROM old"                                                             \
    }
static const SqlText OLD_MARKS = DELETE_OLD("command_done", "tenant_id, issued_by, command_id", "done_at");
static const SqlText OLD_IDS = DELETE_OLD("inbox", "event_id", "received_at");
static const SqlText OLD_OUTCOMES =
    DELETE_OLD("command_outcome", "tenant_id, issued_by, command_id", "decided_at");

bool retain_command_marks(Db *db, int64_t before_us, size_t most, size_t *gone, Err *err) {
    return delete_old(db, &OLD_MARKS, before_us, most, gone, err);
}
bool retain_inbox(Db *db, int64_t before_us, size_t most, size_t *gone, Err *err) {
    return delete_old(db, &OLD_IDS, before_us, most, gone, err);
}
bool retain_outcomes(Db *db, int64_t before_us, size_t most, size_t *gone, Err *err) {
    return delete_old(db, &OLD_OUTCOMES, before_us, most, gone, err);
}

/* ---- the outbox ---- */

bool retain_outbox_file(Db *db, int64_t disposable, int64_t before_us, size_t most, size_t *gone, Err *err) {
    Stmt *s = db_statement(db, "DELETE FROM outbox WHERE outbox_id IN (SELECT outbox_id FROM outbox WHERE"
                               " outbox_id <= ? ORDER BY outbox_id {limit}) AND created_at < ?");
    stmt_bind_int(s, 1, disposable);
    stmt_bind_int(s, 2, (int64_t)most);
    stmt_bind_int(s, 3, before_us);
    return run(s, gone, err);
}

/* The highest row with a number up to this one; 0 where none has. */
static bool last_row(Db *db, int64_t upto, int64_t *ret, Err *err) {
    Stmt *s = db_statement(db, "SELECT outbox_id FROM numbered WHERE sequence <= ? ORDER BY sequence DESC"
                               " {limit}");
    stmt_bind_int(s, 1, upto);
    stmt_bind_int(s, 2, 1);
    *ret = 0;
    if (!stmt_run(s, NULL, err)) return false;
    if (stmt_row(s, err)) *ret = stmt_int(s, 0);
    stmt_done(s);
    return !err->kind;
}

bool retain_set_disposable(Db *db, int64_t upto, Err *err) {
    int64_t row;
    if (!last_row(db, upto, &row, err)) return false;
    Stmt *s = db_statement(db, "UPDATE relay_state SET disposable = ? WHERE id = 1 AND disposable < ?");
    stmt_bind_int(s, 1, row);
    stmt_bind_int(s, 2, row);
    return stmt_run(s, NULL, err);
}

bool retain_disposable(Db *db, int64_t *outbox_id, Err *err) {
    *outbox_id = 0;
    Stmt *s = db_statement(db, "SELECT disposable FROM relay_state WHERE id = 1");
    if (!stmt_run(s, NULL, err)) return false;
    if (stmt_row(s, err)) *outbox_id = stmt_int(s, 0);
    stmt_done(s);
    return !err->kind;
}

static bool delete_numbers(Db *db, const char *sql, int64_t first_row, size_t most, size_t *gone, Err *err) {
    Stmt *s = db_statement(db, sql);
    stmt_bind_int(s, 1, first_row);
    stmt_bind_int(s, 2, (int64_t)most);
    return run(s, gone, err);
}
#define OLD_NUMBERS                                                                                          \
    "(SELECT sequence FROM numbered WHERE outbox_id <= (SELECT disposable FROM relay_state WHERE id = 1)"    \
    " AND outbox_id < ? ORDER BY outbox_id {limit})"

bool retain_numbers_file(Db *db, int64_t first_row, size_t most, size_t *gone, Err *err) {
    size_t skipped;
    if (!first_row) first_row = INT64_MAX;
    bool done = db_begin(db, err) &&
                delete_numbers(db, "DELETE FROM skipped WHERE sequence IN " OLD_NUMBERS, first_row, most,
                               &skipped, err) &&
                delete_numbers(db, "DELETE FROM numbered WHERE sequence IN " OLD_NUMBERS, first_row, most,
                               gone, err) &&
                db_commit(db, err);
    if (!done) db_rollback(db);
    return done;
}

static const SqlText DELETE_NUMBERED = {
    .postgresql =
        "WITH low AS (SELECT sequence, outbox_id FROM numbered WHERE sequence <= ? AND sequence <= (SELECT"
        " min(CASE WHEN published < last_sequence THEN published ELSE CAST(? AS BIGINT) END) FROM relay_lane)"
        " ORDER BY sequence {limit}{free}),"
        " old AS (SELECT low.sequence, low.outbox_id FROM low JOIN outbox o ON o.outbox_id = low.outbox_id"
        " WHERE o.created_at < ?),"
        " rows AS (DELETE FROM outbox USING old WHERE outbox.outbox_id = old.outbox_id),"
        " left_out AS (DELETE FROM skipped USING old WHERE skipped.sequence = old.sequence)"
        " DELETE FROM numbered USING old WHERE numbered.sequence = old.sequence",
    /* only the last statement's rows are counted */
    .sqlserver =
        "SET NOCOUNT ON; DECLARE @old TABLE (sequence BIGINT PRIMARY KEY, outbox_id BIGINT NOT NULL);"
        " INSERT INTO @old SELECT low.sequence, low.outbox_id FROM (SELECT sequence, outbox_id FROM"
        " numbered{skipped} WHERE sequence <= ? AND sequence <= (SELECT min(CASE WHEN published <"
        " last_sequence THEN published ELSE CAST(? AS BIGINT) END) FROM relay_lane)"
        " ORDER BY sequence {limit}) low JOIN outbox o ON o.outbox_id = low.outbox_id"
        " WHERE o.created_at < ?;"
        " DELETE o FROM outbox o JOIN @old old ON o.outbox_id = old.outbox_id;"
        " DELETE s FROM skipped s JOIN @old old ON s.sequence = old.sequence;"
        " SET NOCOUNT OFF; DELETE n FROM numbered n JOIN @old old ON n.sequence = old.sequence"};

bool retain_outbox_server(Db *db, int64_t upto, int64_t before_us, size_t most, size_t *gone, Err *err) {
    Stmt *s = db_statement(db, db_text(db, &DELETE_NUMBERED));
    stmt_bind_int(s, 1, upto);
    stmt_bind_int(s, 2, INT64_MAX);
    stmt_bind_int(s, 3, (int64_t)most);
    stmt_bind_int(s, 4, before_us);
    return run(s, gone, err);
}
