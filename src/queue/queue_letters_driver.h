/* Where an engine keeps its dead letters. Inside queue/ only. */
#pragma once
#include "queue/queue_letters.h"
#include "queue/queue_place.h"

typedef struct QueueLettersDriver {
    void *(*free)(void *letters);
    bool (*list)(void *letters, int64_t after, size_t most,
                 void (*each)(void *user, const QueueLetter *letter), void *user, Err *err);
    bool (*get)(void *letters, int64_t number, Arena *arena, QueueLetter *ret, Err *err);
    bool (*requeue)(void *letters, int64_t number, Err *err);
    bool (*discard)(void *letters, int64_t number, Err *err);
} QueueLettersDriver;

/* First member of each engine's own. */
struct QueueLetters {
    const QueueLettersDriver *driver;
};

/* False: *ret is half made (or NULL) and is to be freed. */
bool queue_letters_broker_open(const QueuePlace *place, QueueLetters **ret, Err *err);
bool queue_letters_tables_open(const QueuePlace *place, QueueLetters **ret, Err *err);

static inline bool queue_letter_missing(Err *err) {
    return err_set(err, &ERR_NOT_FOUND, "no such dead letter");
}
/* All texts of it, and its body, in memory of the arena. */
bool queue_letter_keep(QueueLetter *letter, Arena *arena, Err *err);
