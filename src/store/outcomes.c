#include "store/outcomes.h"

bool outcome_add(Db *db, const OutcomeRow *row, Err *err) {
    /* 4 is COMMAND_STATUS_FAILED */
    Stmt *s = db_statement(
        db, "INSERT INTO command_outcome (tenant_id, issued_by, command_id, status, subject, event_id, code, errors,"
            " correlation_id, sequence) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (tenant_id, issued_by, command_id) DO UPDATE SET status = excluded.status,"
            " subject = excluded.subject, event_id = excluded.event_id, code = excluded.code, errors = excluded.errors,"
            " correlation_id = excluded.correlation_id, sequence = excluded.sequence"
            " WHERE command_outcome.status = 4");
    stmt_bind_text(s, 1, row->tenant_id);
    stmt_bind_text(s, 2, row->issued_by);
    stmt_bind_text(s, 3, row->command_id);
    stmt_bind_int(s, 4, row->status);
    stmt_bind_text(s, 5, row->subject);
    stmt_bind_text(s, 6, row->event_id);
    stmt_bind_text(s, 7, row->code);
    stmt_bind_text(s, 8, row->errors);
    stmt_bind_text(s, 9, row->correlation_id);
    stmt_bind_int(s, 10, row->sequence);
    return stmt_run(s, NULL, err);
}
