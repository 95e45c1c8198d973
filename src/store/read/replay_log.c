#include "store/read/replay_log.h"

#include "wire/envelope.h"

const RowShape REPLAY_ROWS = {
    .given.sql.sqlite =
        "INSERT INTO replay_log (sequence, tenant_id, subject, subject_version, event_type, issued_by, body,"
        " occurred_at) {given}",
    .given.columns = "ikkikkbi",
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
    Stmt *s = db_statement(db, "SELECT epoch, prefix, model FROM projection_state WHERE id = 1");
    if (!stmt_run(s, NULL, err)) return false;
    if (!stmt_row(s, err))
        return err->kind ? false : err_set(err, &ERR_INTERNAL, "projection_state is empty");
    bool fits = span_copy(stmt_text(s, 0), ret->epoch, sizeof ret->epoch);
    ret->head = stmt_int(s, 1);
    ret->model = stmt_int(s, 2) == 1;
    stmt_done(s);
    return fits || err_set(err, &ERR_INTERNAL, "projection_state has an epoch that is too long");
}

bool replay_log_set_head(Db *db, const ReplayHead *head, int64_t before, Err *err) {
    int64_t changed = 0;
    Stmt *s = db_statement(db, "UPDATE projection_state SET epoch = ?, prefix = ? WHERE id = 1 AND prefix = ?"
                               " AND model = ?");
    stmt_bind_text(s, 1, span_of(head->epoch));
    stmt_bind_int(s, 2, head->head);
    stmt_bind_int(s, 3, before);
    stmt_bind_int(s, 4, head->model);
    if (!stmt_run(s, &changed, err)) return false;
    return changed || err_set(err, &ERR_CONFLICT, "the log's head or the model that serves has been changed");
}

/* What waits behind a hole has a number of the old epoch. */
bool replay_log_begin_epoch(Db *db, const ReplayHead *head, Err *err) {
    ReplayHead before;
    bool done = db_begin(db, err) && replay_log_head(db, &before, err) &&
                replay_log_set_head(db, head, before.head, err) &&
                db_execute(db, "DELETE FROM waiting", err) && db_commit(db, err);
    if (!done) db_rollback(db);
    return done;
}

bool replay_log_oldest(Db *db, int64_t *ret, Err *err) {
    Stmt *s = db_statement(db, "SELECT coalesce((SELECT min(sequence) FROM replay_log WHERE sequence >"
                               " (SELECT trimmed FROM projection_state WHERE id = 1)), prefix + 1)"
                               " FROM projection_state WHERE id = 1");
    if (!stmt_run(s, NULL, err)) return false;
    if (!stmt_row(s, err))
        return err->kind ? false : err_set(err, &ERR_INTERNAL, "projection_state is empty");
    *ret = stmt_int(s, 0);
    stmt_done(s);
    return true;
}

/* Rejections and skipped events say nothing of their subject's state: they are neither its first nor its last
 * one. Versions say which are, not numbers: a requeued event has a new number and an old state. What has come
 * later makes an event that was kept as the last one superfluous, so that all rows of a subject that has an
 * event between the two numbers are looked at. */
#define OTHER(order)                                                                                         \
    "EXISTS (SELECT 1 FROM replay_log o WHERE o.tenant_id = e.tenant_id AND o.subject = e.subject"           \
    " AND o.subject_version " order                                                                          \
    " e.subject_version AND o.subject_version > 0 AND o.event_type <> 'EventSkipped')"
static const char TRIM[] =
    "DELETE FROM replay_log WHERE sequence IN (SELECT e.sequence FROM (SELECT DISTINCT tenant_id, subject"
    " FROM replay_log WHERE sequence > ? AND sequence <= ?) w JOIN replay_log e ON e.tenant_id = w.tenant_id"
    " AND e.subject = w.subject AND e.sequence <= ? WHERE e.subject_version = 0"
    " OR e.event_type = 'EventSkipped' OR (" OTHER("<") " AND " OTHER(">") "))";

/* The last of the `most` numbers behind the trim point whose events are all old enough. */
static bool find_trim(Db *db, int64_t before_us, size_t most, int64_t *from, int64_t *to, size_t *seen,
                      Err *err) {
    *seen = 0;
    Stmt *s = db_statement(db, "SELECT trimmed FROM projection_state WHERE id = 1");
    if (!stmt_run(s, NULL, err) || !stmt_row(s, err)) return false;
    *from = *to = stmt_int(s, 0);
    stmt_done(s);
    s = db_statement(db, "SELECT sequence, occurred_at FROM replay_log WHERE sequence > ? ORDER BY sequence"
                         " {limit}");
    stmt_bind_int(s, 1, *from);
    stmt_bind_int(s, 2, (int64_t)most);
    if (!stmt_run(s, NULL, err)) return false;
    while (stmt_row(s, err) && stmt_int(s, 1) < before_us) *to = stmt_int(s, 0), ++*seen;
    stmt_done(s);
    return !err->kind;
}

bool replay_log_trim(Db *db, int64_t before_us, size_t most, size_t *seen, Err *err) {
    int64_t from, to;
    if (!find_trim(db, before_us, most, &from, &to, seen, err) || !*seen) return !err->kind;
    Stmt *s = db_statement(db, TRIM);
    stmt_bind_int(s, 1, from);
    stmt_bind_int(s, 2, to);
    stmt_bind_int(s, 3, to);
    if (!stmt_run(s, NULL, err)) return false;
    s = db_statement(db, "UPDATE projection_state SET trimmed = ? WHERE id = 1");
    stmt_bind_int(s, 1, to);
    return stmt_run(s, NULL, err);
}

/* What else the row says stands in the body, too: looking into it costs less than one more column through
 * ODBC. */
static bool read_row(Stmt *s, ReplayRow *row, Err *err) {
    EnvelopePeek p;
    *row = (ReplayRow){.body = stmt_blob(s, 0)};
    if (!envelope_peek(row->body, &p) || p.sequence < 1)
        return err_set(err, &ERR_INTERNAL, "an event of the log is damaged");
    row->sequence = p.sequence;
    row->tenant_id = p.tenant_id;
    row->subject = p.subject;
    row->subject_version = p.subject_version;
    row->event_type = p.event_type;
    row->issued_by = p.issued_by;
    return true;
}

bool replay_log_visit(Stmt *s, const ReplayVisitor *visitor, Err *err) {
    if (!stmt_run(s, NULL, err)) return false;
    ReplayRow row;
    while (stmt_row(s, err) && read_row(s, &row, err) && visitor->row(visitor->user, &row)) continue;
    stmt_done(s);
    return !err->kind;
}

bool replay_log_read(Db *db, int64_t after, int64_t upto, int64_t limit, const ReplayVisitor *visitor,
                     Err *err) {
    Stmt *s = db_statement(db, "SELECT body FROM replay_log WHERE sequence > ? AND sequence <= ?"
                               " ORDER BY sequence {limit}");
    stmt_bind_int(s, 1, after);
    stmt_bind_int(s, 2, upto);
    stmt_bind_int(s, 3, limit);
    return replay_log_visit(s, visitor, err);
}
