#include "store/read/outcomes.h"

/* 4 is COMMAND_STATUS_FAILED */
const RowShape OUTCOME_ROWS = {
    .given.sql.sqlite =
        "INSERT INTO command_outcome (tenant_id, issued_by, command_id, status, subject, event_id, code, "
        "errors,"
        " correlation_id, sequence, decided_at) {given}"
        " ON CONFLICT (tenant_id, issued_by, command_id) DO UPDATE SET status = excluded.status,"
        " subject = excluded.subject, event_id = excluded.event_id, code = excluded.code,"
        " errors = excluded.errors, correlation_id = excluded.correlation_id, sequence = excluded.sequence,"
        " decided_at = excluded.decided_at"
        " WHERE command_outcome.status = 4",
    .given.columns = "tttitttttii",
    .key = 3,
};

void outcome_add(Rows *rows, const OutcomeRow *row) {
    rows_text(rows, row->tenant_id);
    rows_text(rows, row->issued_by);
    rows_text(rows, row->command_id);
    rows_int(rows, row->status);
    rows_text(rows, row->subject);
    rows_text(rows, row->event_id);
    rows_text(rows, row->code);
    rows_text(rows, row->errors);
    rows_text(rows, row->correlation_id);
    rows_int(rows, row->sequence);
    rows_int(rows, row->decided_at);
}
