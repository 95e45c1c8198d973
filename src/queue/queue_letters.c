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
