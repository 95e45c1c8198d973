/* queue_files_receiver.c - peek-lock over two SQLite files: reads queue.db, writes queue-marks.db.
 *
 * Promise:   every accepted command is delivered until it is settled, at least once, in order within its
 *            key. The marks are written without fsync: one lost in a power cut means a delivery more, which
 *            command_done absorbs.
 * Order:     queue_lines.c decides; this file moves rows in and out. Ids appear in order (queue.db has one
 *            writer), so reading goes on behind the last id, and a claim costs the same with a backlog of
 *            any size.
 * Crash:     a message whose mark says "locked" at start was being handled when the process died. It is a
 *            suspect and comes alone, with its count of deliveries, so that one that kills its handler
 *            reaches the dead letter after its tries and takes no neighbour with it.
 * Faults:    memory leads, marks follow: a settle whose mark could not be written stays settled here, and
 *            is delivered again only after a restart. A claim whose marks could not be written is given
 *            back whole. */
#include "queue/queue_driver.h"

#include "base/clock.h"
#include "base/log.h"
#include "queue/queue_lines.h"
#include "queue/queue_place.h"

enum { BODIES_LIMIT = 64 << 20, PAGE = 256 };

typedef struct Known { /* a mark above the floor, found at start */
    int64_t queue_id;
    int state, deliveries;
} Known;

typedef struct FilesReceiver {
    QueueReceiver base;
    Db *queue, *marks;
    Lines *lines;
    Known *known; /* in order of queue_id */
    size_t known_count, known_at;
    int64_t floor; /* as written */
    Arena *bodies;
    QueueMessage *messages;
    Ticket **taken;
    size_t taken_count, size;
    bool suspect; /* the claim holds one, and nothing else may join it */
    bool broken;  /* a statement has failed: look at the connections first */
    bool stale;   /* queue.db is another file than was loaded */
} FilesReceiver;

/* --- opening --- */

static bool load_known(FilesReceiver *r, Err *err) {
    Stmt *s = db_statement(r->marks, "SELECT queue_id, state, deliveries FROM queue_mark WHERE queue_id > ?"
                                     " ORDER BY queue_id");
    stmt_bind_int(s, 1, r->floor);
    if (!stmt_run(s, NULL, err)) return false;
    Err fault = {0};
    for (size_t size = 0; stmt_row(s, &fault); r->known_count++) {
        if (r->known_count == size) {
            size = size ? size * 2 : 256;
            r->known = must(realloc(r->known, size * sizeof *r->known));
        }
        r->known[r->known_count] = (Known){stmt_int(s, 0), (int)stmt_int(s, 1), (int)stmt_int(s, 2)};
    }
    return !fault.kind || err_set(err, fault.kind, "%s", fault.why);
}

/* The number that the query gives; `none` where there is no row. */
static bool read_number(Stmt *s, int64_t none, int64_t *ret, Err *err) {
    Err fault = {0};
    *ret = none;
    if (!stmt_run(s, NULL, err)) return false;
    if (stmt_row(s, &fault)) *ret = stmt_int(s, 0);
    stmt_done(s);
    return !fault.kind || err_set(err, fault.kind, "%s", fault.why);
}

/* Marks above every id that was ever given are those of another queue.db: new commands with their ids would
 * count as settled. Forgetting them costs deliveries that command_done knows. */
static bool forget_foreign_marks(FilesReceiver *r, Err *err) {
    int64_t given, marked;
    if (!read_number(db_statement(r->queue, "SELECT seq FROM sqlite_sequence WHERE name = 'command_queue'"),
                     0, &given, err) ||
        !read_number(db_statement(r->marks,
                                  "SELECT max(floor, coalesce((SELECT max(queue_id) FROM queue_mark),"
                                  " 0)) FROM queue_floor WHERE id = 1"),
                     0, &marked, err))
        return false;
    if (marked <= given) return true;
    log_error("queue.db is older than its marks: its commands are delivered again",
              LOG_INT("commands", given), LOG_INT("marked", marked));
    if (!db_begin(r->marks, err)) return false;
    bool ok = db_execute(r->marks, "DELETE FROM queue_mark", err) &&
              db_execute(r->marks, "UPDATE queue_floor SET floor = 0", err) && db_commit(r->marks, err);
    if (!ok) db_rollback(r->marks);
    return ok;
}

