#include "store/dead_letters.h"

#define TABLE(name, key, columns)                                                                            \
    {                                                                                                        \
        .list = "SELECT " columns " FROM " name " WHERE " key " > ? ORDER BY " key " {limit}",               \
        .find = "SELECT " columns " FROM " name " WHERE " key " = ?",                                        \
        .remove = "DELETE FROM " name " WHERE " key " = ?", .count = "SELECT count(*) FROM " name            \
    }

/* Columns as in read_letter(). */
const DeadLetterTable OUTBOX_LETTERS =
    TABLE("outbox_dead_letter", "sequence", "sequence, dead_at, sequence, 0, '', reason, body");
const DeadLetterTable PROJECTION_LETTERS =
    TABLE("event_dead_letter", "dead_letter_id", "dead_letter_id, dead_at, sequence, 0, '', reason, body");
const DeadLetterTable DELIVERY_LETTERS = TABLE(
    "grid_dead_letter", "dead_letter_id",
    "dead_letter_id, dead_at, 0, attempts, subscription, reason || ', ' || last_outcome, CAST(body AS BLOB)");

static DeadLetter read_letter(Stmt *s) {
    DeadLetter letter = {.number = stmt_int(s, 0), .dead_at = stmt_int(s, 1)};
    letter.sequence = stmt_int(s, 2);
    letter.attempts = stmt_int(s, 3);
    letter.subscription = stmt_text(s, 4);
    letter.reason = stmt_text(s, 5);
    letter.body = stmt_blob(s, 6);
    return letter;
}

bool dead_letters(Db *db, const DeadLetterTable *table, int64_t after, int64_t most,
                  const DeadLetterVisitor *visitor, Err *err) {
    Stmt *s = db_statement(db, table->list);
    stmt_bind_int(s, 1, after);
    stmt_bind_int(s, 2, most);
    if (!stmt_run(s, NULL, err)) return false;
    while (stmt_row(s, err)) {
        DeadLetter letter = read_letter(s);
        if (!visitor->each(visitor->user, &letter)) break;
    }
    stmt_done(s);
    return !err->kind;
}

static bool not_found(Err *err) {
    return err_set(err, &ERR_NOT_FOUND, "there is no such dead letter");
}

static bool keep(Arena *arena, Span *s) {
    const char *copy = arena_copy(arena, *s);
    *s = span_bytes(copy, copy ? s->len : 0);
    return copy != NULL;
}

bool dead_letter_find(Db *db, const DeadLetterTable *table, int64_t number, Arena *arena, DeadLetter *ret,
                      Err *err) {
    Stmt *s = db_statement(db, table->find);
    stmt_bind_int(s, 1, number);
    if (!stmt_run(s, NULL, err)) return false;
    if (!stmt_row(s, err)) return err->kind ? false : not_found(err);
    *ret = read_letter(s);
    bool kept = keep(arena, &ret->subscription) && keep(arena, &ret->reason) && keep(arena, &ret->body);
    stmt_done(s);
    return kept || err_set(err, &ERR_TOO_LARGE, "the dead letter does not fit in memory");
}

bool dead_letter_remove(Db *db, const DeadLetterTable *table, int64_t number, Err *err) {
    int64_t changed = 0;
    Stmt *s = db_statement(db, table->remove);
    stmt_bind_int(s, 1, number);
    if (!stmt_run(s, &changed, err)) return false;
    return changed || not_found(err);
}

bool dead_letter_count(Db *db, const DeadLetterTable *table, int64_t *ret, Err *err) {
    *ret = 0;
    Stmt *s = db_statement(db, table->count);
    if (!stmt_run(s, NULL, err)) return false;
    if (stmt_row(s, err)) *ret = stmt_int(s, 0);
    stmt_done(s);
    return !err->kind;
}
