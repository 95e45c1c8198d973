#include "store/read/migrations_read.h"

#include "db/migrate.h"

/* The words of prospect_summary.search (domain/projection.h), found by how they begin. SQLite: tokens are
 * what stands between spaces, byte for byte, since every ASCII sign is a token's; the triggers keep the
 * index, which has no copy of the text. PostgreSQL: a tsvector of the words as they are; it takes no
 * extension, which a database's owner might not be allowed to make. T-SQL: full-text search there cuts words
 * by rules of its own and needs a catalogue, so that it stays with LIKE. */
#define WORDS_SQLITE(search, summary)                                                                        \
    "CREATE VIRTUAL TABLE " search " USING fts5(search, content='', columnsize=0, detail=none, tokenize=\""  \
    "ascii tokenchars '!\"\"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~'\");\n"                                         \
    "INSERT INTO " search " (rowid, search) SELECT prospect_id, search FROM " summary ";\n"                  \
    "CREATE TRIGGER " search "_insert AFTER INSERT ON " summary " BEGIN INSERT INTO " search                 \
    " (rowid, search) VALUES (new.prospect_id, new.search); END;\n"                                          \
    "CREATE TRIGGER " search "_update AFTER UPDATE ON " summary " WHEN old.search <> new.search BEGIN"       \
    " INSERT INTO " search " (" search ", rowid, search) VALUES ('delete', old.prospect_id, old.search);"    \
    " INSERT INTO " search " (rowid, search) VALUES (new.prospect_id, new.search); END;\n"
#define WORDS_POSTGRESQL(search, summary)                                                                    \
    "CREATE INDEX " search " ON " summary " USING gin (array_to_tsvector(string_to_array(ltrim(search),"     \
    " ' '))) WITH (gin_pending_list_limit = 512);\n"

/* A second read model of the same form, made anew from the log while the first one serves, and the other way
 * round the next time (store/read/read_model.h). rebuild: who is at it. */
#define REBUILD                                                                                              \
    "CREATE TABLE prospect_summary_1 (prospect_id {key}, tenant_id {name} NOT NULL,"                         \
    " first_name {text} NOT NULL, last_name {text} NOT NULL, email {text} NOT NULL, phone {text} NOT NULL,"  \
    " notes {text} NOT NULL, version BIGINT NOT NULL, created_at BIGINT NOT NULL,"                           \
    " updated_at BIGINT NOT NULL, last_name_key {name} NOT NULL, email_key {name} NOT NULL,"                 \
    " search {text} NOT NULL, merged_into BIGINT NOT NULL DEFAULT 0);\n"                                     \
    "CREATE INDEX prospect_summary_1_created ON prospect_summary_1 (tenant_id, created_at, prospect_id);\n"  \
    "CREATE INDEX prospect_summary_1_updated ON prospect_summary_1 (tenant_id, updated_at, prospect_id);\n"  \
    "CREATE INDEX prospect_summary_1_name ON prospect_summary_1 (tenant_id, last_name_key, prospect_id);\n"  \
    "CREATE INDEX prospect_summary_1_email ON prospect_summary_1 (tenant_id, email_key, prospect_id);\n"     \
    "ALTER TABLE projection_state ADD model INTEGER NOT NULL DEFAULT 0;\n"                                   \
    "CREATE TABLE rebuild (id INTEGER PRIMARY KEY CHECK (id = 1), run {name} NOT NULL,"                      \
    " steps BIGINT NOT NULL);\n"                                                                             \
    "INSERT INTO rebuild (id, run, steps) VALUES (1, '', 0);\n"

