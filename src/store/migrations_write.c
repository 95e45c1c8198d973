#include "store/migrations_write.h"

#include "db/migrate.h"

static const Migration STEPS[] = {
    {1, "CREATE TABLE prospect ("
        " prospect_id INTEGER PRIMARY KEY AUTOINCREMENT,"
        " tenant_id TEXT NOT NULL,"
        " first_name TEXT NOT NULL,"
        " last_name TEXT NOT NULL,"
        " email TEXT NOT NULL,"
        " phone TEXT NOT NULL,"
        " notes TEXT NOT NULL,"
        " version BIGINT NOT NULL,"
        " created_at BIGINT NOT NULL,"
        " updated_at BIGINT NOT NULL);\n"
        "CREATE TABLE prospect_email ("
        " tenant_id TEXT NOT NULL,"
        " email_key TEXT NOT NULL,"
        " prospect_id BIGINT NOT NULL,"
        " PRIMARY KEY (tenant_id, email_key)) WITHOUT ROWID;\n"
        "CREATE TABLE command_done ("
        " tenant_id TEXT NOT NULL,"
        " issued_by TEXT NOT NULL,"
        " command_id TEXT NOT NULL,"
        " body_hash BIGINT NOT NULL,"
        " event_id TEXT NOT NULL,"
        " done_at BIGINT NOT NULL,"
        " PRIMARY KEY (tenant_id, issued_by, command_id)) WITHOUT ROWID;\n"
        "CREATE TABLE outbox ("
        " outbox_id INTEGER PRIMARY KEY AUTOINCREMENT,"
        " event_id TEXT NOT NULL,"
        " tenant_id TEXT NOT NULL,"
        " subject TEXT NOT NULL,"
        " subject_version BIGINT NOT NULL,"
        " body BLOB NOT NULL," /* packed Envelope, without its numbers */
        " created_at BIGINT NOT NULL);\n"},
    {2, "ALTER TABLE prospect ADD COLUMN merged_into BIGINT NOT NULL DEFAULT 0;\n"},
};

bool write_migrate(Db *db, Err *err) {
    return migrate(db, "write", STEPS, COUNT(STEPS), err);
}
