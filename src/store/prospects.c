#include "store/prospects.h"

static const char *copy(Arena *arena, Stmt *s, int column) {
    const char *text = arena_copy(arena, stmt_text(s, column));
    return text ? text : "";
}

bool prospects_load(Db *db, int64_t prospect_id, Arena *arena, Prospect *ret, bool *found, Err *err) {
    Stmt *s =
        db_statement(db, "SELECT tenant_id, first_name, last_name, email, phone, notes, version, created_at,"
                         " updated_at, merged_into FROM prospect WHERE prospect_id = ?");
    stmt_bind_int(s, 1, prospect_id);
    if (!stmt_run(s, NULL, err)) return false;
    Err fault = {0};
    *found = stmt_row(s, &fault);
    if (!*found) return !fault.kind || err_set(err, fault.kind, "%s", fault.why);
    *ret = (Prospect){.prospect_id = prospect_id};
    ret->tenant_id = copy(arena, s, 0);
    ret->first_name = copy(arena, s, 1);
    ret->last_name = copy(arena, s, 2);
    ret->email = copy(arena, s, 3);
    ret->phone = copy(arena, s, 4);
    ret->notes = copy(arena, s, 5);
    ret->version = stmt_int(s, 6);
    ret->created_at = stmt_int(s, 7);
    ret->updated_at = stmt_int(s, 8);
    ret->merged_into = stmt_int(s, 9);
    stmt_done(s);
    return true;
}

/* Runs a query of at most one row and one number; *ret stays where there is no row. */
static bool one_number(Stmt *s, int64_t *ret, Err *err) {
    if (!stmt_run(s, NULL, err)) return false;
    Err fault = {0};
    if (stmt_row(s, &fault)) *ret = stmt_int(s, 0);
    stmt_done(s);
    return !fault.kind || err_set(err, fault.kind, "%s", fault.why);
}

bool prospects_email_owner(Db *db, Span tenant_id, Span email_key, int64_t *owner, Err *err) {
    Stmt *s =
        db_statement(db, "SELECT prospect_id FROM prospect_email WHERE tenant_id = ? AND email_key = ?");
    stmt_bind_text(s, 1, tenant_id);
    stmt_bind_text(s, 2, email_key);
    *owner = 0;
    return one_number(s, owner, err);
}

/* Of a file's only writer the next one, of a server's sequence one that nobody else gets. */
static const SqlText NEXT_ID = {
    .sqlite = "SELECT seq + 1 FROM sqlite_sequence WHERE name = 'prospect'",
    .postgresql = "SELECT nextval(pg_get_serial_sequence('prospect', 'prospect_id'))",
    .sqlserver = "SELECT NEXT VALUE FOR prospect_ids"};

bool prospects_next_id(Db *db, int64_t *ret, Err *err) {
    *ret = 1;
    return one_number(db_statement(db, db_text(db, &NEXT_ID)), ret, err);
}

static bool take_email(Db *db, const Prospect *p, Span email_key, Err *err) {
    Stmt *s =
        db_statement(db, "INSERT INTO prospect_email (tenant_id, email_key, prospect_id) VALUES (?, ?, ?)");
    stmt_bind_text(s, 1, span_of(p->tenant_id));
    stmt_bind_text(s, 2, email_key);
    stmt_bind_int(s, 3, p->prospect_id);
    return stmt_run(s, NULL, err);
}

static bool give_email_back(Db *db, const Prospect *p, Span email_key, Err *err) {
    Stmt *s = db_statement(
        db, "DELETE FROM prospect_email WHERE tenant_id = ? AND email_key = ? AND prospect_id = ?");
    stmt_bind_text(s, 1, span_of(p->tenant_id));
    stmt_bind_text(s, 2, email_key);
    stmt_bind_int(s, 3, p->prospect_id);
    return stmt_run(s, NULL, err);
}

/* first_name, last_name, email, phone, notes, version, updated_at from `at` on */
static void bind_state(Stmt *s, int at, const Prospect *p) {
    stmt_bind_text(s, at, span_of(p->first_name));
    stmt_bind_text(s, at + 1, span_of(p->last_name));
    stmt_bind_text(s, at + 2, span_of(p->email));
    stmt_bind_text(s, at + 3, span_of(p->phone));
    stmt_bind_text(s, at + 4, span_of(p->notes));
    stmt_bind_int(s, at + 5, p->version);
    stmt_bind_int(s, at + 6, p->updated_at);
}

bool prospects_insert(Db *db, const Prospect *p, Span email_key, Err *err) {
    Stmt *s = db_statement(
        db, "INSERT INTO prospect (first_name, last_name, email, phone, notes, version, updated_at,"
            " created_at, tenant_id, prospect_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    bind_state(s, 1, p);
    stmt_bind_int(s, 8, p->created_at);
    stmt_bind_text(s, 9, span_of(p->tenant_id));
    stmt_bind_int(s, 10, p->prospect_id);
    return stmt_run(s, NULL, err) && take_email(db, p, email_key, err);
}

/* Only over the version before: a worker of another lane may have been here in between. */
static bool write_state(Db *db, const Prospect *p, Err *err) {
    Stmt *s =
        db_statement(db, "UPDATE prospect SET first_name = ?, last_name = ?, email = ?, phone = ?, notes = ?,"
                         " version = ?, updated_at = ?, merged_into = ? WHERE prospect_id = ? AND version = ?");
    int64_t changed = 0;
    bind_state(s, 1, p);
    stmt_bind_int(s, 8, p->merged_into);
    stmt_bind_int(s, 9, p->prospect_id);
    stmt_bind_int(s, 10, p->version - 1);
    if (!stmt_run(s, &changed, err)) return false;
    return changed || err_set(err, &ERR_CONFLICT, "the prospect has another version than was read");
}

bool prospects_update(Db *db, const Prospect *p, Span old_key, Span email_key, Err *err) {
    if (!write_state(db, p, err)) return false;
    if (span_equal(old_key, email_key)) return true;
    return give_email_back(db, p, old_key, err) && take_email(db, p, email_key, err);
}

bool prospects_end(Db *db, const Prospect *p, Span old_key, Err *err) {
    return write_state(db, p, err) && give_email_back(db, p, old_key, err);
}
