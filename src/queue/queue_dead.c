#include "queue/queue_dead.h"

#include "base/clock.h"
#include "db/migrate.h"
#include "events/v1/envelope.pb-c.h"
#include <stdio.h>

/* message_id stands for a body that cannot be read: its other columns are empty. */
static const Migration STEPS[] = {
    {1,
     "CREATE TABLE command_dead_letter ("
     " dead_letter_id {id},"
     " message_id {name} NOT NULL,"
     " tenant_id {name} NOT NULL,"
     " issued_by {name} NOT NULL,"
     " command_id {name} NOT NULL,"
     " command_type {name} NOT NULL,"
     " correlation_id {name} NOT NULL,"
     " ordering_key {name} NOT NULL,"
     " body {bytes} NOT NULL,"
     " body_hash BIGINT NOT NULL,"
     " accepted_at BIGINT NOT NULL,"
     " deliveries INTEGER NOT NULL,"
     " requeues INTEGER NOT NULL,"
     " reason {text} NOT NULL,"
     " dead_at BIGINT NOT NULL,"
     " UNIQUE (message_id));\n"
     "CREATE INDEX command_dead_letter_command ON command_dead_letter (tenant_id, issued_by, command_id);\n",
     NULL},
};

bool queue_dead_migrate(Db *db, Err *err) {
    return migrate(db, "queue-dead", STEPS, COUNT(STEPS), err);
}

static void bind(Stmt *s, const AmqpCommand *c, const Events__V1__CommandEnvelope *e) {
    stmt_bind_text(s, 1, c->message_id);
    stmt_bind_text(s, 2, span_of(e ? e->tenant_id : ""));
    stmt_bind_text(s, 3, span_of(e ? e->issued_by : ""));
    stmt_bind_text(s, 4, span_of(e ? e->command_id : ""));
    stmt_bind_text(s, 5, span_of(e ? e->command_type : ""));
    stmt_bind_text(s, 6, span_of(e ? e->correlation_id : ""));
    stmt_bind_text(s, 7, c->ordering_key.at ? c->ordering_key : SPAN(""));
    stmt_bind_blob(s, 8, c->body.at ? c->body : SPAN(""));
    stmt_bind_int(s, 9, (int64_t)c->body_hash);
    stmt_bind_int(s, 10, c->accepted_at);
    stmt_bind_int(s, 12, c->requeues);
}

#define COLUMNS(of)                                                                                          \
    of "message_id, " of "tenant_id, " of "issued_by, " of "command_id, " of "command_type, " of             \
       "correlation_id, " of "ordering_key, " of "body, " of "body_hash, " of "accepted_at, " of             \
       "deliveries, " of "requeues, " of "reason, " of "dead_at"
#define ROW "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
static const SqlText ADD = {
    .sqlite = "INSERT INTO command_dead_letter (" COLUMNS(
        "") ") VALUES " ROW " ON CONFLICT (message_id) DO UPDATE SET deliveries = excluded.deliveries,"
            " reason = excluded.reason, dead_at = excluded.dead_at",
    .sqlserver = "MERGE command_dead_letter WITH (HOLDLOCK) AS d USING (VALUES " ROW ") AS v(" COLUMNS(
        "") ")"
            " ON d.message_id = v.message_id WHEN MATCHED THEN UPDATE SET deliveries = v.deliveries,"
            " reason = v.reason, dead_at = v.dead_at WHEN NOT MATCHED THEN"
            " INSERT (" COLUMNS("") ") VALUES (" COLUMNS("v.") ");"};

bool queue_dead_add(Db *db, const AmqpCommand *command, int deliveries, const char *reason, Err *err) {
    Events__V1__CommandEnvelope *e =
        events__v1__command_envelope__unpack(NULL, command->body.len, (const uint8_t *)command->body.at);
    Stmt *s = db_statement(db, db_text(db, &ADD));
    bind(s, command, e);
    stmt_bind_int(s, 11, deliveries);
    stmt_bind_text(s, 13, span_of(reason));
    stmt_bind_int(s, 14, clock_now_us());
    bool ok = stmt_run(s, NULL, err);
    if (e) events__v1__command_envelope__free_unpacked(e, NULL);
    return ok;
}

bool queue_dead_find(Db *db, Span tenant_id, Span issued_by, Span command_id, bool *found,
                     char correlation_id[160], Err *err) {
    Stmt *s = db_statement(db, "SELECT correlation_id FROM command_dead_letter WHERE tenant_id = ?"
                               " AND issued_by = ? AND command_id = ?");
    stmt_bind_text(s, 1, tenant_id);
    stmt_bind_text(s, 2, issued_by);
    stmt_bind_text(s, 3, command_id);
    if (!stmt_run(s, NULL, err)) return db_recover(db, NULL), false;
    Err fault = {0};
    *found = stmt_row(s, &fault);
    if (*found) snprintf(correlation_id, 160, "%.*s", SPAN_ARGS(stmt_text(s, 0)));
    stmt_done(s);
    return !fault.kind || err_set(err, fault.kind, "%s", fault.why);
}

bool queue_dead_count(Db *db, int64_t *ret, Err *err) {
    Stmt *s = db_statement(db, "SELECT count(*) FROM command_dead_letter");
    if (!stmt_run(s, NULL, err) || !stmt_row(s, err)) return false;
    *ret = stmt_int(s, 0);
    stmt_done(s);
    return true;
}
