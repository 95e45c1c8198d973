/* Dead letters of the command queue, for an operator to decide. One thread. */
#pragma once
#include "base/arena.h"
#include "db/db.h"

typedef struct QueueLetters QueueLetters;
typedef struct QueueLetter {
    int64_t number, dead_at;
    int deliveries, requeues; /* tries of the last time; how often it has been tried again */
    Span tenant_id, issued_by, command_id, command_type, correlation_id, reason; /* empty where unreadable */
    Span body;                                                                   /* packed CommandEnvelope */
} QueueLetter;

/* *ret is NULL where there can be none yet: nobody has made the tables. */
bool queue_letters_open(const char *url, const char *home, QueueLetters **ret, Err *err);
QueueLetters *queue_letters_free(QueueLetters *letters);
AUTO_FREE(QueueLetters, queue_letters_free)
/* How many there are. Only reads, and makes no file: none where nobody has made the tables. */
bool queue_letters_count(const char *url, const char *home, int64_t *ret, Err *err);
/* Those above `after`, at most `most`, in order; without their bodies. Spans live until each() returns. */
bool queue_letters_list(QueueLetters *letters, int64_t after, size_t most,
                        void (*each)(void *user, const QueueLetter *letter), void *user, Err *err);
/* In memory of the arena. ERR_NOT_FOUND. */
bool queue_letters_get(QueueLetters *letters, int64_t number, Arena *arena, QueueLetter *ret, Err *err);
/* Into the queue once more, at its end, under a message id that no broker has seen; gone from here when it is there.
 */
bool queue_letters_requeue(QueueLetters *letters, int64_t number, Err *err);
/* In tables its command is forgotten with it. ERR_NOT_FOUND. */
bool queue_letters_discard(QueueLetters *letters, int64_t number, Err *err);
