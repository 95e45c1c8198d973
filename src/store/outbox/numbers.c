#include "store/outbox/numbers.h"

#include "store/outbox/outbox_admin.h"

/* A batch is numbered by few statements: whole groups of rows, then the rest one by one. */
enum { GROUP = 32 };
#define ROW4   "(?, ?), (?, ?), (?, ?), (?, ?)"
#define ROWS32 ROW4 ", " ROW4 ", " ROW4 ", " ROW4 ", " ROW4 ", " ROW4 ", " ROW4 ", " ROW4
static const char INSERT_GROUP[] = "INSERT INTO numbered (sequence, outbox_id) VALUES " ROWS32;
static const char INSERT_ONE[] = "INSERT INTO numbered (sequence, outbox_id) VALUES (?, ?)";

/* Another relay may do it at the same moment. */
static bool first_state(Db *db, Err *err) {
    char epoch[UUID_TEXT];
    Uuid id = uuid_v7();
    uuid_format(&id, epoch);
    static const SqlText ADD = SQL_ADD_NEW(
        "relay_state", "id", "id, epoch, last_sequence, last_outbox_id, published", "VALUES (1, ?, 0, 0, 0)");
    Stmt *s = db_statement(db, db_text(db, &ADD));
    stmt_bind_text(s, 1, span_of(epoch));
    return stmt_run(s, NULL, err);
}

static bool read_state(Db *db, const char *sql, NumbersState *ret, bool *found, Err *err) {
    Stmt *s = db_statement(db, sql);
    *ret = (NumbersState){0};
    if (!stmt_run(s, NULL, err)) return false;
    *found = stmt_row(s, err);
    if (!*found) return !err->kind;
    if (!span_copy(stmt_text(s, 0), ret->epoch, sizeof ret->epoch))
        return err_set(err, &ERR_INTERNAL, "relay_state has an epoch that is no UUID");
    ret->last = stmt_int(s, 1);
    ret->last_outbox_id = stmt_int(s, 2);
    ret->published = stmt_int(s, 3);
    stmt_done(s);
    return true;
}

#define STATE(hint)                                                                                          \
    "SELECT epoch, last_sequence, last_outbox_id, published FROM relay_state" hint " WHERE id = 1"

bool numbers_load(Db *db, NumbersState *ret, Err *err) {
    bool found;
    if (!read_state(db, STATE(""), ret, &found, err)) return false;
    if (found) return true;
    if (!first_state(db, err) || !read_state(db, STATE(""), ret, &found, err)) return false;
    return found || err_set(err, &ERR_INTERNAL, "relay_state is empty");
}

bool numbers_stored(Db *db, NumbersState *ret, Err *err) {
    bool found;
    if (!read_state(db, STATE(""), ret, &found, err)) return false;
    return found || err_set(err, &ERR_NOT_FOUND, "no relay has given a number yet");
}

bool numbers_lock(Db *db, NumbersState *ret, Err *err) {
    bool found;
    if (!read_state(db, STATE("{locked}") "{lock}", ret, &found, err)) return false;
    return found || err_set(err, &ERR_INTERNAL, "relay_state is empty");
}

static bool insert_rows(Db *db, int64_t last, const int64_t *outbox_ids, size_t count, Err *err) {
    for (size_t done = 0; done < count;) {
        size_t rows = count - done >= GROUP ? GROUP : 1;
        Stmt *s = db_statement(db, rows == GROUP ? INSERT_GROUP : INSERT_ONE);
        for (size_t i = 0; i < rows; i++, done++) {
            stmt_bind_int(s, (int)(2 * i + 1), last + (int64_t)done + 1);
            stmt_bind_int(s, (int)(2 * i + 2), outbox_ids[done]);
        }
        if (!stmt_run(s, NULL, err)) return false;
    }
    return true;
}

static bool write_state(Db *db, const NumbersState *state, Err *err) {
    Stmt *s = db_statement(
        db, "UPDATE relay_state SET last_sequence = ?, last_outbox_id = ?, published = ? WHERE id = 1");
    stmt_bind_int(s, 1, state->last);
    stmt_bind_int(s, 2, state->last_outbox_id);
    stmt_bind_int(s, 3, state->published);
    return stmt_run(s, NULL, err);
}

bool numbers_give(Db *db, NumbersState *state, const int64_t *outbox_ids, size_t count, Err *err) {
    if (!count) return true;
    NumbersState next = *state;
    next.last += (int64_t)count;
    next.last_outbox_id = outbox_ids[count - 1];
    bool done = db_begin(db, err) && insert_rows(db, state->last, outbox_ids, count, err) &&
                write_state(db, &next, err) && db_commit(db, err);
    if (done)
        *state = next;
    else
        db_rollback(db);
    return done;
}

bool numbers_mark(Db *db, const NumbersState *state, Err *err) {
    return write_state(db, state, err);
}

bool numbers_read(Db *db, int64_t from, int64_t to, NumberedRow *rows, size_t most, size_t *count, Err *err) {
    Stmt *s = db_statement(db, "SELECT n.sequence, n.outbox_id, s.sequence FROM numbered n"
                               " LEFT JOIN skipped s ON s.sequence = n.sequence"
                               " WHERE n.sequence BETWEEN ? AND ? ORDER BY n.sequence {limit}");
    stmt_bind_int(s, 1, from);
    stmt_bind_int(s, 2, to);
    stmt_bind_int(s, 3, (int64_t)most);
    *count = 0;
    if (!stmt_run(s, NULL, err)) return false;
    while (*count < most && stmt_row(s, err)) {
        NumberedRow *row = &rows[(*count)++];
        row->sequence = stmt_int(s, 0);
        row->outbox_id = stmt_int(s, 1);
        row->skipped = stmt_int(s, 2) != 0;
    }
    stmt_done(s);
    return !err->kind;
}

static bool add_skipped(Db *db, int64_t sequence, const char *reason, int64_t now_us, Err *err) {
    static const SqlText ADD =
        SQL_ADD_NEW("skipped", "sequence", "sequence, reason, skipped_at", "VALUES (?, ?, ?)");
    Stmt *s = db_statement(db, db_text(db, &ADD));
    stmt_bind_int(s, 1, sequence);
    stmt_bind_text(s, 2, span_of(reason));
    stmt_bind_int(s, 3, now_us);
    return stmt_run(s, NULL, err);
}

bool numbers_skip(Db *db, int64_t sequence, const char *reason, Span packed, int64_t now_us, Err *err) {
    DeadLetter letter = {.sequence = sequence, .dead_at = now_us, .reason = span_of(reason), .body = packed};
    bool done = db_begin(db, err) && add_skipped(db, sequence, reason, now_us, err) &&
                outbox_letter_add(db, &letter, err) && db_commit(db, err);
    if (!done) db_rollback(db);
    return done;
}