/* A dead letter whose command has gone was requeued or discarded, and that was cut in the middle
 * (queue_letters_tables.c). */
static bool forget_lost_letters(FilesReceiver *r, Err *err) {
    for (int64_t queue_id = 0, there;;) {
        Stmt *s =
            db_statement(r->marks, "SELECT min(queue_id) FROM queue_mark WHERE state = 2 AND queue_id > ?");
        stmt_bind_int(s, 1, queue_id);
        if (!read_number(s, 0, &queue_id, err)) return false;
        if (!queue_id) return true;
        s = db_statement(r->queue, "SELECT count(*) FROM command_queue WHERE queue_id = ?");
        stmt_bind_int(s, 1, queue_id);
        if (!read_number(s, 0, &there, err)) return false;
        if (there) continue;
        s = db_statement(r->marks, "DELETE FROM queue_mark WHERE queue_id = ?");
        stmt_bind_int(s, 1, queue_id);
        if (!stmt_run(s, NULL, err)) return false;
    }
}

/* What the files say, in place of what was remembered. */
static bool load(FilesReceiver *r, Err *err) {
    if (!forget_foreign_marks(r, err) || !forget_lost_letters(r, err) ||
        !read_number(db_statement(r->marks, "SELECT floor FROM queue_floor WHERE id = 1"), 0, &r->floor, err))
        return false;
    r->known_count = r->known_at = 0;
    lines_free(r->lines);
    r->lines = lines_new(r->floor);
    return load_known(r, err);
}

static void *free_files(void *receiver) {
    FilesReceiver *r = receiver;
    if (!r) return NULL;
    db_free(r->queue);
    db_free(r->marks);
    lines_free(r->lines);
    arena_free(r->bodies);
    free(r->known);
    free(r->messages);
    free(r->taken);
    free(r);
    return NULL;
}

/* --- claiming --- */

/* The mark of an id that is read for the first time; ids come in ascending order. */
static const Known *known_of(FilesReceiver *r, int64_t queue_id) {
    while (r->known_at < r->known_count && r->known[r->known_at].queue_id < queue_id) r->known_at++;
    bool found = r->known_at < r->known_count && r->known[r->known_at].queue_id == queue_id;
    return found ? &r->known[r->known_at] : NULL;
}

/* Columns of both queries below. */
#define COLUMNS "queue_id, tenant_id, ordering_key, body, body_hash, accepted_at"

/* Takes the row that the statement stands on. False where the bodies fill the arena: the ticket stays for
 * later. */
static bool take(FilesReceiver *r, Ticket *t, Stmt *s, int64_t until) {
    QueueMessage m = {.queue_id = t->queue_id, .deliveries = t->deliveries + 1};
    Span body = stmt_blob(s, 3);
    const char *copy = arena_copy(r->bodies, body);
    const char *key = arena_copy(r->bodies, line_key(t->line));
    if (!copy || !key) return false;
    m.body = span_bytes(copy, body.len);
    m.key = span_bytes(key, line_key(t->line).len);
    m.body_hash = (uint64_t)stmt_int(s, 4);
    m.accepted_at = stmt_int(s, 5);
    lines_lock(r->lines, t, until);
    t->deliveries++;
    r->suspect = t->suspect;
    r->messages[r->taken_count] = m;
    r->taken[r->taken_count++] = t;
    return true;
}

/* A suspect joins nobody and nobody joins it. */
static bool may_join(const FilesReceiver *r, const Ticket *t) {
    return !r->taken_count || (!r->suspect && !t->suspect);
}

