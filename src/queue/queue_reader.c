/* queue_reader.c - looks into the queue without touching it. In files the marks are another program's, which
 * may not be there yet: then nothing can be dead. A broker cannot be searched: there only the dead are known,
 * and what looks like a command's id may be waiting. */
#include "queue/queue.h"

#include "base/uuid.h"
#include "queue/queue_dead.h"
#include "queue/queue_place.h"
#include <stdio.h>

struct QueueReader {
    QueuePlace place;
    Db *queue, *marks; /* marks, and of a broker the dead letters: NULL until its file has tables */
};

bool queue_reader_open(const char *url, const char *home, QueueReader **ret, Err *err) {
    AUTO(QueueReader) reader = must(calloc(1, sizeof *reader));
    if (!queue_place(url, home, &reader->place, err)) return false;
    if (!reader->place.broker &&
        (!db_open(reader->place.queue, (DbOptions){.read_only = true}, &reader->queue, err) ||
         !db_has_table(reader->queue, "command_queue", err)))
        return false;
    *ret = reader;
    reader = NULL;
    return true;
}

QueueReader *queue_reader_free(QueueReader *reader) {
    if (!reader) return NULL;
    db_free(reader->queue);
    db_free(reader->marks);
    free(reader);
    return NULL;
}

static bool marks_ready(QueueReader *reader, const char *url, const char *table, Err *err) {
    if (reader->marks) return true;
    if (!db_open(url, (DbOptions){.read_only = true}, &reader->marks, err)) return false;
    if (db_has_table(reader->marks, table, err)) return true;
    reader->marks = db_free(reader->marks);
    return false;
}

static bool is_dead(QueueReader *reader, int64_t queue_id, bool *dead, Err *err) {
    Err none = {0};
    *dead = false;
    if (!reader->place.server && !marks_ready(reader, reader->place.marks, "queue_mark", &none)) return true;
    Db *db = reader->place.server ? reader->queue : reader->marks;
    Stmt *s =
        db_statement(db, reader->place.server ? "SELECT 1 FROM queue_dead WHERE queue_id = ?"
                                              : "SELECT 1 FROM queue_mark WHERE queue_id = ? AND state = 2");
    stmt_bind_int(s, 1, queue_id);
    if (!stmt_run(s, NULL, err)) return db_recover(db, NULL), false;
    *dead = stmt_row(s, err);
    stmt_done(s);
    return true;
}

static bool find_at_broker(QueueReader *reader, Span tenant_id, Span issued_by, Span command_id,
                           QueueState *ret, char correlation_id[160], Err *err) {
    Uuid id;
    Err fault = {0};
    bool dead = false;
    correlation_id[0] = 0;
    if (!uuid_parse(command_id, &id)) return true;
    if (marks_ready(reader, reader->place.dead, "command_dead_letter", &fault)) {
        if (!queue_dead_find(reader->marks, tenant_id, issued_by, command_id, &dead, correlation_id, err))
            return false;
    } else if (*reader->place.amqp.dead) {
        return err_set(err, fault.kind, "%s", fault.why); /* of a file that is not there nobody is dead */
    }
    *ret = dead ? QUEUE_DEAD : QUEUE_PENDING;
    return true;
}

bool queue_find(QueueReader *reader, Span tenant_id, Span issued_by, Span command_id, QueueState *ret,
                char correlation_id[160], Err *err) {
    *ret = QUEUE_UNKNOWN;
    if (reader->place.broker)
        return find_at_broker(reader, tenant_id, issued_by, command_id, ret, correlation_id, err);
    Stmt *s = db_statement(reader->queue, "SELECT queue_id, correlation_id FROM command_queue"
                                          " WHERE tenant_id = ? AND issued_by = ? AND command_id = ?");
    stmt_bind_text(s, 1, tenant_id);
    stmt_bind_text(s, 2, issued_by);
    stmt_bind_text(s, 3, command_id);
    if (!stmt_run(s, NULL, err)) return db_recover(reader->queue, NULL), false;
    Err fault = {0};
    if (!stmt_row(s, &fault)) return fault.kind ? err_set(err, fault.kind, "%s", fault.why) : true;
    int64_t queue_id = stmt_int(s, 0);
    Span correlation = stmt_text(s, 1);
    snprintf(correlation_id, 160, "%.*s", SPAN_ARGS(correlation));
    stmt_done(s);
    bool dead;
    if (!is_dead(reader, queue_id, &dead, err)) return false;
    *ret = dead ? QUEUE_DEAD : QUEUE_PENDING;
    return true;
}
