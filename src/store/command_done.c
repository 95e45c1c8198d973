#include "store/command_done.h"

static void bind_key(Stmt *s, const CommandKey *key) {
    stmt_bind_text(s, 1, key->tenant_id);
    stmt_bind_text(s, 2, key->issued_by);
    stmt_bind_text(s, 3, key->command_id);
}

bool command_done_find(Db *db, const CommandKey *key, bool *found, uint64_t *body_hash, Err *err) {
    Stmt *s = db_statement(db, "SELECT body_hash FROM command_done WHERE tenant_id = ? AND issued_by = ?"
                               " AND command_id = ?");
    bind_key(s, key);
    if (!stmt_run(s, NULL, err)) return false;
    Err fault = {0};
    *found = stmt_row(s, &fault);
    if (*found) *body_hash = (uint64_t)stmt_int(s, 0);
    stmt_done(s);
    return !fault.kind || err_set(err, fault.kind, "%s", fault.why);
}

bool command_done_add(Db *db, const CommandKey *key, uint64_t body_hash, Span event_id, int64_t done_at,
                      Err *err) {
    Stmt *s = db_statement(
        db, "INSERT INTO command_done (tenant_id, issued_by, command_id, body_hash, event_id, done_at)"
            " VALUES (?, ?, ?, ?, ?, ?)");
    bind_key(s, key);
    stmt_bind_int(s, 4, (int64_t)body_hash);
    stmt_bind_text(s, 5, event_id);
    stmt_bind_int(s, 6, done_at);
    return stmt_run(s, NULL, err);
}