/* Those that were read by earlier claims and passed over. *more: may this claim take further ones? */
static bool take_passed_over(FilesReceiver *r, size_t most, int64_t until, bool *more, Err *err) {
    for (Ticket *t; r->taken_count < most && (t = lines_next(r->lines));) {
        if (!may_join(r, t)) return *more = false, true;
        Stmt *s = db_statement(r->queue, "SELECT " COLUMNS " FROM command_queue WHERE queue_id = ?");
        stmt_bind_int(s, 1, t->queue_id);
        if (!stmt_run(s, NULL, err)) return false;
        if (!stmt_row(s, err)) return err_set(err, &ERR_INTERNAL, "queue: a command has vanished");
        bool taken = take(r, t, s, until);
        stmt_done(s);
        if (!taken) return *more = false, true;
    }
    *more = r->taken_count < most && !r->suspect;
    return true;
}

/* One row that was not read before. False ends the claim, the row has its ticket then. */
static bool take_new(FilesReceiver *r, Stmt *s, int64_t until) {
    int64_t queue_id = stmt_int(s, 0);
    const Known *known = known_of(r, queue_id);
    if (known && (known->state == MARK_SETTLED || known->state == MARK_DEAD))
        return lines_skip(r->lines, queue_id), true;
    char text[512]; /* key: tenants cannot stand in each other's lines */
    Span tenant = stmt_text(s, 1), ordering = stmt_text(s, 2);
    size_t len = 0;
    for (size_t i = 0; i < tenant.len && len < sizeof text - 1; i++) text[len++] = tenant.at[i];
    text[len++] = '\n';
    for (size_t i = 0; i < ordering.len && len < sizeof text; i++) text[len++] = ordering.at[i];
    Ticket *t = lines_add(r->lines, queue_id, span_bytes(text, len), known ? known->deliveries : 0,
                          known && known->state == MARK_LOCKED);
    if (!lines_may_take(r->lines, t)) return true;
    return may_join(r, t) && take(r, t, s, until) && !r->suspect;
}

static bool read_new(FilesReceiver *r, size_t most, int64_t until, Err *err) {
    while (r->taken_count < most && !lines_full(r->lines)) {
        size_t page = most - r->taken_count < PAGE ? most - r->taken_count : PAGE, rows = 0;
        Stmt *s = db_statement(r->queue, "SELECT " COLUMNS " FROM command_queue WHERE queue_id > ?"
                                         " ORDER BY queue_id {limit}");
        stmt_bind_int(s, 1, lines_last(r->lines));
        stmt_bind_int(s, 2, (int64_t)page);
        Err fault = {0};
        if (!stmt_run(s, NULL, err)) return false;
        bool more = true;
        for (; more && stmt_row(s, &fault); rows++) more = take_new(r, s, until);
        stmt_done(s);
        if (fault.kind) return err_set(err, fault.kind, "%s", fault.why);
        if (!more || rows < page) break;
    }
    return true;
}

#define ROW    "(?, 0, ?, ?)"
#define ROWS_8 ROW "," ROW "," ROW "," ROW "," ROW "," ROW "," ROW "," ROW
#define LOCK(rows)                                                                                           \
    "INSERT INTO queue_mark (queue_id, state, deliveries, locked_until) VALUES " rows                        \
    " ON CONFLICT (queue_id) DO UPDATE SET state = 0, deliveries = excluded.deliveries,"                     \
    " locked_until = excluded.locked_until"
static const struct {
    size_t rows;
    const char *sql;
} LOCKS[] = {{32, LOCK(ROWS_8 "," ROWS_8 "," ROWS_8 "," ROWS_8)}, {8, LOCK(ROWS_8)}, {1, LOCK(ROW)}};

static bool mark_locked(FilesReceiver *r, Err *err) {
    if (!db_begin(r->marks, err)) return false;
    for (size_t at = 0, size = 0; at < r->taken_count; at += LOCKS[size].rows) {
        while (LOCKS[size].rows > r->taken_count - at) size++;
        Stmt *s = db_statement(r->marks, LOCKS[size].sql);
        for (size_t i = 0; i < LOCKS[size].rows; i++) {
            const Ticket *t = r->taken[at + i];
            stmt_bind_int(s, (int)i * 3 + 1, t->queue_id);
            stmt_bind_int(s, (int)i * 3 + 2, t->deliveries);
            stmt_bind_int(s, (int)i * 3 + 3, t->until);
        }
        if (!stmt_run(s, NULL, err)) {
            db_rollback(r->marks);
            return false;
        }
    }
    return db_commit(r->marks, err);
}

