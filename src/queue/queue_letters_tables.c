/* queue_letters_tables.c - a dead letter of tables is the command's own row, and beside it why it is dead: on a server
 * in queue_dead, in files as a mark.
 *
 * Requeued, it goes into the queue first and out of the dead ones then. On a server that is one transaction, and it
 * keeps its id. Files are two, each with its own writer, who may be at work: the row gets a new id at the end of the
 * queue, where the receiver finds it as if it had just come, and then its old mark goes. Cut between the two, the old
 * mark is one of nobody, which the receiver's next start removes.
 *
 * A discarded command leaves no row, so that it is unknown from then on and never handled: its mark must say
 * "settled" where the receiver may read it again, above the floor. */
#include "queue/queue_letters_driver.h"

#include "events/v1/envelope.pb-c.h"

enum { LOCK_MS = 20000 }; /* others write these files, too */

typedef struct TablesLetters {
    QueueLetters base;
    bool server;
    Db *queue, *marks; /* marks: of files */
} TablesLetters;

static void *free_tables(void *letters) {
    TablesLetters *l = letters;
    db_free(l->queue);
    db_free(l->marks);
    free(l);
    return NULL;
}

/* --- looking --- */

#define COMMAND " c.requeues, c.tenant_id, c.issued_by, c.command_id, c.correlation_id, c.body"
#define ON_SERVER                                                                                            \
    "SELECT d.queue_id, d.dead_at, d.deliveries, d.reason," COMMAND " FROM queue_dead d"                     \
    " JOIN command_queue c ON c.queue_id = d.queue_id WHERE d.queue_id "
#define IN_FILES                                                                                             \
    "SELECT d.queue_id, d.dead_at, d.deliveries, d.reason," COMMAND " FROM marks.queue_mark d"               \
    " JOIN command_queue c ON c.queue_id = d.queue_id WHERE d.state = 2 AND d.queue_id "
static const SqlText LIST = {.sqlite = IN_FILES "> ? ORDER BY d.queue_id {limit}",
                             .postgresql = ON_SERVER "> ? ORDER BY d.queue_id {limit}",
                             .sqlserver = ON_SERVER "> ? ORDER BY d.queue_id {limit}"};
static const SqlText FIND = {
    .sqlite = IN_FILES "= ?", .postgresql = ON_SERVER "= ?", .sqlserver = ON_SERVER "= ?"};

static QueueLetter read_letter(Stmt *s) {
    QueueLetter letter = {
        .number = stmt_int(s, 0), .dead_at = stmt_int(s, 1), .deliveries = (int)stmt_int(s, 2)};
    letter.reason = stmt_text(s, 3);
    letter.requeues = (int)stmt_int(s, 4);
    letter.tenant_id = stmt_text(s, 5);
    letter.issued_by = stmt_text(s, 6);
    letter.command_id = stmt_text(s, 7);
    letter.correlation_id = stmt_text(s, 8);
    letter.body = stmt_blob(s, 9);
    return letter;
}

typedef Events__V1__CommandEnvelope Envelope;

static Envelope *unpack(Span body) {
    return events__v1__command_envelope__unpack(NULL, body.len, (const uint8_t *)body.at);
}

static bool list(void *letters, int64_t after, size_t most,
                 void (*each)(void *user, const QueueLetter *letter), void *user, Err *err) {
    TablesLetters *l = letters;
    Stmt *s = db_statement(l->queue, db_text(l->queue, &LIST));
    stmt_bind_int(s, 1, after);
    stmt_bind_int(s, 2, (int64_t)most);
    if (!stmt_run(s, NULL, err)) return false;
    while (stmt_row(s, err)) {
        QueueLetter letter = read_letter(s);
        Envelope *e = unpack(letter.body);
        letter.command_type = span_of(e ? e->command_type : "");
        each(user, &letter);
        if (e) events__v1__command_envelope__free_unpacked(e, NULL);
    }
    stmt_done(s);
    return !err->kind;
}

static bool get(void *letters, int64_t number, Arena *arena, QueueLetter *ret, Err *err) {
    TablesLetters *l = letters;
    Stmt *s = db_statement(l->queue, db_text(l->queue, &FIND));
    stmt_bind_int(s, 1, number);
    if (!stmt_run(s, NULL, err)) return false;
    if (!stmt_row(s, err)) return err->kind ? false : queue_letter_missing(err);
    *ret = read_letter(s);
    Envelope *e = unpack(ret->body);
    ret->command_type = span_of(e ? e->command_type : "");
    bool kept = queue_letter_keep(ret, arena, err);
    if (e) events__v1__command_envelope__free_unpacked(e, NULL);
    stmt_done(s);
    return kept;
}

/* --- deciding --- */

/* *changed may be NULL. */
static bool run(Db *db, const char *sql, int64_t number, int64_t *changed, Err *err) {
    Stmt *s = db_statement(db, sql);
    stmt_bind_int(s, 1, number);
    return stmt_run(s, changed, err);
}

static bool end(Db *db, bool done, Err *err) {
    done = done && db_commit(db, err);
    if (!done) db_rollback(db);
    return done;
}

