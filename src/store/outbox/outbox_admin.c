/* outbox_admin.c - a new epoch begins without any number of the old one: what the projection holds is behind
 * it, what else is in the outbox goes out once more, under new numbers. Where the projection had an event
 * after all, it knows it by its id. */
#include "store/outbox/outbox_admin.h"

#include "store/outbox/numbers.h"
#include "store/outbox/outbox_read.h"

static bool read_number(Stmt *s, int64_t *ret, Err *err) {
    *ret = 0;
    if (!stmt_run(s, NULL, err)) return false;
    if (stmt_row(s, err)) *ret = stmt_int(s, 0);
    stmt_done(s);
    return !err->kind;
}

static bool number(Db *db, const char *sql, int64_t *ret, Err *err) {
    return read_number(db_statement(db, sql), ret, err);
}

static bool number_of(Db *db, const char *sql, int64_t of, int64_t *ret, Err *err) {
    Stmt *s = db_statement(db, sql);
    stmt_bind_int(s, 1, of);
    return read_number(s, ret, err);
}

static bool is_file(Db *db) {
    return db_dialect(db) == DB_SQLITE;
}

/* ---- status ---- */

/* The row of the highest number up to this one, or the nearest before. */
static const char ROW_OF[] = "SELECT coalesce(max(outbox_id), 0) FROM numbered WHERE sequence = (SELECT"
                             " max(sequence) FROM numbered WHERE sequence <= ?)";

static bool status_of_files(Db *numbers, Db *outbox, const NumbersState *state, OutboxStatus *ret, Err *err) {
    int64_t last_row, published_row;
    if (!outbox_last_id(outbox, &last_row, err) ||
        !number_of(numbers, ROW_OF, state->published, &published_row, err))
        return false;
    ret->fresh = last_row - state->last_outbox_id;
    ret->waiting = state->last - state->published;
    if (state->published == state->last) published_row = state->last_outbox_id;
    return number_of(outbox,
                     "SELECT created_at FROM outbox WHERE outbox_id = (SELECT min(outbox_id) FROM outbox"
                     " WHERE outbox_id > ?)",
                     published_row, &ret->since_us, err);
}

#define LANES_WAITING " FROM relay_lane l JOIN numbered n ON n.lane = l.lane AND n.sequence > l.published"
static bool status_of_server(Db *db, OutboxStatus *ret, Err *err) {
    int64_t fresh, waiting;
    if (!number(db, "SELECT count(*) FROM outbox_fresh", &ret->fresh, err) ||
        !number(db, "SELECT count(*)" LANES_WAITING, &ret->waiting, err) ||
        !number(db,
                "SELECT created_at FROM outbox WHERE outbox_id = (SELECT min(outbox_id) FROM outbox_fresh)",
                &fresh, err) ||
        !number(db,
                "SELECT created_at FROM outbox WHERE outbox_id = (SELECT min(n.outbox_id)" LANES_WAITING ")",
                &waiting, err))
        return false;
    ret->since_us = !waiting || (fresh && fresh < waiting) ? fresh : waiting;
    return true;
}

bool outbox_status(Db *numbers, Db *outbox, OutboxStatus *ret, Err *err) {
    NumbersState state;
    *ret = (OutboxStatus){0};
    if (!numbers_stored(numbers, &state, err)) return false;
    memcpy(ret->epoch, state.epoch, sizeof ret->epoch);
    ret->last = state.last;
    if (!dead_letter_count(numbers, &OUTBOX_LETTERS, &ret->letters, err)) return false;
    return is_file(numbers) ? status_of_files(numbers, outbox, &state, ret, err)
                            : status_of_server(numbers, ret, err);
}

/* ---- dead letters ---- */

bool outbox_letter_add(Db *numbers, const DeadLetter *letter, Err *err) {
    static const SqlText ADD = SQL_ADD_NEW("outbox_dead_letter", "sequence",
                                           "sequence, reason, body, dead_at", "VALUES (?, ?, ?, ?)");
    Stmt *s = db_statement(numbers, db_text(numbers, &ADD));
    stmt_bind_int(s, 1, letter->sequence);
    stmt_bind_text(s, 2, letter->reason);
    stmt_bind_blob(s, 3, letter->body);
    stmt_bind_int(s, 4, letter->dead_at);
    return stmt_run(s, NULL, err);
}

/* ---- a new epoch ---- */

static bool write_state(Db *db, const char *epoch, int64_t last, int64_t last_row, Err *err) {
    Stmt *s = db_statement(db, "UPDATE relay_state SET epoch = ?, last_sequence = ?, published = ?,"
                               " last_outbox_id = ?, disposable = ? WHERE id = 1");
    stmt_bind_text(s, 1, span_of(epoch));
    stmt_bind_int(s, 2, last);
    stmt_bind_int(s, 3, last);
    stmt_bind_int(s, 4, last_row);
    stmt_bind_int(s, 5, last_row);
    return stmt_run(s, NULL, err);
}

/* All that is not held stands in line again, in the order of its rows. */
static bool line_up(Db *db, int64_t held, Err *err) {
    Stmt *s =
        db_statement(db, "INSERT INTO outbox_fresh (outbox_id) SELECT outbox_id FROM numbered WHERE"
                         " sequence > ? AND NOT EXISTS (SELECT 1 FROM outbox_fresh f WHERE f.outbox_id ="
                         " numbered.outbox_id)");
    stmt_bind_int(s, 1, held);
    return stmt_run(s, NULL, err) &&
           db_execute(db,
                      "UPDATE relay_lane SET owner = '', leased_until = 0, last_sequence = 0,"
                      " published = 0",
                      err);
}

bool outbox_renumber(Db *numbers, Db *outbox, const char *epoch, int64_t last, int64_t held, Err *err) {
    int64_t row, last_row = 0;
    if (!number_of(numbers, ROW_OF, held, &row, err)) return false;
    if (is_file(numbers) && !outbox_last_id(outbox, &last_row, err)) return false;
    if (is_file(numbers) && row > last_row) row = last_row; /* write.db is an older one */
    bool done = db_begin(numbers, err) && (is_file(numbers) || line_up(numbers, held, err)) &&
                db_execute(numbers, "DELETE FROM skipped", err) &&
                db_execute(numbers, "DELETE FROM numbered", err) &&
                write_state(numbers, epoch, last, row, err) && db_commit(numbers, err);
    if (!done) db_rollback(numbers);
    return done;
}
