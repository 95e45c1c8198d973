#include "commands_kit.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "events/v1/prospect.pb-c.h"
#include "queue/queue_place.h"
#include "store/write/migrations_write.h"
#include "wire/envelope.h"
#include "wire/message.h"
#include <stdio.h>

static void events_written(void *user, size_t events) {
    ((World *)user)->events += events;
}

void world_open_service(World *w) {
    Err err = {0};
    w->db = test_db_open(w->write_url, (DbOptions){.busy_ms = 100});
    REQUIRE(CHECK_OK(write_migrate(w->db, &err), &err));
    REQUIRE(CHECK_OK(queue_receiver_open(w->queue_url, w->home, &w->receiver, &err), &err));
    CommandLoopOptions options = {
        .receiver = w->receiver, .db = w->db, .events_written = events_written, .user = w};
    w->loop = command_loop_new(&options);
}

void world_close_service(World *w) {
    w->loop = command_loop_free(w->loop);
    w->receiver = queue_receiver_free(w->receiver);
    w->db = db_free(w->db);
}

World world_open(void) {
    static char queue_url[160];
    World w = {.home = test_folder(), .queue_url = queue_url, .write_url = test_database_with(write_migrate)};
    snprintf(queue_url, sizeof queue_url, "sql:%s", test_engine() == DB_SQLITE ? "" : w.write_url);
    Err err = {0};
    QueuePlace files;
    log_start("test", LOG_ERROR + 1);
    REQUIRE(CHECK_OK(queue_place(w.queue_url, w.home, &files, &err) &&
                         db_open(files.queue, (DbOptions){.relaxed = true}, &w.queue, &err) &&
                         queue_migrate(w.queue, &err),
                     &err));
    return w;
}

void world_close(World *w) {
    world_close_service(w);
    w->queue = db_free(w->queue);
}

void world_put_raw(World *w, const char *id, const char *key, Span body, uint64_t hash) {
    Err err = {0};
    Stmt *s = db_statement(w->queue, "INSERT INTO command_queue (tenant_id, issued_by, command_id, body_hash,"
                                     " ordering_key, lane, body, correlation_id, accepted_at)"
                                     " VALUES ('t', 'u', ?, ?, ?, 0, ?, 'corr', 1)");
    stmt_bind_text(s, 1, span_of(id));
    stmt_bind_int(s, 2, (int64_t)hash);
    stmt_bind_text(s, 3, span_of(key));
    stmt_bind_blob(s, 4, body);
    REQUIRE(CHECK_OK(stmt_run(s, NULL, &err), &err));
    if (test_engine() == DB_SQLITE) return;
    s = db_statement(w->queue, "INSERT INTO queue_ready SELECT queue_id, lane, tenant_id || chr(10) ||"
                               " ordering_key, 0, 0, 0, 0 FROM command_queue WHERE command_id = ?");
    stmt_bind_text(s, 1, span_of(id));
    REQUIRE(CHECK_OK(stmt_run(s, NULL, &err), &err));
}

void world_put(World *w, const char *id, const char *type, const char *tenant,
               const ProtobufCMessage *message) {
    AUTO_BUF data = {0}, body = {0};
    message_pack(message, &data);
    Events__V1__CommandEnvelope e = EVENTS__V1__COMMAND_ENVELOPE__INIT;
    e.command_id = (char *)id;
    e.command_type = (char *)type;
    e.correlation_id = (char *)"corr";
    e.tenant_id = (char *)tenant;
    e.issued_by = (char *)"u";
    e.traceparent = (char *)"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    e.data = (ProtobufCBinaryData){data.len, (uint8_t *)data.at};
    message_pack(&e.base, &body);
    world_put_raw(w, id, id, buf_view(&body), hash_stable(buf_view(&data)));
}

void world_create(World *w, const char *id, const char *last_name, const char *email) {
    Events__V1__CreateProspect c = EVENTS__V1__CREATE_PROSPECT__INIT;
    c.first_name = (char *)"Ada";
    c.last_name = (char *)last_name;
    c.email = (char *)email;
    world_put(w, id, "CreateProspect", "t", &c.base);
}

void world_update_in(World *w, const char *tenant, const char *id, int64_t prospect, int64_t version,
                     const char *email) {
    Events__V1__UpdateProspect c = EVENTS__V1__UPDATE_PROSPECT__INIT;
    c.prospect_id = prospect;
    c.expected_version = version;
    c.first_name = (char *)"Ada";
    c.last_name = (char *)"King";
    c.email = (char *)email;
    world_put(w, id, "UpdateProspect", tenant, &c.base);
}

void world_update(World *w, const char *id, int64_t prospect, int64_t version, const char *email) {
    world_update_in(w, "t", id, prospect, version, email);
}

