/* queue_letters.c - first into the queue, then out of the table: cut between the two it is there twice, and
 * the command has its effect once all the same. */
#include "queue/queue_letters.h"

#include "queue/queue_dead.h"
#include "queue/queue_driver.h"

struct QueueLetters {
    QueuePlace place;
    Db *db;
};

bool queue_letters_open(const char *url, const char *home, QueueLetters **ret, Err *err) {
    AUTO(QueueLetters) l = must(calloc(1, sizeof *l));
    *ret = NULL;
    if (!queue_place(url, home, &l->place, err)) return false;
    if (!l->place.broker) return true;
    if (!db_open(l->place.dead, (DbOptions){0}, &l->db, err) || !queue_dead_migrate(l->db, err)) return false;
    *ret = l;
    l = NULL;
    return true;
}

QueueLetters *queue_letters_free(QueueLetters *l) {
    if (!l) return NULL;
    db_free(l->db);
    free(l);
    return NULL;
}

#define COLUMNS                                                                                              \
    "dead_letter_id, dead_at, deliveries, requeues, tenant_id, issued_by, command_id, command_type,"         \
    " correlation_id, reason"

static QueueLetter letter_of(Stmt *s) {
    return (QueueLetter){.number = stmt_int(s, 0),
                         .dead_at = stmt_int(s, 1),
                         .deliveries = (int)stmt_int(s, 2),
                         .requeues = (int)stmt_int(s, 3),
                         .tenant_id = stmt_text(s, 4),
                         .issued_by = stmt_text(s, 5),
                         .command_id = stmt_text(s, 6),
                         .command_type = stmt_text(s, 7),
                         .correlation_id = stmt_text(s, 8),
                         .reason = stmt_text(s, 9)};
}

bool queue_letters_list(QueueLetters *l, int64_t after, size_t most,
                        void (*each)(void *user, const QueueLetter *letter), void *user, Err *err) {
    Err fault = {0};
    Stmt *s = db_statement(l->db, "SELECT " COLUMNS " FROM command_dead_letter WHERE dead_letter_id > ?"
                                  " ORDER BY dead_letter_id {limit}");
    stmt_bind_int(s, 1, after);
    stmt_bind_int(s, 2, (int64_t)most);
    if (!stmt_run(s, NULL, err)) return false;
    while (stmt_row(s, &fault)) {
        QueueLetter letter = letter_of(s);
        each(user, &letter);
    }
    return !fault.kind || err_set(err, fault.kind, "%s", fault.why);
}

static bool not_found(Err *err) {
    return err_set(err, &ERR_NOT_FOUND, "no such dead letter");
}

static bool keep(Arena *arena, Span *s) {
    const char *copy = arena_copy(arena, *s);
    *s = span_bytes(copy, copy ? s->len : 0);
    return copy != NULL;
}

/* The row, with what only a requeue wants. */
static bool read_row(QueueLetters *l, int64_t number, Arena *arena, QueueLetter *ret, AmqpCommand *command,
                     Err *err) {
    Err fault = {0};
    Stmt *s = db_statement(l->db, "SELECT " COLUMNS ", ordering_key, body, body_hash, accepted_at"
                                  " FROM command_dead_letter WHERE dead_letter_id = ?");
    stmt_bind_int(s, 1, number);
    if (!stmt_run(s, NULL, err)) return false;
    if (!stmt_row(s, &fault)) return fault.kind ? err_set(err, fault.kind, "%s", fault.why) : not_found(err);
    *ret = letter_of(s);
    command->ordering_key = stmt_text(s, 10);
    ret->body = stmt_blob(s, 11);
    command->body_hash = (uint64_t)stmt_int(s, 12);
    command->accepted_at = stmt_int(s, 13);
    Span *const TEXTS[] = {&ret->tenant_id,      &ret->issued_by, &ret->command_id,       &ret->command_type,
                           &ret->correlation_id, &ret->reason,    &command->ordering_key, &ret->body};
    bool kept = true;
    for (size_t i = 0; i < COUNT(TEXTS); i++) kept = kept && keep(arena, TEXTS[i]);
    stmt_done(s);
    return kept || err_set(err, &ERR_TOO_LARGE, "the dead letter does not fit in memory");
}

bool queue_letters_get(QueueLetters *l, int64_t number, Arena *arena, QueueLetter *ret, Err *err) {
    AmqpCommand command = {0};
    return read_row(l, number, arena, ret, &command, err);
}

static bool send_again(QueueLetters *l, const QueueLetter *letter, const AmqpCommand *command, Err *err) {
    QueueSendEngine *engine = NULL;
    QueueSend send = {.tenant_id = letter->tenant_id,
                      .issued_by = letter->issued_by,
                      .command_id = letter->command_id,
                      .ordering_key = command->ordering_key,
                      .body = letter->body,
                      .body_hash = command->body_hash,
                      .requeues = (unsigned)letter->requeues + 1};
    QueueSend *sends[] = {&send};
    bool sent = queue_amqp_sender_open(&l->place, &engine, err) && engine->driver->store(engine, sends, 1);
    if (!sent) err_set(err, send.err.kind ? send.err.kind : &ERR_UNAVAILABLE, "%s", send.err.why);
    if (engine) engine->driver->free(engine);
    return sent;
}

bool queue_letters_requeue(QueueLetters *l, int64_t number, Err *err) {
    AUTO(Arena) arena = arena_new(0);
    AmqpCommand command = {0};
    QueueLetter letter;
    if (!read_row(l, number, arena, &letter, &command, err)) return false;
    if (!letter.command_id.len)
        return err_set(err, &ERR_INVALID, "the command cannot be read; it can only be discarded");
    return send_again(l, &letter, &command, err) && queue_letters_discard(l, number, err);
}

bool queue_letters_discard(QueueLetters *l, int64_t number, Err *err) {
    int64_t gone;
    Stmt *s = db_statement(l->db, "DELETE FROM command_dead_letter WHERE dead_letter_id = ?");
    stmt_bind_int(s, 1, number);
    if (!stmt_run(s, &gone, err)) return false;
    return gone > 0 || not_found(err);
}
