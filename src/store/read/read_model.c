#include "store/read/read_model.h"

#define COLUMNS_OF(p)                                                                                        \
    p "prospect_id, " p "tenant_id, " p "first_name, " p "last_name, " p "email, " p "phone, " p "notes, " p \
      "version, " p "created_at, " p "updated_at, " p "last_name_key, " p "email_key, " p "search, " p       \
      "merged_into"
#define COLUMNS COLUMNS_OF("")
#define SHAPE(table, newer)                                                                                  \
    {                                                                                                        \
        .given.sql.sqlite =                                                                                  \
            "INSERT INTO " table " AS p (" COLUMNS ") {given}"                                               \
            " ON CONFLICT (prospect_id) DO UPDATE SET first_name = excluded.first_name,"                     \
            " last_name = excluded.last_name, email = excluded.email, phone = excluded.phone,"               \
            " notes = excluded.notes, version = excluded.version, updated_at = excluded.updated_at,"         \
            " last_name_key = excluded.last_name_key, email_key = excluded.email_key,"                       \
            " search = excluded.search, merged_into = excluded.merged_into"                                  \
            " WHERE excluded.version " newer " p.version AND excluded.tenant_id = p.tenant_id",              \
        .given.sql.sqlserver =                                                                               \
            "MERGE " table " WITH (HOLDLOCK) AS p USING ({given}) AS v(" COLUMNS ")"                         \
            " ON p.prospect_id = v.prospect_id WHEN MATCHED AND v.version " newer " p.version"               \
            " AND v.tenant_id = p.tenant_id THEN UPDATE SET first_name = v.first_name,"                      \
            " last_name = v.last_name, email = v.email, phone = v.phone, notes = v.notes,"                   \
            " version = v.version, updated_at = v.updated_at, last_name_key = v.last_name_key,"              \
            " email_key = v.email_key, search = v.search, merged_into = v.merged_into"                       \
            " WHEN NOT MATCHED THEN INSERT (" COLUMNS ") VALUES (" COLUMNS_OF("v.") ");",                    \
        .given.columns = "ittttttiiittti", .key = 1                                                          \
    }

const RowShape PROSPECT_ROWS[MODELS] = {SHAPE("prospect_summary", ">"), SHAPE("prospect_summary_1", ">")};
const RowShape PROSPECT_ROWS_AGAIN[MODELS] = {SHAPE("prospect_summary", ">="),
                                              SHAPE("prospect_summary_1", ">=")};

void read_model_prospect(Rows *rows, const ProspectSummary *row) {
    rows_int(rows, row->prospect_id);
    rows_text(rows, row->tenant_id);
    rows_text(rows, row->first_name);
    rows_text(rows, row->last_name);
    rows_text(rows, row->email);
    rows_text(rows, row->phone);
    rows_text(rows, row->notes);
    rows_int(rows, row->version);
    rows_int(rows, row->created_at);
    rows_int(rows, row->updated_at);
    rows_text(rows, row->last_name_key);
    rows_text(rows, row->email_key);
    rows_text(rows, row->search);
    rows_int(rows, row->merged_into);
}

/* ---- the one that is being built ---- */

bool rebuild_take(Db *db, const char *run, Err *err) {
    Stmt *s = db_statement(db, "UPDATE rebuild SET run = ? WHERE id = 1");
    stmt_bind_text(s, 1, span_of(run));
    return stmt_run(s, NULL, err);
}

bool rebuild_begin(Db *db, const char *run, Err *err) {
    int64_t changed = 0;
    if (!db_begin(db, err)) return false;
    Stmt *s = db_statement(db, "UPDATE rebuild SET steps = steps + 1 WHERE id = 1 AND run = ?");
    stmt_bind_text(s, 1, span_of(run));
    if (!stmt_run(s, &changed, err)) return false;
    return changed || err_set(err, &ERR_CONFLICT, "another replay has begun, this one ends");
}

bool rebuild_lock_head(Db *db, Err *err) {
    return stmt_run(db_statement(db, "UPDATE projection_state SET model = model WHERE id = 1"), NULL, err);
}

bool rebuild_switch(Db *db, int to, Err *err) {
    Stmt *s = db_statement(db, "UPDATE projection_state SET model = ? WHERE id = 1");
    stmt_bind_int(s, 1, to);
    return stmt_run(s, NULL, err);
}

/* The highest of the next ids; the same as `after` where there are no more. */
static bool next_ids(Db *db, int model, int64_t after, int64_t most, int64_t *upto, Err *err) {
    static const char *const SELECT[MODELS] = {
        "SELECT coalesce(max(prospect_id), 0) FROM (SELECT prospect_id FROM prospect_summary"
        " WHERE prospect_id > ? ORDER BY prospect_id {limit}) t",
        "SELECT coalesce(max(prospect_id), 0) FROM (SELECT prospect_id FROM prospect_summary_1"
        " WHERE prospect_id > ? ORDER BY prospect_id {limit}) t"};
    Stmt *s = db_statement(db, SELECT[model]);
    stmt_bind_int(s, 1, after);
    stmt_bind_int(s, 2, most);
    if (!stmt_run(s, NULL, err) || !stmt_row(s, err)) return false;
    *upto = stmt_int(s, 0);
    stmt_done(s);
    if (*upto < after) *upto = after;
    return true;
}

/* FTS5 without a copy of the text must be told what to forget; emptied as a whole, it need not. */
static bool clear_words(Db *db, int model, Err *err) {
    static const char *const CLEAR[MODELS] = {
        "INSERT INTO prospect_search (prospect_search) VALUES ('delete-all')",
        "INSERT INTO prospect_search_1 (prospect_search_1) VALUES ('delete-all')"};
    return db_dialect(db) != DB_SQLITE || stmt_run(db_statement(db, CLEAR[model]), NULL, err);
}

bool read_model_clear(Db *db, int model, int64_t *after, int64_t most, bool *done, Err *err) {
    static const char *const DELETE[MODELS] = {
        "DELETE FROM prospect_summary WHERE prospect_id > ? AND prospect_id <= ?",
        "DELETE FROM prospect_summary_1 WHERE prospect_id > ? AND prospect_id <= ?"};
    int64_t upto;
    if (!next_ids(db, model, *after, most, &upto, err)) return false;
    *done = upto == *after;
    if (*done) return clear_words(db, model, err);
    Stmt *s = db_statement(db, DELETE[model]);
    stmt_bind_int(s, 1, *after);
    stmt_bind_int(s, 2, upto);
    *after = upto;
    return stmt_run(s, NULL, err);
}

#define COPY(from, to)                                                                                       \
    "INSERT INTO " to " (" COLUMNS ") SELECT " COLUMNS " FROM " from                                         \
    " WHERE prospect_id > ? AND prospect_id <= ?"

bool read_model_copy(Db *db, int from, int64_t *after, int64_t most, bool *done, Err *err) {
    static const char *const INSERT[MODELS] = {COPY("prospect_summary", "prospect_summary_1"),
                                               COPY("prospect_summary_1", "prospect_summary")};
    int64_t upto;
    if (!next_ids(db, from, *after, most, &upto, err)) return false;
    *done = upto == *after;
    Stmt *s = db_statement(db, INSERT[from]);
    stmt_bind_int(s, 1, *after);
    stmt_bind_int(s, 2, upto);
    *after = upto;
    return stmt_run(s, NULL, err);
}