static const SqlText READY = {
    .postgresql =
        "INSERT INTO queue_ready (queue_id, lane, ordering_key, deliveries, locked, delayed, visible_at)"
        " SELECT c.queue_id, c.lane, c.tenant_id || chr(10) || c.ordering_key, 0, 0, 0, 0"
        " FROM command_queue c WHERE c.queue_id = ?",
    .sqlserver =
        "INSERT INTO queue_ready (queue_id, lane, ordering_key, deliveries, locked, delayed, visible_at)"
        " SELECT c.queue_id, c.lane, c.tenant_id + CHAR(10) + c.ordering_key, 0, 0, 0, 0"
        " FROM command_queue c WHERE c.queue_id = ?"};

static bool requeue_on_server(Db *db, int64_t number, Err *err) {
    int64_t dead = 0;
    if (!db_begin(db, err)) return false;
    bool done =
        run(db, "DELETE FROM queue_dead WHERE queue_id = ?", number, &dead, err) &&
        (dead || queue_letter_missing(err)) && run(db, db_text(db, &READY), number, NULL, err) &&
        run(db, "UPDATE command_queue SET requeues = requeues + 1 WHERE queue_id = ?", number, NULL, err);
    return end(db, done, err);
}

/* It is settled, whatever is read again. */
static bool drop_mark(Db *marks, int64_t number, int64_t *changed, Err *err) {
    int64_t above = 0, below = 0;
    if (!run(marks,
             "UPDATE queue_mark SET state = 1 WHERE queue_id = ? AND state = 2"
             " AND queue_id > (SELECT floor FROM queue_floor WHERE id = 1)",
             number, &above, err) ||
        !run(marks, "DELETE FROM queue_mark WHERE queue_id = ? AND state = 2", number, &below, err))
        return false;
    *changed = above + below;
    return true;
}

static bool move_row(Db *queue, int64_t number, Err *err) {
    int64_t moved = 0;
    if (!db_begin(queue, err)) return false;
    bool done =
        run(queue,
            "UPDATE command_queue SET requeues = requeues + 1, queue_id ="
            " (SELECT seq + 1 FROM sqlite_sequence WHERE name = 'command_queue') WHERE queue_id = ?",
            number, &moved, err) &&
        (moved || queue_letter_missing(err)) &&
        db_execute(queue, "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'command_queue'", err);
    return end(queue, done, err);
}

static bool is_dead(Db *marks, int64_t number, Err *err) {
    Stmt *s = db_statement(marks, "SELECT 1 FROM queue_mark WHERE queue_id = ? AND state = 2");
    stmt_bind_int(s, 1, number);
    if (!stmt_run(s, NULL, err)) return false;
    bool dead = stmt_row(s, err);
    stmt_done(s);
    return dead || (!err->kind && queue_letter_missing(err));
}

static bool requeue(void *letters, int64_t number, Err *err) {
    TablesLetters *l = letters;
    int64_t changed;
    if (l->server) return requeue_on_server(l->queue, number, err);
    return is_dead(l->marks, number, err) && move_row(l->queue, number, err) &&
           drop_mark(l->marks, number, &changed, err);
}

#define DELETE_ROW "DELETE FROM command_queue WHERE queue_id = ?"

static bool discard_on_server(Db *db, int64_t number, Err *err) {
    int64_t dead = 0;
    if (!db_begin(db, err)) return false;
    bool done = run(db, "DELETE FROM queue_dead WHERE queue_id = ?", number, &dead, err) &&
                (dead || queue_letter_missing(err)) && run(db, DELETE_ROW, number, NULL, err);
    return end(db, done, err);
}

static bool discard(void *letters, int64_t number, Err *err) {
    TablesLetters *l = letters;
    int64_t changed;
    if (l->server) return discard_on_server(l->queue, number, err);
    return is_dead(l->marks, number, err) && run(l->queue, DELETE_ROW, number, NULL, err) &&
           drop_mark(l->marks, number, &changed, err);
}

static const QueueLettersDriver TABLES = {
    .free = free_tables, .list = list, .get = get, .requeue = requeue, .discard = discard};

/* Looking must make no file. */
static bool is_there(const char *url, const char *table) {
    AUTO(Db) db = NULL;
    Err none = {0};
    return db_open(url, (DbOptions){.read_only = true}, &db, &none) && db_has_table(db, table, &none);
}

bool queue_letters_tables_open(const QueuePlace *place, QueueLetters **ret, Err *err) {
    const DbOptions options = {.busy_ms = LOCK_MS};
    if (!place->server && (!is_there(place->queue, "command_queue") || !is_there(place->marks, "queue_mark")))
        return true;
    TablesLetters *l = must(calloc(1, sizeof *l));
    l->base.driver = &TABLES;
    l->server = place->server;
    *ret = &l->base; /* freed by the caller, whole or not */
    return db_open(place->queue, options, &l->queue, err) && queue_migrate(l->queue, err) &&
           (l->server ||
            (db_open(place->marks, options, &l->marks, err) && queue_marks_migrate(l->marks, err) &&
             db_attach(l->queue, place->marks, "marks", err)));
}
