#include "store/replay_log.h"

const RowShape REPLAY_ROWS = {
    .insert =
        "INSERT INTO replay_log (sequence, tenant_id, subject, subject_version, event_type, issued_by, body,"
        " occurred_at) VALUES ",
    .conflict = "",
    .columns = 8,
};

void replay_log_append(Rows *rows, const ReplayRow *row) {
    rows_int(rows, row->sequence);
    rows_text(rows, row->tenant_id);
    rows_text(rows, row->subject);
    rows_int(rows, row->subject_version);
    rows_text(rows, row->event_type);
    rows_text(rows, row->issued_by);
    rows_blob(rows, row->body);
    rows_int(rows, row->occurred_at);
}

bool replay_log_head(Db *db, ReplayHead *ret, Err *err) {
    *ret = (ReplayHead){0};
    Stmt *s = db_statement(db, "SELECT epoch, prefix FROM projection_state WHERE id = 1");
    if (!stmt_run(s, NULL, err)) return false;
    if (!stmt_row(s, err))
        return err->kind ? false : err_set(err, &ERR_INTERNAL, "projection_state is empty");
    bool fits = span_copy(stmt_text(s, 0), ret->epoch, sizeof ret->epoch);
    ret->head = stmt_int(s, 1);
    stmt_done(s);
    return fits || err_set(err, &ERR_INTERNAL, "projection_state has an epoch that is too long");
}

bool replay_log_set_head(Db *db, const ReplayHead *head, Err *err) {
    Stmt *s = db_statement(db, "UPDATE projection_state SET epoch = ?, prefix = ? WHERE id = 1");
    stmt_bind_text(s, 1, span_of(head->epoch));
    stmt_bind_int(s, 2, head->head);
    return stmt_run(s, NULL, err);
}

bool replay_log_oldest(Db *db, int64_t *ret, Err *err) {
    Stmt *s = db_statement(db, "SELECT coalesce((SELECT min(sequence) FROM replay_log), prefix + 1)"
                               " FROM projection_state WHERE id = 1");
    if (!stmt_run(s, NULL, err)) return false;
    if (!stmt_row(s, err))
        return err->kind ? false : err_set(err, &ERR_INTERNAL, "projection_state is empty");
    *ret = stmt_int(s, 0);
    stmt_done(s);
    return true;
}

static ReplayRow row_of(Stmt *s) {
    ReplayRow row = {.sequence = stmt_int(s, 0)};
    row.tenant_id = stmt_text(s, 1);
    row.subject = stmt_text(s, 2);
    row.subject_version = stmt_int(s, 3);
    row.event_type = stmt_text(s, 4);
    row.issued_by = stmt_text(s, 5);
    row.body = stmt_blob(s, 6);
    row.occurred_at = stmt_int(s, 7);
    return row;
}

bool replay_log_read(Db *db, int64_t after, int64_t upto, int64_t limit, const ReplayVisitor *visitor,
                     Err *err) {
    Stmt *s =
        db_statement(db, "SELECT sequence, tenant_id, subject, subject_version, event_type, issued_by, body,"
                         " occurred_at FROM replay_log WHERE sequence > ? AND sequence <= ?"
                         " ORDER BY sequence LIMIT ?");
    stmt_bind_int(s, 1, after);
    stmt_bind_int(s, 2, upto);
    stmt_bind_int(s, 3, limit);
    if (!stmt_run(s, NULL, err)) return false;
    while (stmt_row(s, err)) {
        ReplayRow row = row_of(s);
        if (!visitor->row(visitor->user, &row)) break;
    }
    stmt_done(s);
    return !err->kind;
}
