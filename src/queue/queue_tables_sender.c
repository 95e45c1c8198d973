/* queue_tables_sender.c - commands that arrive together share one commit.
 *
 * Promise:   QUEUE_ACCEPTED is said after a durable commit (synchronous=FULL), never before; so is every
 *            other verdict that speaks of a stored command, because a repeat may stand in the same batch as
 *            its first.
 * Shape:     a chunk of commands is one INSERT ... ON CONFLICT DO NOTHING, which store/given.h is given; only
 *            where fewer rows went in than were sent are the keys looked up to tell repeats from conflicts.
 * Crash:     a command that is stored but not answered is sent again by its client and found as a repeat.
 */
#include "queue/queue_driver.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/uuid.h"
#include "queue/queue_memory.h"
#include "store/given.h"
#include <stdio.h>

/* CHUNK_BYTES: of bodies, so that a statement stays within what a server likes to read. */
enum { CHUNK_BYTES = 4 << 20, BUSY_TRIES = 6, BUSY_PAUSE_MS = 100, START_MS = 30000 };

typedef struct TablesSender {
    QueueSendEngine base;
    Db *db;
    Given *rows;
    QueueMemory memory;
    bool broken; /* the last batch failed: look at the connection before the next */
} TablesSender;

#define KEY "tenant_id, issued_by, command_id"
#define COLUMNS                                                                                              \
    "tenant_id, issued_by, command_id, body_hash, ordering_key, lane, body, correlation_id, accepted_at"
#define INSERT(rows) "INSERT INTO command_queue (" COLUMNS ") " rows " ON CONFLICT (" KEY ") DO NOTHING"
#define LINE_UP                                                                                              \
    "INSERT INTO queue_ready (queue_id, lane, ordering_key, deliveries, locked, delayed, visible_at)"
/* Where others send too, the statement itself must tell which rows it has added; and it puts them in line. How
 * many there are is told always, which there are where some of those that were given are missing. */
static const char INSERT_AND_TELL[] = "WITH given AS ({given}), added AS (" INSERT(
    "SELECT * FROM given") " RETURNING queue_id, lane, " KEY ", ordering_key), ready AS (" LINE_UP
                           " SELECT queue_id, lane, tenant_id || chr(10) || ordering_key, 0, 0, 0, 0"
                           " FROM added) SELECT c.n, a.tenant_id, a.issued_by, a.command_id FROM (SELECT"
                           " count(*) AS n FROM added) c LEFT JOIN added a ON c.n < (SELECT count(*) FROM"
                           " given)";
/* The same: of each key the first of the rows that were given, in the order in which they were: their ids say it. A
 * MERGE would give the ids in any order. */
static const char ADD_AND_TELL[] =
    "SET NOCOUNT ON; DECLARE @given TABLE (nth INTEGER IDENTITY(1, 1), tenant_id {name}, issued_by {name},"
    " command_id {name}, body_hash BIGINT, ordering_key {name}, lane INTEGER, body {bytes}, correlation_id"
    " {name}, accepted_at BIGINT); DECLARE @added TABLE (queue_id BIGINT, lane INTEGER, tenant_id {name},"
    " issued_by {name}, command_id {name}, ordering_key {name}); INSERT INTO @given (" COLUMNS
    ") {given} ORDER BY nth; INSERT INTO command_queue (" COLUMNS ") OUTPUT inserted.queue_id, inserted.lane,"
    " inserted.tenant_id, inserted.issued_by, inserted.command_id, inserted.ordering_key INTO @added"
    " SELECT " COLUMNS " FROM (SELECT *, row_number() OVER (PARTITION BY " KEY " ORDER BY nth) AS turn"
    " FROM @given) AS n WHERE turn = 1 AND NOT EXISTS (SELECT 1 FROM command_queue AS q"
    " WITH (UPDLOCK, HOLDLOCK) WHERE q.tenant_id = n.tenant_id AND q.issued_by = n.issued_by"
    " AND q.command_id = n.command_id) ORDER BY nth; " LINE_UP
    " SELECT queue_id, lane, tenant_id + CHAR(10) + ordering_key, 0, 0, 0, 0 FROM @added;"
    " SELECT c.n, a.tenant_id, a.issued_by, a.command_id FROM (SELECT count(*) AS n FROM"
    " @added) c LEFT JOIN @added a ON c.n < (SELECT count(*) FROM @given)";

