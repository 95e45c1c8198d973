#include "app/commands/command_loop.h"
#include "kit/engine.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "events/v1/prospect.pb-c.h"
#include "queue/queue_place.h"
#include "store/write/migrations_write.h"
#include "wire/envelope.h"
#include "wire/message.h"
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A home with queue, marks and write.db. Commands are put into queue.db as the gateway's sender would. */
typedef struct World {
    const char *home, *queue_url, *write_url;
    Db *queue, *db;
    QueueReceiver *receiver;
    CommandLoop *loop;
    size_t events; /* told by events_written */
} World;

static void events_written(void *user, size_t events) {
    ((World *)user)->events += events;
}

static void open_service(World *w) {
    Err err = {0};
    w->db = test_db_open(w->write_url, (DbOptions){.busy_ms = 100});
    REQUIRE(CHECK_OK(write_migrate(w->db, &err), &err));
    REQUIRE(CHECK_OK(queue_receiver_open(w->queue_url, w->home, &w->receiver, &err), &err));
    CommandLoopOptions options = {
        .receiver = w->receiver, .db = w->db, .events_written = events_written, .user = w};
    w->loop = command_loop_new(&options);
}

static void close_service(World *w) {
    w->loop = command_loop_free(w->loop);
    w->receiver = queue_receiver_free(w->receiver);
    w->db = db_free(w->db);
}