static bool recover(FilesReceiver *r, Err *err) {
    r->stale = r->stale || !db_is_current(r->queue);
    bool doubtful = r->broken || r->stale;
    if (doubtful && (!db_recover(r->queue, err) || !db_recover(r->marks, err))) return false;
    r->broken = false;
    return true;
}

/* The old file gets no commands any more, and what is remembered is of its ids. */
static bool load_if_stale(FilesReceiver *r, Err *err) {
    if (!r->stale) return true;
    if (!db_has_table(r->queue, "command_queue", err) || !load(r, err)) return false;
    r->stale = false;
    return true;
}

static void make_room(FilesReceiver *r, size_t most) {
    r->taken_count = 0;
    r->suspect = false;
    arena_reset(r->bodies);
    if (r->size >= most) return;
    r->size = most;
    r->messages = must(realloc(r->messages, most * sizeof *r->messages));
    r->taken = must(realloc(r->taken, most * sizeof(Ticket *)));
}

static bool claim(void *receiver, size_t most, int64_t lease_ms, QueueMessage **ret, size_t *count,
                  Err *err) {
    FilesReceiver *r = receiver;
    *count = 0;
    if (!recover(r, err) || !load_if_stale(r, err)) return false;
    make_room(r, most);
    int64_t now = clock_mono_us(), until = now + lease_ms * 1000;
    bool more = true;
    lines_begin(r->lines, now);
    bool ok = take_passed_over(r, most, until, &more, err) && (!more || read_new(r, most, until, err)) &&
              (!r->taken_count || mark_locked(r, err));
    if (!ok) { /* in reverse: each goes back before those that stand behind it */
        while (r->taken_count > 0) {
            Ticket *t = r->taken[--r->taken_count];
            t->deliveries--;
            lines_wait(r->lines, t, 0);
        }
        r->broken = true;
        return false;
    }
    *ret = r->messages;
    *count = r->taken_count;
    return true;
}

/* --- settling --- */

static bool set_mark(FilesReceiver *r, const Ticket *t, int state, const char *reason, Err *err) {
    Stmt *s = db_statement(
        r->marks, "INSERT INTO queue_mark (queue_id, state, deliveries, locked_until, reason, dead_at)"
                  " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (queue_id) DO UPDATE SET"
                  " state = excluded.state, deliveries = excluded.deliveries,"
                  " locked_until = excluded.locked_until, reason = excluded.reason,"
                  " dead_at = excluded.dead_at");
    stmt_bind_int(s, 1, t->queue_id);
    stmt_bind_int(s, 2, state);
    stmt_bind_int(s, 3, t->deliveries);
    stmt_bind_int(s, 4, t->until);
    stmt_bind_text(s, 5, span_of(reason));
    stmt_bind_int(s, 6, state == MARK_DEAD ? clock_now_us() : 0);
    return stmt_run(s, NULL, err);
}

static bool write_floor(FilesReceiver *r, int64_t floor, Err *err) {
    Stmt *s = db_statement(r->marks, "UPDATE queue_floor SET floor = ? WHERE id = 1");
    stmt_bind_int(s, 1, floor);
    if (!stmt_run(s, NULL, err)) return false;
    s = db_statement(r->marks, "DELETE FROM queue_mark WHERE queue_id > ? AND queue_id <= ? AND state <> 2");
    stmt_bind_int(s, 1, r->floor);
    stmt_bind_int(s, 2, floor);
    return stmt_run(s, NULL, err);
}

static bool write_settled(FilesReceiver *r, const int64_t *queue_ids, size_t count, Err *err) {
    int64_t floor = lines_floor(r->lines);
    Stmt *s = NULL;
    for (size_t i = 0; i < count; i++) {
        if (queue_ids[i] <= floor) continue;
        s = db_statement(r->marks, "UPDATE queue_mark SET state = 1 WHERE queue_id = ?");
        stmt_bind_int(s, 1, queue_ids[i]);
        if (!stmt_run(s, NULL, err)) return false;
    }
    return floor == r->floor || write_floor(r, floor, err);
}