static const GivenShape COMMANDS = {
    .sql = {.sqlite = INSERT("{given}"), .postgresql = INSERT_AND_TELL, .sqlserver = ADD_AND_TELL},
    .columns = "kkkikibki"};

static void give_row(Given *rows, const QueueSend *send, int64_t now) {
    given_text(rows, send->tenant_id);
    given_text(rows, send->issued_by);
    given_text(rows, send->command_id);
    given_int(rows, (int64_t)send->body_hash);
    given_text(rows, send->ordering_key);
    given_int(rows, (int64_t)(hash_stable(send->ordering_key) % QUEUE_LANES));
    given_blob(rows, send->body);
    given_text(rows, span_of(send->correlation_id));
    given_int(rows, now);
}

static bool last_id(Db *db, int64_t *ret, Err *err) {
    Stmt *s = db_statement(db, "SELECT coalesce(max(queue_id), 0) FROM command_queue");
    if (!stmt_run(s, NULL, err) || !stmt_row(s, err)) return false;
    *ret = stmt_int(s, 0);
    stmt_done(s);
    return true;
}

static bool same_key(const QueueSend *a, const QueueSend *b) {
    return span_equal(a->command_id, b->command_id) && span_equal(a->issued_by, b->issued_by) &&
           span_equal(a->tenant_id, b->tenant_id);
}

/* Tells the verdict of a send by the row that has its key. *queue_id (may be NULL): of that row. */
static bool look_up(Db *db, QueueSend *send, int64_t *queue_id, Err *err) {
    Stmt *s = db_statement(db, "SELECT queue_id, body_hash, correlation_id FROM command_queue"
                               " WHERE tenant_id = ? AND issued_by = ? AND command_id = ?");
    stmt_bind_text(s, 1, send->tenant_id);
    stmt_bind_text(s, 2, send->issued_by);
    stmt_bind_text(s, 3, send->command_id);
    if (!stmt_run(s, NULL, err)) return false;
    if (!stmt_row(s, err))
        return err_set(err, &ERR_DB_BUSY, "queue: a stored command has gone meanwhile"); /* it was old */
    int64_t id = stmt_int(s, 0);
    if (queue_id) *queue_id = id;
    send->verdict = (uint64_t)stmt_int(s, 1) == send->body_hash ? QUEUE_REPEATED : QUEUE_CONFLICT;
    Span correlation = stmt_text(s, 2);
    snprintf(send->first_correlation_id, sizeof send->first_correlation_id, "%.*s", SPAN_ARGS(correlation));
    stmt_done(s);
    return true;
}

/* A row above `before` came from this chunk: it is that of the first send with this key. */
static bool judge(Db *db, QueueSend **sends, size_t at, int64_t before, Err *err) {
    int64_t queue_id;
    if (!look_up(db, sends[at], &queue_id, err)) return false;
    bool first = queue_id > before;
    for (size_t i = 0; first && i < at; i++) first = !same_key(sends[i], sends[at]);
    if (first) sends[at]->verdict = QUEUE_ACCEPTED;
    return true;
}

/* Of the sends of one statement. */
typedef struct Chunk {
    QueueSend **sends;
    size_t count;
} Chunk;

static bool store_in_file(TablesSender *sender, const Chunk *chunk, Err *err) {
    int64_t stored, before;
    if (!last_id(sender->db, &before, err) || !given_run(sender->rows, &stored, err)) return false;
    for (size_t i = 0; i < chunk->count; i++) chunk->sends[i]->verdict = QUEUE_ACCEPTED;
    if (stored == (int64_t)chunk->count) return true;
    for (size_t i = 0; i < chunk->count; i++)
        if (!judge(sender->db, chunk->sends, i, before, err)) return false;
    return true;
}

