/* queue_tables_sender.c - commands that arrive together share one commit.
 *
 * Promise:   QUEUE_ACCEPTED is said after a durable commit (synchronous=FULL), never before; so is every
 *            other verdict that speaks of a stored command, because a repeat may stand in the same batch as
 *            its first.
 * Shape:     a chunk of commands is one INSERT ... ON CONFLICT DO NOTHING; only where fewer rows went in
 *            than were sent are the keys looked up to tell repeats from conflicts.
 * Crash:     a command that is stored but not answered is sent again by its client and found as a repeat.
 */
#include "queue/queue_driver.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/uuid.h"
#include "queue/queue_memory.h"
#include <stdio.h>

enum { COLUMNS = 9, BUSY_TRIES = 6, BUSY_PAUSE_MS = 100, START_MS = 30000 };

typedef struct TablesSender {
    QueueSendEngine base;
    Db *db;
    QueueMemory memory;
    bool broken; /* the last batch failed: look at the connection before the next */
} TablesSender;

#define ROW    "(?, ?, ?, ?, ?, ?, ?, ?, ?)"
#define ROWS_8 ROW "," ROW "," ROW "," ROW "," ROW "," ROW "," ROW "," ROW
#define INSERT(rows)                                                                                         \
    "INSERT INTO command_queue (tenant_id, issued_by, command_id, body_hash, ordering_key, lane, body,"      \
    " correlation_id, accepted_at) VALUES " rows                                                             \
    " ON CONFLICT (tenant_id, issued_by, command_id) DO NOTHING"
/* Where others send too, the statement itself must tell which rows it has added; and it puts them in line. */
#define INSERT_AND_TELL(rows)                                                                                \
    "WITH added AS (" INSERT(                                                                                \
        rows) " RETURNING queue_id, lane, tenant_id, issued_by, command_id, ordering_key),"                  \
              " ready AS (INSERT INTO queue_ready (queue_id, lane, ordering_key, deliveries, locked, "       \
              "delayed, visible_at)"                                                                         \
              " SELECT queue_id, lane, tenant_id || chr(10) || ordering_key, 0, 0, 0, 0 FROM added)"         \
              " SELECT tenant_id, issued_by, command_id FROM added"

/* The same: MERGE sees of each key only the first of the rows that were given, which a table variable numbers. */
#define KEY "tenant_id, issued_by, command_id"
#define TYPES                                                                                                \
    " tenant_id {name}, issued_by {name}, command_id {name}, body_hash BIGINT, ordering_key {name},"         \
    " lane INTEGER, body {bytes}, correlation_id {name}, accepted_at BIGINT"
#define COLUMNS_OF(of)                                                                                       \
    of "tenant_id, " of "issued_by, " of "command_id, " of "body_hash, " of "ordering_key, " of "lane, " of  \
       "body, " of "correlation_id, " of "accepted_at"
#define MERGE_AND_TELL(rows)                                                                                 \
    "SET NOCOUNT ON; DECLARE @given TABLE (nth INTEGER IDENTITY(1, 1)," TYPES "); DECLARE @added TABLE ("    \
    "queue_id BIGINT, lane INTEGER, tenant_id {name}, issued_by {name}, command_id {name},"                  \
    " ordering_key {name}); INSERT INTO @given (" COLUMNS_OF(                                                \
        "") ") VALUES " rows                                                                                 \
            "; MERGE command_queue WITH (HOLDLOCK) AS q USING (SELECT * FROM (SELECT *, row_number() OVER"   \
            " (PARTITION BY " KEY                                                                            \
            " ORDER BY nth) AS turn FROM @given) g WHERE turn = 1) AS v ON q.tenant_id ="                    \
            " v.tenant_id AND q.issued_by = v.issued_by AND q.command_id = v.command_id WHEN NOT MATCHED "   \
            "THEN"                                                                                           \
            " INSERT (" COLUMNS_OF("") ") VALUES (" COLUMNS_OF(                                              \
                "v.") ") OUTPUT inserted.queue_id, inserted.lane,"                                           \
                      " inserted.tenant_id, inserted.issued_by, inserted.command_id, inserted.ordering_key " \
                      "INTO @added;"                                                                         \
                      " INSERT INTO queue_ready (queue_id, lane, ordering_key, deliveries, locked, "         \
                      "delayed, visible_at)"                                                                 \
                      " SELECT queue_id, lane, tenant_id + CHAR(10) + ordering_key, 0, 0, 0, 0 FROM @added;" \
                      " SELECT " KEY " FROM @added"

