/* queue_files.c - queue.db has one writer, the gateway, and queue-marks.db one, the prospect service: two
 * writers of one SQLite file are served unfairly. Commands stay in command_queue after they are handled: it
 * is also the record of what was accepted. A mark exists only for a message that is locked, waiting, settled
 * above the floor, or dead; everything else at or below the floor is settled, everything above it is new. */
#include "queue/queue_files.h"

#include "db/migrate.h"
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

static const Migration QUEUE_STEPS[] = {
    {1, "CREATE TABLE command_queue ("
        " queue_id INTEGER PRIMARY KEY AUTOINCREMENT,"
        " tenant_id TEXT NOT NULL,"
        " issued_by TEXT NOT NULL,"
        " command_id TEXT NOT NULL,"
        " body_hash BIGINT NOT NULL,"
        " ordering_key TEXT NOT NULL,"
        " lane INTEGER NOT NULL,"
        " body BLOB NOT NULL,"
        " correlation_id TEXT NOT NULL,"
        " accepted_at BIGINT NOT NULL,"
        " UNIQUE (tenant_id, issued_by, command_id));\n"},
};

static const Migration MARKS_STEPS[] = {
    {1, "CREATE TABLE queue_mark ("
        " queue_id INTEGER PRIMARY KEY,"
        " state INTEGER NOT NULL," /* 0 locked, 1 settled, 2 dead, 3 released */
        " deliveries INTEGER NOT NULL,"
        " locked_until BIGINT NOT NULL," /* of the writer's monotonic clock: only he can read it */
        " reason TEXT NOT NULL DEFAULT '');\n"
        "CREATE INDEX queue_mark_dead ON queue_mark (queue_id) WHERE state = 2;\n"
        "CREATE TABLE queue_floor (id INTEGER PRIMARY KEY CHECK (id = 1), floor BIGINT NOT NULL);\n"
        "INSERT INTO queue_floor (id, floor) VALUES (1, 0);\n"},
};

bool queue_migrate(Db *queue, Err *err) {
    return migrate(queue, "queue", QUEUE_STEPS, COUNT(QUEUE_STEPS), err);
}
bool queue_marks_migrate(Db *marks, Err *err) {
    return migrate(marks, "marks", MARKS_STEPS, COUNT(MARKS_STEPS), err);
}

bool queue_has_table(Db *db, const char *table, Err *err) {
    Stmt *s = db_statement(db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?");
    stmt_bind_text(s, 1, span_of(table));
    if (!stmt_run(s, NULL, err) || !stmt_row(s, err)) return false;
    bool there = stmt_int(s, 0) > 0;
    stmt_done(s);
    return there || err_set(err, &ERR_DB_DOWN, "the table %s has not been made yet", table);
}

static bool in_home(const char *home, QueueFiles *ret, Err *err) {
    char folder[512];
    int len = snprintf(folder, sizeof folder, "%s/db", home);
    if (len < 0 || (size_t)len > sizeof folder - 40)
        return err_set(err, &ERR_CONFIG, "the home's path is too long");
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return err_set_errno(err, &ERR_CONFIG, errno, "folder db");
    snprintf(ret->queue, sizeof ret->queue, "sqlite:%.480s/queue.db", folder);
    snprintf(ret->marks, sizeof ret->marks, "sqlite:%.480s/queue-marks.db", folder);
    return true;
}

bool queue_files(const char *url, const char *home, QueueFiles *ret, Err *err) {
    if (strncmp(url, "sql:", 4) != 0)
        return err_set(err, &ERR_CONFIG, "EVENTS_QUEUE: this engine is not built in");
    const char *db = url + 4;
    if (!*db) return in_home(home, ret, err);
    if (strncmp(db, "sqlite:", 7) != 0)
        return err_set(err, &ERR_CONFIG, "EVENTS_QUEUE: sql: wants nothing or sqlite:PATH behind it");
    size_t stem = strlen(db) - (span_ends(span_of(db), SPAN(".db")) ? 3 : 0);
    if (stem > sizeof ret->marks - 16) return err_set(err, &ERR_CONFIG, "EVENTS_QUEUE: the path is too long");
    snprintf(ret->queue, sizeof ret->queue, "%s", db);
    snprintf(ret->marks, sizeof ret->marks, "%.*s-marks.db", (int)stem, db);
    return true;
}