static void take_added(void *user, Stmt *s) {
    const Chunk *chunk = user;
    size_t added = (size_t)stmt_int(s, 0);
    QueueSend one = {
        .tenant_id = stmt_text(s, 1), .issued_by = stmt_text(s, 2), .command_id = stmt_text(s, 3)};
    for (size_t i = 0; i < chunk->count && added; i++) {
        if (added < chunk->count && !same_key(chunk->sends[i], &one)) continue;
        chunk->sends[i]->verdict = QUEUE_ACCEPTED;
        if (added < chunk->count) return; /* the first with this key */
    }
}

static bool store_on_server(TablesSender *sender, Chunk *chunk, Err *err) {
    if (!given_read(sender->rows, take_added, chunk, err)) return false;
    for (size_t i = 0; i < chunk->count; i++)
        if (chunk->sends[i]->verdict != QUEUE_ACCEPTED && !look_up(sender->db, chunk->sends[i], NULL, err))
            return false;
    return true;
}

/* As many as go into one statement; the rest is left in *sends. */
static Chunk give_chunk(TablesSender *sender, QueueSend **sends, size_t count) {
    Chunk chunk = {.sends = sends};
    int64_t now = clock_now_us();
    given_clear(sender->rows);
    for (size_t bytes = 0; chunk.count < count && bytes < CHUNK_BYTES; chunk.count++) {
        QueueSend *send = sends[chunk.count];
        give_row(sender->rows, send, now);
        send->verdict = QUEUE_FAILED;
        bytes += send->body.len;
    }
    return chunk;
}

static bool store_all(TablesSender *sender, QueueSend **sends, size_t count, Err *err) {
    bool file = db_dialect(sender->db) == DB_SQLITE, stored = true;
    if (!db_begin(sender->db, err)) return false;
    for (size_t at = 0; stored && at < count;) {
        Chunk chunk = give_chunk(sender, sends + at, count - at);
        stored = file ? store_in_file(sender, &chunk, err) : store_on_server(sender, &chunk, err);
        at += chunk.count;
    }
    if (stored) return db_commit(sender->db, err);
    db_rollback(sender->db);
    return false;
}

/* Those who have met go on at different times, or they meet again. */
static void pause_somewhat(void) {
    uint32_t random;
    random_bytes(&random, sizeof random);
    clock_sleep_ms(random % BUSY_PAUSE_MS);
}

static bool store(void *engine, QueueSend **sends, size_t count) {
    TablesSender *sender = engine;
    Err err = {0};
    bool stored = false;
    for (int tries = 0; !stored && tries < BUSY_TRIES; tries++) { /* two senders may meet in the same keys */
        if (tries) pause_somewhat();
        err_clear(&err);
        stored = (!sender->broken || db_recover(sender->db, &err)) && store_all(sender, sends, count, &err);
        sender->broken = !stored;
        if (!err_is(&err, &ERR_DB_BUSY) || db_dialect(sender->db) == DB_SQLITE) break;
    }
    if (stored) return true;
    log_warn("commands not stored", LOG_INT("commands", count), LOG_ERR(&err));
    for (size_t i = 0; i < count; i++) {
        sends[i]->verdict = QUEUE_FAILED;
        sends[i]->err = err;
    }
    return false;
}

static bool clean(void *engine, int64_t before_us, bool *more, Err *err) {
    TablesSender *sender = engine;
    bool done = (!sender->broken || db_recover(sender->db, err)) &&
                queue_memory_clean(&sender->memory, sender->db, before_us, more, err);
    sender->broken = !done;
    return done;
}

static void *free_tables(void *engine) {
    TablesSender *sender = engine;
    given_free(sender->rows);
    db_free(sender->db);
    free(sender);
    return NULL;
}

static const QueueSendDriver TABLES = {.free = free_tables, .store = store, .clean = clean};

bool queue_tables_sender_open(const QueuePlace *place, QueueSendEngine **ret, Err *err) {
    TablesSender *sender = must(calloc(1, sizeof *sender));
    sender->base.driver = &TABLES;
    sender->memory.place = *place;
    *ret = &sender->base; /* freed by the caller, whole or not */
    if (!db_open_patiently(place->queue, (DbOptions){0}, START_MS, NULL, NULL, &sender->db, err))
        return false;
    sender->rows = given_new(sender->db, &COMMANDS);
    return queue_migrate(sender->db, err);
}
