/* queue_memory.c - a round goes through the rows in order of their ids, a page at a time, up to the first that is young.
 *
 * Ids and times rise together, but for the order of commits and for clocks that were set: a row that is kept too long
 * does no harm. Dead letters stay, and so does what has been requeued, until an operator or the handler is done with
 * it. In files both are told by the marks, which are read as they are at this moment: where they have been lost they
 * tell less than before, never more. */
#include "queue/queue_memory.h"

#include "base/cleaner.h"
#include "base/log.h"

enum { MARKS_BUSY_MS = 200 };

static bool read_number(Stmt *s, int64_t *ret, Err *err) {
    *ret = 0;
    if (!stmt_run(s, NULL, err)) return false;
    if (stmt_row(s, err)) *ret = stmt_int(s, 0);
    stmt_done(s);
    return !err->kind;
}

/* --- what is settled --- */

/* Marks above every id that was ever given are those of another queue.db: they say nothing of this one. */
static bool settled_in_files(Db *queue, Db *marks, int64_t *ret, Err *err) {
    int64_t floor, given;
    if (!read_number(db_statement(marks, "SELECT floor FROM queue_floor WHERE id = 1"), &floor, err) ||
        !read_number(db_statement(queue, "SELECT seq FROM sqlite_sequence WHERE name = 'command_queue'"),
                     &given, err))
        return false;
    *ret = floor <= given ? floor : 0;
    return true;
}

static const char SETTLED_ON_SERVER[] = "SELECT coalesce((SELECT min(queue_id) - 1 FROM queue_ready),"
                                        " (SELECT max(queue_id) FROM command_queue), 0)";

static bool read_settled(const QueueMemory *m, Db *queue, Db *marks, int64_t *ret, Err *err) {
    return m->place.server ? read_number(db_statement(queue, SETTLED_ON_SERVER), ret, err)
                           : settled_in_files(queue, marks, ret, err);
}

/* --- a page --- */

typedef struct Page {
    int64_t last, oldest; /* id, accepted_at */
    size_t rows;
} Page;

static bool read_page(const QueueMemory *m, Db *queue, Page *ret, Err *err) {
    Stmt *s =
        db_statement(queue, "SELECT coalesce(max(queue_id), 0), coalesce(min(accepted_at), 0), count(*) FROM"
                            " (SELECT queue_id, accepted_at FROM command_queue WHERE queue_id > ?"
                            " AND queue_id <= ? ORDER BY queue_id {limit}) p");
    stmt_bind_int(s, 1, m->passed);
    stmt_bind_int(s, 2, m->settled);
    stmt_bind_int(s, 3, CLEANER_ROWS);
    *ret = (Page){0};
    if (!stmt_run(s, NULL, err) || !stmt_row(s, err)) return false;
    ret->last = stmt_int(s, 0);
    ret->oldest = stmt_int(s, 1);
    ret->rows = (size_t)stmt_int(s, 2);
    stmt_done(s);
    return true;
}

/* Those above `after` and up to `last` that are old. */
static bool delete_some(Db *queue, const char *sql, int64_t after, int64_t last, int64_t before_us,
                        Err *err) {
    Stmt *s = db_statement(queue, sql);
    stmt_bind_int(s, 1, after);
    stmt_bind_int(s, 2, last);
    stmt_bind_int(s, 3, before_us);
    return stmt_run(s, NULL, err);
}

/* Between the dead ones. */
static bool delete_in_files(const QueueMemory *m, Db *queue, Db *marks, const Page *page, int64_t before_us,
                            Err *err) {
    static const char OLD[] =
        "DELETE FROM command_queue WHERE queue_id > ? AND queue_id <= ? AND accepted_at < ?";
    Err fault = {0};
    int64_t after = m->passed;
    Stmt *dead = db_statement(marks, "SELECT queue_id FROM queue_mark WHERE state = 2 AND queue_id > ?"
                                     " AND queue_id <= ? ORDER BY queue_id");
    stmt_bind_int(dead, 1, after);
    stmt_bind_int(dead, 2, page->last);
    if (!stmt_run(dead, NULL, err)) return false;
    while (stmt_row(dead, &fault)) {
        int64_t queue_id = stmt_int(dead, 0);
        if (!delete_some(queue, OLD, after, queue_id - 1, before_us, err)) return false;
        after = queue_id;
    }
    stmt_done(dead);
    if (fault.kind) return err_set(err, fault.kind, "%s", fault.why);
    return delete_some(queue, OLD, after, page->last, before_us, err);
}

/* What another sender is taking away is passed over. */
static const char OLD_ON_SERVER[] =
    "DELETE FROM command_queue WHERE queue_id IN (SELECT q.queue_id FROM command_queue q{skipped} WHERE"
    " q.queue_id > ? AND q.queue_id <= ? AND q.accepted_at < ?"
    " AND NOT EXISTS (SELECT 1 FROM queue_ready r WHERE r.queue_id = q.queue_id)"
    " AND NOT EXISTS (SELECT 1 FROM queue_dead d WHERE d.queue_id = q.queue_id){free})";

static bool delete_page(const QueueMemory *m, Db *queue, Db *marks, const Page *page, int64_t before_us,
                        Err *err) {
    if (!db_begin(queue, err)) return false;
    bool done = (m->place.server ? delete_some(queue, OLD_ON_SERVER, m->passed, page->last, before_us, err)
                                 : delete_in_files(m, queue, marks, page, before_us, err)) &&
                db_commit(queue, err);
    if (!done) db_rollback(queue);
    return done;
}

/* --- a round --- */

static bool end_round(QueueMemory *m, Db *queue, Db *marks, Err *err) {
    m->passed = 0;
    return read_settled(m, queue, marks, &m->settled, err);
}

static bool clean(QueueMemory *m, Db *queue, Db *marks, int64_t before_us, bool *more, Err *err) {
    Page page;
    int64_t settled; /* a file that was restored has less */
    if (!read_settled(m, queue, marks, &settled, err)) return false;
    if (settled < m->settled) m->settled = settled;
    if (!read_page(m, queue, &page, err)) return false;
    bool old = page.rows && page.oldest < before_us;
    if (old && !delete_page(m, queue, marks, &page, before_us, err)) return false;
    m->passed = page.last;
    *more = old && page.rows == CLEANER_ROWS;
    return *more || end_round(m, queue, marks, err);
}

bool queue_memory_clean(QueueMemory *m, Db *queue, int64_t before_us, bool *more, Err *err) {
    AUTO(Db) marks = NULL;
    Err none = {0};
    const DbOptions options = {.read_only = true, .busy_ms = MARKS_BUSY_MS};
    *more = false;
    if (!m->place.server &&
        (!db_open(m->place.marks, options, &marks, &none) || !db_has_table(marks, "queue_floor", &none))) {
        log_debug("the marks are not readable: no command is forgotten", LOG_ERR(&none));
        return true;
    }
    return clean(m, queue, marks, before_us, more, err);
}
