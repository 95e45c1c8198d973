#include "store/read/dead_events.h"

#define LETTER                                                                                               \
    "SELECT dead_letter_id, dead_at, sequence, reason, body FROM event_dead_letter WHERE dead_letter_id "

static DeadLetter read_letter(Stmt *s) {
    DeadLetter letter = {.id = stmt_int(s, 0), .dead_at = stmt_int(s, 1), .sequence = stmt_int(s, 2)};
    letter.reason = stmt_text(s, 3);
    letter.body = stmt_blob(s, 4);
    return letter;
}

bool dead_events(Db *db, int64_t after, int64_t most, bool (*each)(void *user, const DeadLetter *letter),
                 void *user, Err *err) {
    Stmt *s = db_statement(db, LETTER "> ? ORDER BY dead_letter_id {limit}");
    stmt_bind_int(s, 1, after);
    stmt_bind_int(s, 2, most);
    if (!stmt_run(s, NULL, err)) return false;
    while (stmt_row(s, err)) {
        DeadLetter letter = read_letter(s);
        if (!each(user, &letter)) break;
    }
    stmt_done(s);
    return !err->kind;
}

bool dead_event_find(Db *db, int64_t id, Arena *arena, DeadLetter *ret, Err *err) {
    Stmt *s = db_statement(db, LETTER "= ?");
    stmt_bind_int(s, 1, id);
    if (!stmt_run(s, NULL, err)) return false;
    if (!stmt_row(s, err))
        return err->kind ? false : err_set(err, &ERR_NOT_FOUND, "there is no such dead letter");
    *ret = read_letter(s);
    ret->reason.at = arena_copy(arena, ret->reason);
    ret->body.at = arena_copy(arena, ret->body);
    stmt_done(s);
    return (ret->reason.at && ret->body.at) || err_set(err, &ERR_TOO_LARGE, "the dead letter does not fit");
}

bool dead_event_remove(Db *db, int64_t id, Err *err) {
    int64_t changed = 0;
    Stmt *s = db_statement(db, "DELETE FROM event_dead_letter WHERE dead_letter_id = ?");
    stmt_bind_int(s, 1, id);
    if (!stmt_run(s, &changed, err)) return false;
    return changed || err_set(err, &ERR_NOT_FOUND, "there is no such dead letter");
}