/* Memory has settled them; this makes the marks follow. */
static bool follow(FilesReceiver *r, const int64_t *queue_ids, size_t count, Err *err) {
    bool ok = recover(r, err) && db_begin(r->marks, err) && write_settled(r, queue_ids, count, err) &&
              db_commit(r->marks, err);
    if (ok)
        r->floor = lines_floor(r->lines);
    else
        db_rollback(r->marks);
    if (!ok) r->broken = true;
    return ok;
}

static bool complete(void *receiver, const int64_t *queue_ids, size_t count, Err *err) {
    FilesReceiver *r = receiver;
    for (size_t i = 0; i < count; i++) {
        Ticket *t = lines_find(r->lines, queue_ids[i]);
        if (t) lines_settle(r->lines, t);
    }
    return !count || follow(r, queue_ids, count, err);
}

static bool release(void *receiver, int64_t queue_id, int64_t delay_ms, bool counts, Err *err) {
    FilesReceiver *r = receiver;
    Ticket *t = lines_find(r->lines, queue_id);
    if (!t) return true;
    if (!counts) {
        t->deliveries--;
        t->suspect = false;
    }
    lines_wait(r->lines, t, delay_ms > 0 ? clock_mono_us() + delay_ms * 1000 : 0);
    if (r->broken)
        return err_set(err, &ERR_DB_DOWN, "queue: marks cannot be written"); /* not 256 time-outs in a row */
    if (set_mark(r, t, MARK_RELEASED, "", err)) return true;
    r->broken = true;
    return false;
}

static bool dead_letter(void *receiver, int64_t queue_id, const char *reason, Err *err) {
    FilesReceiver *r = receiver;
    Ticket *t = lines_find(r->lines, queue_id);
    if (!t) return true;
    if (!recover(r, err) ||
        !set_mark(r, t, MARK_DEAD, reason, err)) { /* its reason must not be lost: try again later */
        r->broken = true;
        lines_wait(r->lines, t, clock_mono_us() + 1000000);
        return false;
    }
    lines_settle(r->lines, t);
    return follow(r, NULL, 0, err);
}

static int64_t next_due_ms(void *receiver) {
    FilesReceiver *r = receiver;
    int64_t due = lines_next_due(r->lines), now = clock_mono_us();
    if (due < 0) return -1;
    return due > now ? (due - now + 999) / 1000 : 0;
}

/* Those that are known, and those not read yet. */
static bool depth(void *receiver, QueueDepth *ret, Err *err) {
    FilesReceiver *r = receiver;
    if (r->broken || r->stale) return err_set(err, &ERR_DB_DOWN, "queue: out at the moment");
    Stmt *s = db_statement(r->queue, "SELECT count(*) FROM command_queue WHERE queue_id > ?");
    stmt_bind_int(s, 1, lines_last(r->lines));
    if (!read_number(s, 0, &ret->waiting, err) ||
        !read_number(db_statement(r->marks, "SELECT count(*) FROM queue_mark WHERE state = 2"), 0, &ret->dead,
                     err))
        return r->broken = true, false;
    ret->waiting += (int64_t)lines_open(r->lines);
    return true;
}

static const QueueDriver FILES = {.free = free_files,
                                  .claim = claim,
                                  .complete = complete,
                                  .release = release,
                                  .dead_letter = dead_letter,
                                  .next_due_ms = next_due_ms,
                                  .depth = depth};

bool queue_files_receiver_open(const QueuePlace *place, QueueReceiver **ret, Err *err) {
    FilesReceiver *r = must(calloc(1, sizeof *r));
    r->base.driver = &FILES;
    r->bodies = arena_new(BODIES_LIMIT);
    *ret = &r->base; /* freed by the caller, whole or not */
    return db_open(place->queue, (DbOptions){.read_only = true}, &r->queue, err) &&
           db_has_table(r->queue, "command_queue", err) &&
           db_open(place->marks, (DbOptions){.relaxed = true}, &r->marks, err) &&
           queue_marks_migrate(r->marks, err) && load(r, err);
}
