/* queue_letters.c - the one header in front of the places where engines keep them. */
#include "queue/queue_letters_driver.h"

bool queue_letters_open(const char *url, const char *home, QueueLetters **ret, Err *err) {
    QueuePlace place;
    AUTO(QueueLetters) l = NULL;
    if (!queue_place(url, home, &place, err)) return false;
    if (!(place.broker ? queue_letters_broker_open(&place, &l, err)
                       : queue_letters_tables_open(&place, &l, err)))
        return false;
    *ret = l;
    l = NULL;
    return true;
}

/* Where they are: a file's marks, a server's table, or beside a broker. */
static const struct {
    const char *table, *count;
} COUNTED[] = {{"queue_mark", "SELECT count(*) FROM queue_mark WHERE state = 2"},
               {"queue_dead", "SELECT count(*) FROM queue_dead"},
               {"command_dead_letter", "SELECT count(*) FROM command_dead_letter"}};

bool queue_letters_count(const char *url, const char *home, int64_t *ret, Err *err) {
    AUTO(Db) db = NULL;
    QueuePlace place;
    Err none = {0};
    *ret = 0;
    if (!queue_place(url, home, &place, err)) return false;
    size_t at = place.broker ? 2 : place.server;
    const char *database = place.broker ? place.dead : place.server ? place.queue : place.marks;
    if (!db_open(database, (DbOptions){.read_only = true}, &db, err)) return false;
    if (!db_has_table(db, COUNTED[at].table, &none)) return true;
    Stmt *s = db_statement(db, COUNTED[at].count);
    if (!stmt_run(s, NULL, err) || !stmt_row(s, err)) return false;
    *ret = stmt_int(s, 0);
    stmt_done(s);
    return true;
}

QueueLetters *queue_letters_free(QueueLetters *l) {
    return l ? l->driver->free(l) : NULL;
}

bool queue_letters_list(QueueLetters *l, int64_t after, size_t most,
                        void (*each)(void *user, const QueueLetter *letter), void *user, Err *err) {
    return l->driver->list(l, after, most, each, user, err);
}
bool queue_letters_get(QueueLetters *l, int64_t number, Arena *arena, QueueLetter *ret, Err *err) {
    return l->driver->get(l, number, arena, ret, err);
}
bool queue_letters_requeue(QueueLetters *l, int64_t number, Err *err) {
    return l->driver->requeue(l, number, err);
}
bool queue_letters_discard(QueueLetters *l, int64_t number, Err *err) {
    return l->driver->discard(l, number, err);
}

bool queue_letter_keep(QueueLetter *letter, Arena *arena, Err *err) {
    Span *const TEXTS[] = {&letter->tenant_id,    &letter->issued_by,      &letter->command_id,
                           &letter->command_type, &letter->correlation_id, &letter->reason,
                           &letter->body};
    for (size_t i = 0; i < COUNT(TEXTS); i++) {
        const char *copy = arena_copy(arena, *TEXTS[i]);
        if (!copy) return err_set(err, &ERR_TOO_LARGE, "the dead letter does not fit in memory");
        TEXTS[i]->at = copy;
    }
    return true;
}