static World world_open(void) {
    static char queue_url[160];
    World w = {.home = test_folder(), .queue_url = queue_url, .write_url = test_database()};
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

static void world_close(World *w) {
    close_service(w);
    w->queue = db_free(w->queue);
}

static void put_raw(World *w, const char *id, const char *key, Span body, uint64_t hash) {
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

static void put(World *w, const char *id, const char *type, const char *tenant,
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
    put_raw(w, id, id, buf_view(&body), hash_stable(buf_view(&data)));
}

static void create(World *w, const char *id, const char *last_name, const char *email) {
    Events__V1__CreateProspect c = EVENTS__V1__CREATE_PROSPECT__INIT;
    c.first_name = (char *)"Ada";
    c.last_name = (char *)last_name;
    c.email = (char *)email;
    put(w, id, "CreateProspect", "t", &c.base);
}

static void update_in(World *w, const char *tenant, const char *id, int64_t prospect, int64_t version,
                      const char *email) {
    Events__V1__UpdateProspect c = EVENTS__V1__UPDATE_PROSPECT__INIT;
    c.prospect_id = prospect;
    c.expected_version = version;
    c.first_name = (char *)"Ada";
    c.last_name = (char *)"King";
    c.email = (char *)email;
    put(w, id, "UpdateProspect", tenant, &c.base);
}

static void update(World *w, const char *id, int64_t prospect, int64_t version, const char *email) {
    update_in(w, "t", id, prospect, version, email);
}

static void merge(World *w, const char *id, int64_t survivor, int64_t version, int64_t other,
                  int64_t other_version) {
    Events__V1__MergeProspects c = EVENTS__V1__MERGE_PROSPECTS__INIT;
    c.prospect_id = survivor;
    c.expected_version = version;
    c.merged_prospect_id = other;
    c.merged_expected_version = other_version;
    put(w, id, "MergeProspects", "t", &c.base);
}

static size_t turn(World *w) {
    int64_t wait;
    bool only_wait;
    return command_loop_turn(w->loop, &wait, &only_wait);
}

/* A turn in which something was due, which may be only after a pause. */
static size_t turn_when_due(World *w) {
    size_t handled = 0;
    for (int i = 0; i < 1000 && !(handled = turn(w)); i++) clock_sleep_ms(10);
    return handled;
}

static int64_t number(Db *db, const char *sql) {
    Err err = {0};
    Stmt *s = db_statement(db, sql);
    REQUIRE(CHECK_OK(stmt_run(s, NULL, &err), &err));
    int64_t n = stmt_row(s, &err) ? stmt_int(s, 0) : -1;
    stmt_done(s);
    return n;
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

/* "ProspectCreated prospect/1 1; CommandRejected command/x 0 duplicate_email email; " in order of outbox_id
 */
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

static void expect_history(World *w, const char *want) {
    AUTO_BUF got = {0};
    history(w, &got);
    CHECK_SPAN(buf_view(&got), want);
}

/* Before each such change of such a row: refuse it, or (the engine's silence) let it have no effect. */
static void make_trigger(World *w, const char *change, const char *when, bool refuse) {
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

static void drop_trigger(World *w, const char *table) {
    char sql[64];
    snprintf(sql, sizeof sql, "DROP TRIGGER act%s%s", test_engine() == DB_SQLITE ? "" : " ON ",
             test_engine() == DB_SQLITE ? "" : table);
    test_db_run(w->db, sql);
}

static void one_batch(void) {
    World w = world_open();
    create(&w, "c1", "Lovelace", " Ada@Example.org ");
    create(&w, "c2", "King", "ada@example.ORG");
    update(&w, "c3", 1, 1, "ada@example.org");
    update(&w, "c4", 1, 1, "ada@example.org");
    update(&w, "c5", 9, 1, "x@example.org");
    update_in(&w, "other", "c6", 1, -1, "x@example.org");
    create(&w, "c7", "", "not an address");
    create(&w, "c8", "Byron", "byron@example.org");
    update(&w, "c9", 2, -1, "ADA@example.org");
    open_service(&w);
    CHECK(turn(&w) == 9);
    CHECK(turn(&w) == 0);
    CHECK(w.events == 9);
    expect_history(
        &w,
        "ProspectCreated prospect/1 1; CommandRejected command/c2 0 duplicate_email email:duplicate_email; "
        "ProspectUpdated prospect/1 2; CommandRejected command/c4 0 version_conflict; "
        "CommandRejected command/c5 0 not_found; CommandRejected command/c6 0 not_found; "
        "CommandRejected command/c7 0 invalid lastName:required email:invalid_email; "
        "ProspectCreated prospect/2 1; "
        "CommandRejected command/c9 0 duplicate_email email:duplicate_email; ");
    CHECK(number(w.db, "SELECT count(*) FROM command_done") == 9);
    CHECK(number(w.db, "SELECT count(*) FROM prospect WHERE email = 'ada@example.org' AND version = 2") == 1);
    world_close(&w);
}

/* Two prospects become one: both events in their order, in one transaction; the address of the one that goes
 * is free, and nobody changes it any more. */
static void merges(void) {
    World w = world_open();
    create(&w, "c1", "Lovelace", "ada@example.org");
    create(&w, "c2", "King", "king@example.org");
    merge(&w, "m1", 1, 2, 2, 0);  /* not this version */
    merge(&w, "m2", 1, 1, 2, 9);  /* nor that one of the other */
    merge(&w, "m3", 1, 1, 1, 0);  /* into itself */
    merge(&w, "m4", 1, 1, 77, 0); /* with nobody */
    merge(&w, "m5", 77, 1, 1, 0);
    merge(&w, "m6", 1, 1, 2, 1);
    merge(&w, "m7", 1, 2, 2, 0);  /* it has gone already */
    merge(&w, "m8", 2, -1, 1, 0); /* and takes nobody in */
    update(&w, "u1", 2, -1, "x@example.org");
    create(&w, "c3", "Byron", "KING@example.org"); /* the address is free */
    update(&w, "u2", 1, 2, "ada@example.org");
    open_service(&w);
    CHECK(turn(&w) == 13);
    CHECK(w.events == 14);
    expect_history(&w,
                   "ProspectCreated prospect/1 1; ProspectCreated prospect/2 1; "
                   "CommandRejected command/m1 0 version_conflict expectedVersion:version_conflict; "
                   "CommandRejected command/m2 0 version_conflict mergedExpectedVersion:version_conflict; "
                   "CommandRejected command/m3 0 invalid mergedProspectId:invalid_id; "
                   "CommandRejected command/m4 0 not_found mergedProspectId:not_found; "
                   "CommandRejected command/m5 0 not_found prospectId:not_found; "
                   "ProspectMerged prospect/2 2; ProspectUpdated prospect/1 2; "
                   "CommandRejected command/m7 0 not_found mergedProspectId:not_found; "
                   "CommandRejected command/m8 0 not_found prospectId:not_found; "
                   "CommandRejected command/u1 0 not_found; "
                   "ProspectCreated prospect/3 1; ProspectUpdated prospect/1 3; ");
    CHECK(number(w.db, "SELECT merged_into FROM prospect WHERE prospect_id = 2 AND email = ''") == 1);
    CHECK(number(w.db, "SELECT prospect_id FROM prospect_email WHERE email_key = 'king@example.org'") == 3);
    CHECK(number(w.db, "SELECT count(*) FROM prospect_email") == 2);
    CHECK(number(w.db, "SELECT count(*) FROM command_done") == 13);
    world_close(&w);
}

/* Where a merge fails halfway, nothing of it stays: neither a tombstone nor the first of its events. */
static void merge_is_one_thing(void) {
    World w = world_open();
    create(&w, "c1", "Lovelace", "ada@example.org");
    create(&w, "c2", "King", "king@example.org");
    open_service(&w);
    CHECK(turn(&w) == 2);
    make_trigger(&w, "INSERT ON outbox", "NEW.subject = 'prospect/1'", true);
    merge(&w, "m1", 1, 1, 2, 1);
    CHECK(turn(&w) == 1);
    CHECK(number(w.db, "SELECT count(*) FROM prospect WHERE version = 1 AND merged_into = 0") == 2);
    CHECK(number(w.db, "SELECT count(*) FROM outbox") == 2);
    CHECK(number(w.db, "SELECT count(*) FROM prospect_email") == 2);
    drop_trigger(&w, "outbox");
    CHECK(turn_when_due(&w) == 1);
    expect_history(&w, "ProspectCreated prospect/1 1; ProspectCreated prospect/2 1; "
                       "ProspectMerged prospect/2 2; ProspectUpdated prospect/1 2; ");
    world_close(&w);
}

/* A worker of another lane has changed one of the two between this command's reading and its writing, so that
 * its write finds no row of that version (a trigger does that here): all of the merge is undone, and it is
 * tried again. */
static void merge_meets_another_lane(void) {
    static const char *const LANES[] = {"NEW.prospect_id = 1", "NEW.prospect_id = 2"};
    World w = world_open();
    create(&w, "c1", "Lovelace", "ada@example.org");
    create(&w, "c2", "King", "king@example.org");
    open_service(&w);
    CHECK(turn(&w) == 2);
    merge(&w, "m1", 1, 1, 2, 1);
    for (size_t i = 0; i < COUNT(LANES); i++) {
        make_trigger(&w, "UPDATE ON prospect", LANES[i], false);
        CHECK(turn_when_due(&w) == 1);
        CHECK(number(w.db, "SELECT count(*) FROM outbox") == 2); /* neither event of the merge */
        CHECK(number(w.db, "SELECT count(*) FROM prospect WHERE version = 1 AND merged_into = 0") == 2);
        CHECK(number(w.db, "SELECT count(*) FROM prospect_email") == 2);
        drop_trigger(&w, "prospect");
    }
    CHECK(turn_when_due(&w) == 1);
    expect_history(&w, "ProspectCreated prospect/1 1; ProspectCreated prospect/2 1; "
                       "ProspectMerged prospect/2 2; ProspectUpdated prospect/1 2; ");
    world_close(&w);
}

/* The same command twice, and once more after everything has come to pass. */
static void merge_once(void) {
    World w = world_open();
    create(&w, "c1", "Lovelace", "ada@example.org");
    create(&w, "c2", "King", "king@example.org");
    merge(&w, "m1", 1, 1, 2, 1);
    open_service(&w);
    QueueMessage *m;
    size_t count;
    Err err = {0};
    REQUIRE(CHECK_OK(queue_claim(w.receiver, 10, 30000, &m, &count, &err), &err));
    REQUIRE(count == 3);
    AUTO(Handlers) h = handlers_new(w.db);
    Handled results[3];
    for (int i = 0; i < 2; i++) {
        CHECK_OK(handlers_run(h, m, count, results, &err), &err);
        CHECK(results[2].as == HANDLED_DONE && results[2].events == (i ? 0 : 2));
    }
    expect_history(&w, "ProspectCreated prospect/1 1; ProspectCreated prospect/2 1; "
                       "ProspectMerged prospect/2 2; ProspectUpdated prospect/1 2; ");
    h = handlers_free(h);
    world_close(&w);
}

/* What can never be handled goes to the dead letter at once, and the rest of the batch goes on. */
static void hopeless(void) {
    World w = world_open();
    put_raw(&w, "bad1", "k", SPAN("\xff\xff\xff"), 1);
    Events__V1__CommandEnvelope e = EVENTS__V1__COMMAND_ENVELOPE__INIT;
    static const struct {
        const char *id, *type, *tenant, *data;
    } CASES[] = {{"bad2", "DropTables", "t", ""},
                 {"bad3", "ProspectCreated", "t", ""},
                 {"bad4", "CreateProspect", "t", "\x0a\x7fx"},
                 {"bad5", "CreateProspect", "", ""}};
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO_BUF body = {0};
        e.command_id = (char *)CASES[i].id;
        e.command_type = (char *)CASES[i].type;
        e.tenant_id = (char *)CASES[i].tenant;
        e.data = (ProtobufCBinaryData){strlen(CASES[i].data), (uint8_t *)CASES[i].data};
        message_pack(&e.base, &body);
        put_raw(&w, CASES[i].id, "k", buf_view(&body), 1);
    }
    create(&w, "good", "Lovelace", "ada@example.org");
    open_service(&w);
    CHECK(turn(&w) == 6);
    expect_history(&w, "ProspectCreated prospect/1 1; ");
    char url[256];
    bool file = test_engine() == DB_SQLITE;
    snprintf(url, sizeof url, "sqlite:%s/db/queue-marks.db", w.home);
    Err err = {0};
    AUTO(Db) marks = test_db_open(file ? url : w.write_url, (DbOptions){.read_only = true});
    static const char *const REASONS[] = {"undecodable_envelope", "unknown_command_type",
                                          "unknown_command_type", "undecodable_command",
                                          "undecodable_envelope"};
    Stmt *s = db_statement(marks, file ? "SELECT reason FROM queue_mark WHERE state = 2 ORDER BY queue_id"
                                       : "SELECT reason FROM queue_dead ORDER BY queue_id");
    REQUIRE(stmt_run(s, NULL, &err));
    size_t i = 0;
    for (; stmt_row(s, &err); i++) CHECK_SPAN(stmt_text(s, 0), i < COUNT(REASONS) ? REASONS[i] : "");
    CHECK(i == COUNT(REASONS));
    world_close(&w);
}

/* The crash between write.db's commit and the queue's marks: the batch comes again and has no second effect.
 */
static void crash_before_settling(void) {
    World w = world_open();
    create(&w, "c1", "Lovelace", "ada@example.org");
    create(&w, "c2", "King", "ADA@example.org");
    open_service(&w);
    QueueMessage *m;
    size_t count;
    Err err = {0};
    REQUIRE(CHECK_OK(queue_claim(w.receiver, 10, 30000, &m, &count, &err), &err));
    REQUIRE(count == 2);
    AUTO(Handlers) h = handlers_new(w.db);
    Handled results[2];
    CHECK_OK(handlers_run(h, m, count, results, &err), &err);
    CHECK(results[0].as == HANDLED_DONE && results[0].events == 1 && results[1].as == HANDLED_DONE &&
          results[1].events == 1);
    h = handlers_free(h);
    close_service(&w); /* nothing was completed */
    open_service(&w);
    while (turn(&w)) continue;
    CHECK(w.events == 0);
    expect_history(
        &w,
        "ProspectCreated prospect/1 1; CommandRejected command/c2 0 duplicate_email email:duplicate_email; ");
    close_service(&w);
    open_service(&w);
    CHECK(turn(&w) == 0);
    world_close(&w);
}

static void same_id_other_body(void) {
    World w = world_open();
    create(&w, "c1", "Lovelace", "ada@example.org");
    open_service(&w);
    CHECK(turn(&w) == 1);
    /* as a queue would deliver it that cannot look for ids: the key of the row differs, the command's id does
     * not */
    Events__V1__CreateProspect c = EVENTS__V1__CREATE_PROSPECT__INIT;
    c.first_name = c.last_name = (char *)"Other";
    c.email = (char *)"other@example.org";
    REQUIRE(
        db_execute(w.queue, "UPDATE command_queue SET command_id = 'moved' WHERE command_id = 'c1'", NULL));
    put(&w, "c1", "CreateProspect", "t", &c.base);
    CHECK(turn(&w) == 1);
    expect_history(&w, "ProspectCreated prospect/1 1; CommandRejected command/c1 0 idempotency_conflict; ");
    CHECK(number(w.db, "SELECT count(*) FROM command_done") == 1);
    world_close(&w);
}

static void poison(World *w) {
    make_trigger(w, "INSERT ON prospect_email", "NEW.email_key LIKE 'poison%'", true);
}

/* A command that fails by itself: undone whole, tried five times within two seconds, then dead; others go on.
 */
static void failing_command(void) {
    World w = world_open();
    create(&w, "c1", "Lovelace", "ada@example.org");
    create(&w, "c2", "Poison", "poison@example.org");
    create(&w, "c3", "Byron", "byron@example.org");
    open_service(&w);
    poison(&w);
    int64_t start = clock_mono_us();
    CHECK(turn(&w) == 3);
    expect_history(&w, "ProspectCreated prospect/1 1; ProspectCreated prospect/2 1; ");
    CHECK(number(w.db, "SELECT count(*) FROM prospect") == 2);
    int tries = 1;
    int64_t waited_ms = 0; /* the machine's own slowness is not the queue's */
    while (clock_mono_us() - start < 30000000) {
        int64_t wait;
        bool only_wait;
        size_t handled = command_loop_turn(w.loop, &wait, &only_wait);
        if (handled)
            tries++;
        else if (wait < 0)
            break;
        else
            clock_sleep_ms(wait = wait > 0 ? wait : 1), waited_ms += wait;
    }
    CHECK(tries == QUEUE_TRIES);
    CHECK(waited_ms < 2000);
    QueueReader *reader = NULL;
    Err err = {0};
    QueueState state;
    char correlation[160];
    REQUIRE(CHECK_OK(queue_reader_open(w.queue_url, w.home, &reader, &err), &err));
    CHECK_OK(queue_find(reader, SPAN("t"), SPAN("u"), SPAN("c2"), &state, correlation, &err), &err);
    CHECK(state == QUEUE_DEAD);
    queue_reader_free(reader);
    CHECK(number(w.db, "SELECT count(*) FROM command_done") == 2);
    world_close(&w);
}

/* Claims all that waits (of a server's lanes those of the first key), and handles it as one batch. */
static size_t claim_all(World *w, QueueMessage **m) {
    size_t count;
    Err err = {0};
    REQUIRE(CHECK_OK(queue_claim(w->receiver, 1000, 30000, m, &count, &err), &err));
    return count;
}

/* The same delivery twice in one batch, and another body under its id. */
static void doubles_in_a_batch(void) {
    World w = world_open();
    create(&w, "c1", "Lovelace", "ada@example.org");
    open_service(&w);
    QueueMessage *m;
    Err err = {0};
    REQUIRE(claim_all(&w, &m) == 1);
    QueueMessage batch[] = {m[0], m[0], m[0], m[0]};
    batch[2].body_hash++;
    Handled results[COUNT(batch)];
    AUTO(Handlers) h = handlers_new(w.db);
    CHECK_OK(handlers_run(h, batch, COUNT(batch), results, &err), &err);
    static const size_t EVENTS[] = {1, 0, 1, 0};
    for (size_t i = 0; i < COUNT(batch); i++)
        CHECK(results[i].as == HANDLED_DONE && results[i].events == EVENTS[i]);
    expect_history(&w, "ProspectCreated prospect/1 1; CommandRejected command/c1 0 idempotency_conflict; ");
    CHECK(number(w.db, "SELECT count(*) FROM command_done") == 1);
    h = handlers_free(h);
    world_close(&w);
}

/* One id of two tenants, and of two users of one: four commands, four effects, whenever they come again. */
static void one_id_of_several_people(void) {
    static const struct {
        const char *tenant, *user;
    } PEOPLE[] = {{"t", "u"}, {"other", "u"}, {"t", "v"}, {"tu", ""}};
    World w = world_open();
    open_service(&w);
    QueueMessage batch[COUNT(PEOPLE)] = {0};
    Buf bodies[COUNT(PEOPLE)] = {0};
    for (size_t i = 0; i < COUNT(PEOPLE); i++) {
        AUTO_BUF data = {0};
        char email[32];
        snprintf(email, sizeof email, "%zu@example.org", i);
        Events__V1__CreateProspect c = EVENTS__V1__CREATE_PROSPECT__INIT;
        c.first_name = c.last_name = (char *)"Ada";
        c.email = email;
        message_pack(&c.base, &data);
        Events__V1__CommandEnvelope e = EVENTS__V1__COMMAND_ENVELOPE__INIT;
        e.command_id = (char *)"c1";
        e.command_type = (char *)"CreateProspect";
        e.tenant_id = (char *)PEOPLE[i].tenant;
        e.issued_by = (char *)PEOPLE[i].user;
        e.data = (ProtobufCBinaryData){data.len, (uint8_t *)data.at};
        message_pack(&e.base, &bodies[i]);
        batch[i] =
            (QueueMessage){.queue_id = 1, .deliveries = 1, .body = buf_view(&bodies[i]), .body_hash = i};
    }
    AUTO(Handlers) h = handlers_new(w.db);
    for (size_t again = 0; again < 2; again++) {
        Handled results[COUNT(PEOPLE)];
        Err err = {0};
        CHECK_OK(handlers_run(h, batch, COUNT(PEOPLE), results, &err), &err);
        for (size_t i = 0; i < COUNT(PEOPLE); i++)
            CHECK(results[i].as == HANDLED_DONE && results[i].events == !again);
    }
    CHECK(number(w.db, "SELECT count(*) FROM command_done WHERE command_id = 'c1'") == COUNT(PEOPLE));
    CHECK(number(w.db, "SELECT count(*) FROM prospect") == COUNT(PEOPLE));
    for (size_t i = 0; i < COUNT(PEOPLE); i++) buf_free(&bodies[i]);
    h = handlers_free(h);
    world_close(&w);
}

/* Each command sees what those before it in the batch have done, and is written as if it had been alone. */
static void commands_of_one_entity(void) {
    World w = world_open();
    create(&w, "c1", "Lovelace", "a@example.org");
    update(&w, "u1", 1, 1, "b@example.org");
    create(&w, "c2", "Byron", "A@example.org"); /* the address has just become free */
    update(&w, "u2", 1, 2, "a@EXAMPLE.org");    /* and is not any more */
    update(&w, "u3", 1, -1, "c@example.org");
    update(&w, "u4", 2, 1, "b@example.org");
    update(&w, "u5", 2, 2, "a@example.org"); /* back again */
    merge(&w, "m1", 2, 3, 1, 3);
    create(&w, "c3", "King", "c@example.org");
    open_service(&w);
    CHECK(turn(&w) == 9);
    expect_history(
        &w,
        "ProspectCreated prospect/1 1; ProspectUpdated prospect/1 2; ProspectCreated prospect/2 1; "
        "CommandRejected command/u2 0 duplicate_email email:duplicate_email; ProspectUpdated prospect/1 3; "
        "ProspectUpdated prospect/2 2; ProspectUpdated prospect/2 3; ProspectMerged prospect/1 4; "
        "ProspectUpdated prospect/2 4; ProspectCreated prospect/3 1; ");
    CHECK(number(w.db, "SELECT count(*) FROM prospect_email") == 2);
    CHECK(number(w.db, "SELECT prospect_id FROM prospect_email WHERE email_key = 'a@example.org'") == 2);
    CHECK(number(w.db, "SELECT prospect_id FROM prospect_email WHERE email_key = 'c@example.org'") == 3);
    CHECK(number(w.db, "SELECT count(*) FROM prospect WHERE version = 4") == 2);
    update(&w, "u6", 2, 4, "d@example.org"); /* and now over what is stored */
    update(&w, "u7", 2, 5, "a@example.org");
    update(&w, "u8", 3, 1, "d@example.org");
    CHECK(turn(&w) == 3);
    CHECK(number(w.db, "SELECT prospect_id FROM prospect_email WHERE email_key = 'a@example.org'") == 2);
    CHECK(number(w.db, "SELECT prospect_id FROM prospect_email WHERE email_key = 'd@example.org'") == 3);
    CHECK(number(w.db, "SELECT version FROM prospect WHERE prospect_id = 2") == 6);
    world_close(&w);
}

/* One of 256 that no engine takes: it alone fails, and what is behind it by its key is left. */
static void poison_in_a_batch(void) {
    enum { COMMANDS = 256, BAD = 100, BEHIND = 101 };
    World w = world_open();
    REQUIRE(db_begin(w.queue, NULL));
    for (int i = 0; i < COMMANDS; i++) {
        char id[16], email[48];
        snprintf(id, sizeof id, "c%d", i);
        snprintf(email, sizeof email, "%s.%d@example.org", i == BAD ? "poison" : "person", i);
        create(&w, id, "Lovelace", email);
    }
    REQUIRE(db_commit(w.queue, NULL));
    open_service(&w);
    poison(&w);
    QueueMessage *m;
    Err err = {0};
    REQUIRE(claim_all(&w, &m) == COMMANDS);
    m[BEHIND].key = m[BAD].key;
    static Handled results[COMMANDS];
    AUTO(Handlers) h = handlers_new(w.db);
    for (int again = 0; again < 2; again++) {
        CHECK_OK(handlers_run(h, m, COMMANDS, results, &err), &err);
        size_t done = 0;
        for (int i = 0; i < COMMANDS; i++)
            done += results[i].as == HANDLED_DONE && results[i].events == !again;
        CHECK(done == COMMANDS - 2);
        CHECK(results[BAD].as == HANDLED_FAILED && results[BEHIND].as == HANDLED_BEHIND);
    }
    CHECK(number(w.db, "SELECT count(*) FROM prospect") == COMMANDS - 2);
    CHECK(number(w.db, "SELECT count(*) FROM outbox") == COMMANDS - 2);
    CHECK(number(w.db, "SELECT count(*) FROM command_done") == COMMANDS - 2);
    h = handlers_free(h);
    world_close(&w);
}

/* Commands of one key keep their order although the first needs more than one try. */
static void order_behind_a_failing_one(void) {
    World w = world_open();
    create(&w, "c1", "Poison", "poison@example.org");
    create(&w, "c2", "Lovelace", "ada@example.org");
    create(&w, "c3", "Byron", "byron@example.org");
    REQUIRE(db_execute(w.queue, "UPDATE command_queue SET ordering_key = 'same' WHERE queue_id < 3", NULL));
    if (test_engine() != DB_SQLITE)
        test_db_run(w.queue, "UPDATE queue_ready SET ordering_key = 'same' WHERE queue_id < 3");
    open_service(&w);
    poison(&w);
    CHECK(turn(&w) == 3);
    expect_history(&w, "ProspectCreated prospect/1 1; ");
    turn(&w); /* whether the next try of c1 is due already or not */
    expect_history(&w, "ProspectCreated prospect/1 1; ");
    drop_trigger(&w, "prospect_email");
    for (int i = 0; i < 5 && number(w.db, "SELECT count(*) FROM prospect") < 3; i++) turn_when_due(&w);
    static const char PLACE[] = "SELECT count(*) FROM prospect WHERE prospect_id <="
                                " (SELECT prospect_id FROM prospect WHERE email LIKE '%s%%')";
    char sql[160];
    snprintf(sql, sizeof sql, PLACE, "poison");
    CHECK(number(w.db, sql) == 2);
    snprintf(sql, sizeof sql, PLACE, "ada");
    CHECK(number(w.db, sql) == 3);
    world_close(&w);
}

/* The database is out: nothing is tried, nothing is lost, and no try is counted however long it takes. */
static void outage(void) {
    World w = world_open();
    create(&w, "c1", "Lovelace", "ada@example.org");
    open_service(&w);
    AUTO(Db) other = test_db_open(w.write_url, (DbOptions){0});
    Err err = {0};
    REQUIRE(CHECK_OK(db_begin(other, &err), &err));
    if (test_engine() != DB_SQLITE) test_db_run(other, "LOCK TABLE prospect_email IN ACCESS EXCLUSIVE MODE");
    for (int i = 0; i < QUEUE_TRIES + 2; i++) {
        int64_t wait = -1;
        bool only_wait = false;
        CHECK(command_loop_turn(w.loop, &wait, &only_wait) == 0);
        CHECK(only_wait && wait > 0 && wait <= 5000);
    }
    db_rollback(other);
    CHECK(turn(&w) == 1);
    expect_history(&w, "ProspectCreated prospect/1 1; ");
    world_close(&w);
}

/* kill -9 at any moment, again and again: every command has exactly one effect. */
static void killed(void) {
    enum { MOST = 3000, KILLS = 8 };
    World w = world_open();
    const int COMMANDS = test_engine() == DB_SQLITE ? MOST : MOST / 5; /* each a few round trips */
    REQUIRE(db_begin(w.queue, NULL));
    for (int i = 0; i < COMMANDS; i++) {
        char id[48], email[48];
        snprintf(id, sizeof id, "c%d", i);
        snprintf(email, sizeof email, "person.%d@example.org", i);
        create(&w, id, "Lovelace", email);
    }
    REQUIRE(db_commit(w.queue, NULL));
    for (int i = 0; i < KILLS; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            open_service(&w);
            while (turn(&w)) continue;
            pause();
        }
        clock_sleep_ms(15 + i * 7 % 40);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    open_service(&w);
    while (turn(&w)) continue;
    CHECK(number(w.db, "SELECT count(*) FROM prospect") == COMMANDS);
    CHECK(number(w.db, "SELECT count(*) FROM prospect_email") == COMMANDS);
    CHECK(number(w.db, "SELECT count(*) FROM command_done") == COMMANDS);
    CHECK(number(w.db, "SELECT count(DISTINCT subject) FROM outbox WHERE subject_version = 1") == COMMANDS);
    CHECK(number(w.db, "SELECT count(*) FROM outbox") == COMMANDS);
    world_close(&w);
}

SUITE_ON_ENGINES("handlers", TEST(one_batch), TEST(merges), TEST(merge_is_one_thing),
                 TEST(merge_meets_another_lane), TEST(merge_once), TEST(hopeless),
                 TEST(crash_before_settling), TEST(same_id_other_body), TEST(doubles_in_a_batch),
                 TEST(one_id_of_several_people), TEST(commands_of_one_entity), TEST(failing_command),
                 TEST(poison_in_a_batch), TEST(order_behind_a_failing_one), TEST(outage), TEST(killed));
