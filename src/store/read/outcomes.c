#include "store/read/outcomes.h"

#define COLUMNS(of)                                                                                          \
    of "tenant_id, " of "issued_by, " of "command_id, " of "status, " of "subject, " of "event_id, " of      \
       "code, " of "errors, " of "correlation_id, " of "sequence, " of "decided_at"

/* 4 is COMMAND_STATUS_FAILED */
const RowShape OUTCOME_ROWS = {
    .given.sql.sqlite = "INSERT INTO command_outcome (" COLUMNS(
        "") ") {given}"
            " ON CONFLICT (tenant_id, issued_by, command_id) DO UPDATE SET status = excluded.status,"
            " subject = excluded.subject, event_id = excluded.event_id, code = excluded.code,"
            " errors = excluded.errors, correlation_id = excluded.correlation_id, sequence = "
            "excluded.sequence,"
            " decided_at = excluded.decided_at"
            " WHERE command_outcome.status = 4",
    .given.sql.sqlserver = "MERGE command_outcome WITH (HOLDLOCK) AS o USING ({given}) AS v(" COLUMNS(
        "") ")"
            " ON o.tenant_id = v.tenant_id AND o.issued_by = v.issued_by AND o.command_id = v.command_id"
            " WHEN MATCHED AND o.status = 4 THEN UPDATE SET status = v.status, subject = v.subject,"
            " event_id = v.event_id, code = v.code, errors = v.errors, correlation_id = v.correlation_id,"
            " sequence = v.sequence, decided_at = v.decided_at"
            " WHEN NOT MATCHED THEN INSERT (" COLUMNS("") ") VALUES (" COLUMNS("v.") ");",
    .given.columns = "kkkikkktkii",
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