void world_merge(World *w, const char *id, int64_t survivor, int64_t version, int64_t other,
                 int64_t other_version) {
    Events__V1__MergeProspects c = EVENTS__V1__MERGE_PROSPECTS__INIT;
    c.prospect_id = survivor;
    c.expected_version = version;
    c.merged_prospect_id = other;
    c.merged_expected_version = other_version;
    world_put(w, id, "MergeProspects", "t", &c.base);
}

size_t world_turn(World *w) {
    int64_t wait;
    bool only_wait;
    return command_loop_turn(w->loop, &wait, &only_wait);
}

size_t world_turn_when_due(World *w) {
    size_t handled = 0;
    for (int i = 0; i < 1000 && !(handled = world_turn(w)); i++) clock_sleep_ms(10);
    return handled;
}

/* A server's ids have gaps where a transaction was undone: there a prospect's number is its place in the
 * order of appearance. */
static const char *subject_name(const char *subject, int64_t seen[16]) {
    static char name[32];
    if (test_engine() == DB_SQLITE || strncmp(subject, "prospect/", 9)) return subject;
    int64_t id = atoll(subject + 9), place = 0;
    while (seen[place] && seen[place] != id) place++;
    seen[place] = id;
    snprintf(name, sizeof name, "prospect/%lld", (long long)place + 1);
    return name;
}

static void history(World *w, Buf *out) {
    AUTO(Arena) arena = arena_new(0);
    Err err = {0};
    int64_t seen[16] = {0};
    Stmt *s = db_statement(w->db, "SELECT body FROM outbox ORDER BY outbox_id");
    REQUIRE(stmt_run(s, NULL, &err));
    while (stmt_row(s, &err)) {
        const Events__V1__Envelope *e = envelope_unpack(stmt_blob(s, 0), arena);
        REQUIRE(e != NULL);
        CHECK(strlen(e->event_id) == 36 && strcmp(e->producer, "ProspectService") == 0);
        CHECK(strcmp(e->correlation_id, "corr") == 0 && strcmp(e->issued_by, "u") == 0 && *e->causation_id);
        CHECK(strcmp(e->schema_version, "1.0") == 0 && *e->traceparent && timestamp_us(e->occurred_at) > 0);
        CHECK(e->sequence == 0 && e->watermark == 0);
        buf_printf(out, "%s %s %d", e->event_type, subject_name(e->subject, seen), (int)e->subject_version);
        ProtobufCMessage *m = message_unpack(message_type(span_of(e->event_type)),
                                             span_bytes(e->data.data, e->data.len), arena);
        REQUIRE(m != NULL);
        if (!strcmp(e->event_type, "CommandRejected")) {
            const Events__V1__CommandRejected *r = (const void *)m;
            buf_printf(out, " %s", r->code);
            for (size_t i = 0; i < r->n_errors; i++)
                buf_printf(out, " %s:%s", r->errors[i]->field, r->errors[i]->code);
            CHECK(strcmp(r->command_id, e->causation_id) == 0);
        }
        buf_text(out, "; ");
    }
}

void world_expect_history(World *w, const char *want) {
    AUTO_BUF got = {0};
    history(w, &got);
    CHECK_SPAN(buf_view(&got), want);
}

void world_make_trigger(World *w, const char *change, const char *when, bool refuse) {
    char sql[300];
    bool file = test_engine() == DB_SQLITE;
    const char *act = refuse ? "RAISE EXCEPTION ''no'';" : "RETURN NULL;";
    snprintf(sql, sizeof sql,
             "CREATE OR REPLACE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN %s END'", act);
    if (!file) test_db_run(w->db, sql);
    snprintf(sql, sizeof sql, "CREATE TRIGGER act BEFORE %s %s (%s) %s", change,
             file ? "WHEN" : "FOR EACH ROW WHEN", when,
             !file    ? "EXECUTE FUNCTION act()"
             : refuse ? "BEGIN SELECT RAISE(ABORT, 'no'); END"
                      : "BEGIN SELECT RAISE(IGNORE); END");
    test_db_run(w->db, sql);
}

void world_drop_trigger(World *w, const char *table) {
    char sql[64];
    snprintf(sql, sizeof sql, "DROP TRIGGER act%s%s", test_engine() == DB_SQLITE ? "" : " ON ",
             test_engine() == DB_SQLITE ? "" : table);
    test_db_run(w->db, sql);
}

void world_poison(World *w) {
    world_make_trigger(w, "INSERT ON prospect_email", "NEW.email_key LIKE 'poison%'", true);
}

size_t world_claim_all(World *w, QueueMessage **m) {
    size_t count;
    Err err = {0};
    REQUIRE(CHECK_OK(queue_claim(w->receiver, 1000, 30000, m, &count, &err), &err));
    return count;
}
