#include "store/outbox/outbox_read.h"

static bool read_id(Db *db, const char *sql, int64_t *ret, Err *err) {
    Stmt *s = db_statement(db, sql);
    if (!stmt_run(s, NULL, err) || !stmt_row(s, err)) return false;
    *ret = stmt_int(s, 0);
    stmt_done(s);
    return true;
}

bool outbox_last_id(Db *db, int64_t *ret, Err *err) {
    return read_id(db, "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox'", ret, err);
}

bool outbox_first_id(Db *db, int64_t *ret, Err *err) {
    return read_id(db, "SELECT coalesce(min(outbox_id), 0) FROM outbox", ret, err);
}

static bool take_rows(Stmt *s, size_t most, Arena *arena, OutboxRow *rows, size_t *count, Err *err) {
    while (*count < most && stmt_row(s, err)) {
        OutboxRow *row = &rows[*count];
        row->outbox_id = stmt_int(s, 0);
        Span body = stmt_blob(s, 1);
        char *copy = arena_copy(arena, body);
        if (!copy) return err_set(err, &ERR_TOO_LARGE, "outbox: %zu rows do not fit in memory", most);
        row->body = (Span){copy, body.len};
        ++*count;
    }
    return !err->kind;
}

bool outbox_read(Db *db, int64_t after, int64_t upto, size_t most, Arena *arena, OutboxRow **rows,
                 size_t *count, Err *err) {
    *count = 0;
    *rows = arena_alloc(arena, most * sizeof **rows);
    if (!*rows) return err_set(err, &ERR_TOO_LARGE, "outbox: %zu rows do not fit in memory", most);
    Stmt *s = db_statement(db, "SELECT outbox_id, body FROM outbox WHERE outbox_id > ? AND outbox_id <= ?"
                               " ORDER BY outbox_id {limit}");
    stmt_bind_int(s, 1, after);
    stmt_bind_int(s, 2, upto);
    stmt_bind_int(s, 3, (int64_t)most);
    bool done = stmt_run(s, NULL, err) && take_rows(s, most, arena, *rows, count, err);
    stmt_done(s);
    return done;
}