static const Migration STEPS[] = {
    {1,
     /* the read model */
     "CREATE TABLE prospect_summary (prospect_id {key}, tenant_id {name} NOT NULL,"
     " first_name {text} NOT NULL, last_name {text} NOT NULL, email {text} NOT NULL, phone {text} NOT NULL,"
     " notes {text} NOT NULL, version BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT "
     "NULL,"
     " last_name_key {name} NOT NULL, email_key {name} NOT NULL, search {text} NOT NULL);\n"
     "CREATE INDEX prospect_summary_created ON prospect_summary (tenant_id, created_at, prospect_id);\n"
     "CREATE INDEX prospect_summary_updated ON prospect_summary (tenant_id, updated_at, prospect_id);\n"
     "CREATE INDEX prospect_summary_name ON prospect_summary (tenant_id, last_name_key, prospect_id);\n"
     "CREATE INDEX prospect_summary_email ON prospect_summary (tenant_id, email_key, prospect_id);\n"
     "CREATE TABLE command_outcome (tenant_id {name} NOT NULL, issued_by {name} NOT NULL, command_id {name} "
     "NOT "
     "NULL,"
     " status INTEGER NOT NULL, subject {name} NOT NULL, event_id {name} NOT NULL, code {name} NOT NULL,"
     " errors {text} NOT NULL, correlation_id {name} NOT NULL, sequence BIGINT NOT NULL,"
     " PRIMARY KEY (tenant_id, issued_by, command_id)){keyed};\n"
     /* every event under its number, as it is sent to clients */
     "CREATE TABLE replay_log (sequence {key}, tenant_id {name} NOT NULL, subject {name} NOT NULL,"
     " subject_version BIGINT NOT NULL, event_type {name} NOT NULL, issued_by {name} NOT NULL, body {bytes} "
     "NOT "
     "NULL,"
     " occurred_at BIGINT NOT NULL);\n"
     "CREATE INDEX replay_log_tenant ON replay_log (tenant_id, sequence);\n"
     "CREATE INDEX replay_log_subject ON replay_log (tenant_id, subject, sequence);\n"
     /* receiving: what has been applied, what came too early, what nobody can read */
     "CREATE TABLE inbox (event_id {name} PRIMARY KEY, sequence BIGINT NOT NULL, received_at BIGINT NOT NULL)"
     "{keyed};\n"
     "CREATE TABLE waiting (sequence {key}, body {bytes} NOT NULL, received_at BIGINT NOT NULL);\n"
     "CREATE TABLE event_dead_letter (dead_letter_id {id}, dedupe_key {name} NOT "
     "NULL UNIQUE,"
     " sequence BIGINT NOT NULL, event_id {name} NOT NULL, event_type {name} NOT NULL, reason {name} NOT "
     "NULL,"
     " body {bytes} NOT NULL, dead_at BIGINT NOT NULL);\n"
     "CREATE TABLE projection_state (id INTEGER PRIMARY KEY CHECK (id = 1), epoch {name} NOT NULL,"
     " prefix BIGINT NOT NULL);\n"
     "INSERT INTO projection_state (id, epoch, prefix) VALUES (1, '', 0);\n"},
    {2, "ALTER TABLE prospect_summary ADD merged_into BIGINT NOT NULL DEFAULT 0;\n"},
    /* what is old goes (store/retention.h); trimmed: up to this number the log may have holes */
    {3, "ALTER TABLE command_outcome ADD decided_at BIGINT NOT NULL DEFAULT 0;\n"
        "UPDATE command_outcome SET decided_at = {now};\n"
        "CREATE INDEX command_outcome_age ON command_outcome (decided_at);\n"
        "CREATE INDEX inbox_age ON inbox (received_at);\n"
        "ALTER TABLE projection_state ADD trimmed BIGINT NOT NULL DEFAULT 0;\n"},
    {4, WORDS_SQLITE("prospect_search", "prospect_summary"),
     WORDS_POSTGRESQL("prospect_search", "prospect_summary"), ""},
    {5, REBUILD WORDS_SQLITE("prospect_search_1", "prospect_summary_1"),
     REBUILD WORDS_POSTGRESQL("prospect_search_1", "prospect_summary_1"), REBUILD},
};

bool read_migrate(Db *db, Err *err) {
    return migrate(db, "read", STEPS, COUNT(STEPS), err);
}
