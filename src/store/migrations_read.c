#include "store/migrations_read.h"

#include "db/migrate.h"

static const Migration STEPS[] = {
    {1,
     /* the read model */
     "CREATE TABLE prospect_summary (prospect_id INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL,"
     " first_name TEXT NOT NULL, last_name TEXT NOT NULL, email TEXT NOT NULL, phone TEXT NOT NULL,"
     " notes TEXT NOT NULL, version BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL,"
     " last_name_key TEXT NOT NULL, email_key TEXT NOT NULL, search TEXT NOT NULL);\n"
     "CREATE INDEX prospect_summary_created ON prospect_summary (tenant_id, created_at, prospect_id);\n"
     "CREATE INDEX prospect_summary_updated ON prospect_summary (tenant_id, updated_at, prospect_id);\n"
     "CREATE INDEX prospect_summary_name ON prospect_summary (tenant_id, last_name_key, prospect_id);\n"
     "CREATE INDEX prospect_summary_email ON prospect_summary (tenant_id, email_key, prospect_id);\n"
     "CREATE TABLE command_outcome (tenant_id TEXT NOT NULL, issued_by TEXT NOT NULL, command_id TEXT NOT "
     "NULL,"
     " status INTEGER NOT NULL, subject TEXT NOT NULL, event_id TEXT NOT NULL, code TEXT NOT NULL,"
     " errors TEXT NOT NULL, correlation_id TEXT NOT NULL, sequence BIGINT NOT NULL,"
     " PRIMARY KEY (tenant_id, issued_by, command_id)) WITHOUT ROWID;\n"
     /* every event under its number, as it is sent to clients */
     "CREATE TABLE replay_log (sequence INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL, subject TEXT NOT NULL,"
     " subject_version BIGINT NOT NULL, event_type TEXT NOT NULL, issued_by TEXT NOT NULL, body BLOB NOT "
     "NULL,"
     " occurred_at BIGINT NOT NULL);\n"
     "CREATE INDEX replay_log_tenant ON replay_log (tenant_id, sequence);\n"
     "CREATE INDEX replay_log_subject ON replay_log (tenant_id, subject, sequence);\n"
     /* receiving: what has been applied, what came too early, what nobody can read */
     "CREATE TABLE inbox (event_id TEXT PRIMARY KEY, sequence BIGINT NOT NULL, received_at BIGINT NOT NULL)"
     " WITHOUT ROWID;\n"
     "CREATE TABLE waiting (sequence INTEGER PRIMARY KEY, body BLOB NOT NULL, received_at BIGINT NOT NULL);\n"
     "CREATE TABLE event_dead_letter (dead_letter_id INTEGER PRIMARY KEY AUTOINCREMENT, dedupe_key TEXT NOT "
     "NULL UNIQUE,"
     " sequence BIGINT NOT NULL, event_id TEXT NOT NULL, event_type TEXT NOT NULL, reason TEXT NOT NULL,"
     " body BLOB NOT NULL, dead_at BIGINT NOT NULL);\n"
     "CREATE TABLE projection_state (id INTEGER PRIMARY KEY CHECK (id = 1), epoch TEXT NOT NULL,"
     " prefix BIGINT NOT NULL);\n"
     "INSERT INTO projection_state (id, epoch, prefix) VALUES (1, '', 0);\n"},
    {2, "ALTER TABLE prospect_summary ADD COLUMN merged_into BIGINT NOT NULL DEFAULT 0;\n"},
};

bool read_migrate(Db *db, Err *err) {
    return migrate(db, "read", STEPS, COUNT(STEPS), err);
}
