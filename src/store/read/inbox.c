#include "store/read/inbox.h"

#include "base/map.h"
#include "wire/json/json.h"
#include <stdio.h>

static const SqlText KNOWN = {
    .sqlite = "SELECT event_id FROM inbox WHERE event_id IN (SELECT value FROM json_each(?))",
    .postgresql = "SELECT event_id FROM inbox WHERE event_id = ANY(ARRAY(SELECT "
                  "jsonb_array_elements_text(CAST(? AS jsonb))))",
    .sqlserver = "SELECT event_id FROM inbox WHERE event_id IN (SELECT value{bytewise} FROM OPENJSON(?))"};

bool inbox_known(Db *db, const Span *event_ids, size_t count, void (*known)(void *user, Span event_id),
                 void *user, Err *err) {
    AUTO_BUF ids = {0};
    JsonWriter w = json_writer(&ids);
    json_array(&w);
    for (size_t i = 0; i < count; i++) json_string(&w, event_ids[i]);
    json_array_end(&w);
    if (ids.failed) return err_set(err, &ERR_TOO_LARGE, "the inbox is asked for too many ids");
    Stmt *s = db_statement(db, db_text(db, &KNOWN));
    stmt_bind_text(s, 1, buf_view(&ids));
    if (!stmt_run(s, NULL, err)) return false;
    while (stmt_row(s, err)) known(user, stmt_text(s, 0));
    return !err->kind;
}

const RowShape INBOX_ROWS = {
    .given.sql = SQL_ADD_NEW("inbox", "event_id", "event_id, sequence, received_at", "{given}"),
    .given.columns = "kii",
};

void inbox_add(Rows *rows, Span event_id, int64_t sequence, int64_t now_us) {
    rows_text(rows, event_id);
    rows_int(rows, sequence);
    rows_int(rows, now_us);
}

const RowShape WAITING_ROWS = {
    .given.sql = SQL_ADD_NEW("waiting", "sequence", "sequence, body, received_at", "{given}"),
    .given.columns = "ibi",
};

void waiting_add(Rows *rows, int64_t sequence, Span body, int64_t now_us) {
    rows_int(rows, sequence);
    rows_blob(rows, body);
    rows_int(rows, now_us);
}

bool waiting_read(Db *db, int64_t from, int64_t to, Arena *arena, Span *bodies, Err *err) {
    for (int64_t i = from; i <= to; i++) bodies[i - from] = SPAN_NONE;
    Stmt *s = db_statement(db, "SELECT sequence, body FROM waiting WHERE sequence BETWEEN ? AND ?");
    stmt_bind_int(s, 1, from);
    stmt_bind_int(s, 2, to);
    if (!stmt_run(s, NULL, err)) return false;
    while (stmt_row(s, err)) {
        int64_t sequence = stmt_int(s, 0);
        Span stored = stmt_blob(s, 1);
        char *copy = arena_copy(arena, stored);
        bodies[sequence - from] = (Span){copy, stored.len};
        if (copy) continue;
        stmt_done(s);
        return err_set(err, &ERR_TOO_LARGE, "waiting events: do not fit in memory");
    }
    return !err->kind;
}

bool waiting_remove(Db *db, int64_t from, int64_t to, Err *err) {
    Stmt *s = db_statement(db, "DELETE FROM waiting WHERE sequence BETWEEN ? AND ?");
    stmt_bind_int(s, 1, from);
    stmt_bind_int(s, 2, to);
    return stmt_run(s, NULL, err);
}

bool waiting_each(Db *db, void (*each)(void *user, int64_t sequence), void *user, Err *err) {
    Stmt *s = db_statement(db, "SELECT sequence FROM waiting ORDER BY sequence");
    if (!stmt_run(s, NULL, err)) return false;
    while (stmt_row(s, err)) each(user, stmt_int(s, 0));
    stmt_done(s);
    return !err->kind;
}

/* An unreadable event has no id to tell it by; its bytes do. */
static void dedupe_key(const DeadEvent *event, char *out, size_t size) {
    snprintf(out, size, "%lld:%016llx:%zu", (long long)event->sequence,
             (unsigned long long)hash_stable(event->body), event->index);
}

static Span or_empty(Span s) {
    return s.at ? s : SPAN("");
}

bool dead_event_add(Db *db, const DeadEvent *event, int64_t now_us, Err *err) {
    char key[80];
    dedupe_key(event, key, sizeof key);
    static const SqlText ADD = SQL_ADD_NEW(
        "event_dead_letter", "dedupe_key",
        "dedupe_key, sequence, event_id, event_type, reason, body, dead_at", "VALUES (?, ?, ?, ?, ?, ?, ?)");
    Stmt *s = db_statement(db, db_text(db, &ADD));
    stmt_bind_text(s, 1, span_of(key));
    stmt_bind_int(s, 2, event->sequence);
    stmt_bind_text(s, 3, or_empty(event->event_id));
    stmt_bind_text(s, 4, or_empty(event->event_type));
    stmt_bind_text(s, 5, span_of(event->reason));
    stmt_bind_blob(s, 6, or_empty(event->body));
    stmt_bind_int(s, 7, now_us);
    return stmt_run(s, NULL, err);
}
