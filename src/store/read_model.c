#include "store/read_model.h"

bool read_model_prospect(Db *db, const ProspectSummary *row, Err *err) {
    Stmt *s = db_statement(
        db, "INSERT INTO prospect_summary (prospect_id, tenant_id, first_name, last_name, email, phone, notes, version,"
            " created_at, updated_at, last_name_key, email_key, search) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (prospect_id) DO UPDATE SET first_name = excluded.first_name,"
            " last_name = excluded.last_name, email = excluded.email, phone = excluded.phone, notes = excluded.notes,"
            " version = excluded.version, updated_at = excluded.updated_at, last_name_key = excluded.last_name_key,"
            " email_key = excluded.email_key, search = excluded.search"
            " WHERE excluded.version > prospect_summary.version AND excluded.tenant_id = prospect_summary.tenant_id");
    stmt_bind_int(s, 1, row->prospect_id);
    stmt_bind_text(s, 2, row->tenant_id);
    stmt_bind_text(s, 3, row->first_name);
    stmt_bind_text(s, 4, row->last_name);
    stmt_bind_text(s, 5, row->email);
    stmt_bind_text(s, 6, row->phone);
    stmt_bind_text(s, 7, row->notes);
    stmt_bind_int(s, 8, row->version);
    stmt_bind_int(s, 9, row->created_at);
    stmt_bind_int(s, 10, row->updated_at);
    stmt_bind_text(s, 11, row->last_name_key);
    stmt_bind_text(s, 12, row->email_key);
    stmt_bind_text(s, 13, row->search);
    return stmt_run(s, NULL, err);
}
