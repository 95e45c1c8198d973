#include "store/read_model.h"

const RowShape PROSPECT_ROWS = {
    .insert =
        "INSERT INTO prospect_summary (prospect_id, tenant_id, first_name, last_name, email, phone, notes,"
        " version, created_at, updated_at, last_name_key, email_key, search, merged_into) VALUES ",
    .conflict =
        " ON CONFLICT (prospect_id) DO UPDATE SET first_name = excluded.first_name,"
        " last_name = excluded.last_name, email = excluded.email, phone = excluded.phone,"
        " notes = excluded.notes, version = excluded.version, updated_at = excluded.updated_at,"
        " last_name_key = excluded.last_name_key, email_key = excluded.email_key, search = excluded.search,"
        " merged_into = excluded.merged_into"
        " WHERE excluded.version > prospect_summary.version"
        " AND excluded.tenant_id = prospect_summary.tenant_id",
    .columns = 14,
    .key = 1,
};

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
