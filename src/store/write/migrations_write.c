#include "store/write/migrations_write.h"

#include "db/migrate.h"

/* The ids of prospects are known before their rows are written (store/write/prospects.c): a sequence of its own in T-SQL,
 * where an identity cannot be drawn from. outbox.body: the packed Envelope, without its numbers. */
#define BEHIND_THE_ID                                                                                        \
    " tenant_id {name} NOT NULL,"                                                                            \
    " first_name {text} NOT NULL,"                                                                           \
    " last_name {text} NOT NULL,"                                                                            \
    " email {text} NOT NULL,"                                                                                \
    " phone {text} NOT NULL,"                                                                                \
    " notes {text} NOT NULL,"                                                                                \
    " version BIGINT NOT NULL,"                                                                              \
    " created_at BIGINT NOT NULL,"                                                                           \
    " updated_at BIGINT NOT NULL);\n"                                                                        \
    "CREATE TABLE prospect_email ("                                                                          \
    " tenant_id {name} NOT NULL,"                                                                            \
    " email_key {name} NOT NULL,"                                                                            \
    " prospect_id BIGINT NOT NULL,"                                                                          \
    " PRIMARY KEY (tenant_id, email_key)){keyed};\n"                                                         \
    "CREATE TABLE command_done ("                                                                            \
    " tenant_id {name} NOT NULL,"                                                                            \
    " issued_by {name} NOT NULL,"                                                                            \
    " command_id {name} NOT NULL,"                                                                           \
    " body_hash BIGINT NOT NULL,"                                                                            \
    " event_id {name} NOT NULL,"                                                                             \
    " done_at BIGINT NOT NULL,"                                                                              \
    " PRIMARY KEY (tenant_id, issued_by, command_id)){keyed};\n"                                             \
    "CREATE TABLE outbox ("                                                                                  \
    " outbox_id {id},"                                                                                       \
    " event_id {name} NOT NULL,"                                                                             \
    " tenant_id {name} NOT NULL,"                                                                            \
    " subject {name} NOT NULL,"                                                                              \
    " subject_version BIGINT NOT NULL,"                                                                      \
    " body {bytes} NOT NULL,"                                                                                \
    " created_at BIGINT NOT NULL);\n"

static const Migration STEPS[] = {
    {1, "CREATE TABLE prospect ( prospect_id {id}," BEHIND_THE_ID, NULL,
     "CREATE SEQUENCE prospect_ids AS BIGINT START WITH 1;\n"
     "CREATE TABLE prospect ( prospect_id {key}," BEHIND_THE_ID},
    {2, "ALTER TABLE prospect ADD merged_into BIGINT NOT NULL DEFAULT 0;\n"},
    /* Where many write, rows do not appear in the order of their ids: which have no number yet is written
     * down with them. lane: of the subject (store/outbox/outbox.h). */
    {3, "",
     "ALTER TABLE outbox ADD lane SMALLINT NOT NULL DEFAULT 0;\n"
     "CREATE TABLE outbox_fresh (outbox_id {key}){busy};\n"},
    {4, "CREATE INDEX command_done_age ON command_done (done_at);\n"},
};

bool write_migrate(Db *db, Err *err) {
    return migrate(db, "write", STEPS, COUNT(STEPS), err);
}