/* A few fixed sizes, so that each is prepared once; largest first. */
static const struct {
    size_t rows;
    SqlText sql;
} INSERTS[] = {
#define SIZE(n, rows)                                                                                        \
    {                                                                                                        \
        n, {                                                                                                 \
            .sqlite = INSERT(rows), .postgresql = INSERT_AND_TELL(rows), .sqlserver = MERGE_AND_TELL(rows)   \
        }                                                                                                    \
    }
    SIZE(32, ROWS_8 "," ROWS_8 "," ROWS_8 "," ROWS_8), SIZE(8, ROWS_8), SIZE(1, ROW)};

static void bind_row(Stmt *s, size_t row, const QueueSend *send, int64_t now) {
    int at = (int)(row * COLUMNS);
    stmt_bind_text(s, at + 1, send->tenant_id);
    stmt_bind_text(s, at + 2, send->issued_by);
    stmt_bind_text(s, at + 3, send->command_id);
    stmt_bind_int(s, at + 4, (int64_t)send->body_hash);
    stmt_bind_text(s, at + 5, send->ordering_key);
    stmt_bind_int(s, at + 6, (int64_t)(hash_stable(send->ordering_key) % QUEUE_LANES));
    stmt_bind_blob(s, at + 7, send->body);
    stmt_bind_text(s, at + 8, span_of(send->correlation_id));
    stmt_bind_int(s, at + 9, now);
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

static bool store_in_file(Db *db, Stmt *s, QueueSend **sends, size_t count, int64_t before, Err *err) {
    int64_t stored;
    if (!stmt_run(s, &stored, err)) return false;
    for (size_t i = 0; i < count; i++) sends[i]->verdict = QUEUE_ACCEPTED;
    if (stored == (int64_t)count) return true;
    for (size_t i = 0; i < count; i++)
        if (!judge(db, sends, i, before, err)) return false;
    return true;
}

static void accept_first(QueueSend **sends, size_t count, const QueueSend *added) {
    size_t i = 0;
    while (i < count && !same_key(sends[i], added)) i++;
    if (i < count) sends[i]->verdict = QUEUE_ACCEPTED;
}

static bool store_on_server(Db *db, Stmt *s, QueueSend **sends, size_t count, Err *err) {
    if (!stmt_run(s, NULL, err)) return false;
    while (stmt_row(s, err)) {
        QueueSend added = {
            .tenant_id = stmt_text(s, 0), .issued_by = stmt_text(s, 1), .command_id = stmt_text(s, 2)};
        accept_first(sends, count, &added);
    }
    if (err->kind) return false;
    for (size_t i = 0; i < count; i++)
        if (sends[i]->verdict != QUEUE_ACCEPTED && !look_up(db, sends[i], NULL, err)) return false;
    return true;
}

static bool store_chunk(Db *db, const SqlText *sql, QueueSend **sends, size_t count, Err *err) {
    int64_t before = 0, now = clock_now_us();
    bool server = db_dialect(db) != DB_SQLITE;
    if (!server && !last_id(db, &before, err)) return false;
    Stmt *s = db_statement(db, db_text(db, sql));
    for (size_t i = 0; i < count; i++) {
        bind_row(s, i, sends[i], now);
        sends[i]->verdict = QUEUE_FAILED;
    }
    return server ? store_on_server(db, s, sends, count, err)
                  : store_in_file(db, s, sends, count, before, err);
}

static bool store_all(Db *db, QueueSend **sends, size_t count, Err *err) {
    if (!db_begin(db, err)) return false;
    for (size_t at = 0, size = 0; at < count;) {
        while (INSERTS[size].rows > count - at) size++;
        if (!store_chunk(db, &INSERTS[size].sql, sends + at, INSERTS[size].rows, err)) {
            db_rollback(db);
            return false;
        }
        at += INSERTS[size].rows;
    }
    return db_commit(db, err);
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
        stored =
            (!sender->broken || db_recover(sender->db, &err)) && store_all(sender->db, sends, count, &err);
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
    return db_open_patiently(place->queue, (DbOptions){0}, START_MS, NULL, NULL, &sender->db, err) &&
           queue_migrate(sender->db, err);
}
