/* queue_letters_broker.c - first into the queue, then out of the table: cut between the two it is there twice, and
 * the command has its effect once all the same. */
#include "queue/queue_letters_driver.h"

#include "queue/queue_dead.h"
#include "queue/queue_driver.h"

typedef struct BrokerLetters {
    QueueLetters base;
    QueuePlace place;
    Db *db;
} BrokerLetters;

static void *free_broker(void *letters) {
    BrokerLetters *l = letters;
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

static bool list(void *letters, int64_t after, size_t most,
                 void (*each)(void *user, const QueueLetter *letter), void *user, Err *err) {
    BrokerLetters *l = letters;
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

/* The row, with what only a requeue wants. */
static bool read_row(BrokerLetters *l, int64_t number, Arena *arena, QueueLetter *ret, AmqpCommand *command,
                     Err *err) {
    Err fault = {0};
    Stmt *s = db_statement(l->db, "SELECT " COLUMNS ", ordering_key, body, body_hash, accepted_at"
                                  " FROM command_dead_letter WHERE dead_letter_id = ?");
    stmt_bind_int(s, 1, number);
    if (!stmt_run(s, NULL, err)) return false;
    if (!stmt_row(s, &fault))
        return fault.kind ? err_set(err, fault.kind, "%s", fault.why) : queue_letter_missing(err);
    *ret = letter_of(s);
    command->ordering_key = stmt_text(s, 10);
    ret->body = stmt_blob(s, 11);
    command->body_hash = (uint64_t)stmt_int(s, 12);
    command->accepted_at = stmt_int(s, 13);
    const char *key = arena_copy(arena, command->ordering_key);
    command->ordering_key = span_bytes(key, key ? command->ordering_key.len : 0);
    bool kept = queue_letter_keep(ret, arena, err) && key;
    stmt_done(s);
    return kept || err_set(err, &ERR_TOO_LARGE, "the dead letter does not fit in memory");
}

static bool get(void *letters, int64_t number, Arena *arena, QueueLetter *ret, Err *err) {
    BrokerLetters *l = letters;
    AmqpCommand command = {0};
    return read_row(l, number, arena, ret, &command, err);
}

static bool send_again(BrokerLetters *l, const QueueLetter *letter, const AmqpCommand *command, Err *err) {
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

static bool discard(void *letters, int64_t number, Err *err) {
    BrokerLetters *l = letters;
    int64_t gone;
    Stmt *s = db_statement(l->db, "DELETE FROM command_dead_letter WHERE dead_letter_id = ?");
    stmt_bind_int(s, 1, number);
    if (!stmt_run(s, &gone, err)) return false;
    return gone > 0 || queue_letter_missing(err);
}

static bool requeue(void *letters, int64_t number, Err *err) {
    BrokerLetters *l = letters;
    AUTO(Arena) arena = arena_new(0);
    AmqpCommand command = {0};
    QueueLetter letter;
    if (!read_row(l, number, arena, &letter, &command, err)) return false;
    if (!letter.command_id.len)
        return err_set(err, &ERR_INVALID, "the command cannot be read; it can only be discarded");
    return send_again(l, &letter, &command, err) && discard(l, number, err);
}

static const QueueLettersDriver BROKER = {
    .free = free_broker, .list = list, .get = get, .requeue = requeue, .discard = discard};

bool queue_letters_broker_open(const QueuePlace *place, QueueLetters **ret, Err *err) {
    BrokerLetters *l = must(calloc(1, sizeof *l));
    l->base.driver = &BROKER;
    l->place = *place;
    *ret = &l->base; /* freed by the caller, whole or not */
    return db_open(place->dead, (DbOptions){0}, &l->db, err) && queue_dead_migrate(l->db, err);
}
