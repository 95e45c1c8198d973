/* The durable command queue: send, peek-lock, settle. One header for every engine. */
#pragma once
#include "base/arena.h"
#include "db/db.h"
#include "io/loop.h"

/* --- the sending side (gateway) --- */
typedef struct QueueSender QueueSender;

typedef enum QueueVerdict {
    QUEUE_ACCEPTED, /* durable now */
    QUEUE_REPEATED, /* the same command was accepted before: the answer is the same */
    QUEUE_CONFLICT, /* the id was taken by another body: 422 */
    QUEUE_FAILED,   /* nothing is known to be stored; send_err says why */
} QueueVerdict;

/* Embedded in the caller's struct. Everything it points to must live until done(). */
typedef struct QueueSend {
    Span tenant_id, issued_by, command_id, ordering_key;
    Span body;                  /* packed CommandEnvelope */
    uint64_t body_hash;         /* of the command's own message, without its id: what "the same" means */
    unsigned requeues;          /* how often it has come back from the dead letters */
    const char *correlation_id; /* in: of this request; out: of the first one where repeated (char[160]) */
    char first_correlation_id[160];
    QueueVerdict verdict;
    Err err;
    void (*done)(struct QueueSend *send); /* on the loop that called queue_send() */
    void *reserved[8];
} QueueSend;

/* url: "sql:" (its own SQLite file <home>/db/queue.db), "sql:sqlite:PATH", "sql:postgresql://..." or
 * "amqp[s]://user:password@host:port/queue" (amqp_url.h). A broker cannot be searched: there each send is
 * QUEUE_ACCEPTED, and the handler finds what has been before. One sender per process, shared by its loops; on a server there may be many processes, for sending and for
 * handling. */
bool queue_sender_open(const char *url, const char *home, QueueSender **ret, Err *err);
QueueSender *queue_sender_free(QueueSender *sender);
AUTO_FREE(QueueSender, queue_sender_free)
bool queue_send(QueueSender *sender, Loop *home, QueueSend *send, Err *err); /* ERR_UNAVAILABLE when full */
/* Called (on any thread) after each commit, e.g. to ring the handler. */
void queue_on_commit(QueueSender *sender, void (*committed)(void *user), void *user);

/* For how long a settled command is remembered, in tables; without it for ever. Once, before the first send. What is
 * older goes in small transactions of the thread that writes, after work at most once an hour. */
void queue_keep(QueueSender *sender, int64_t seconds);

/* --- the handling side (prospect service) --- */
typedef struct QueueReceiver QueueReceiver;
typedef struct QueueMessage {
    int64_t queue_id;
    int deliveries; /* 1 the first time */
    Span body;      /* packed CommandEnvelope; lives until the next queue_claim() */
    uint64_t body_hash;
    int64_t accepted_at;
    Span key; /* of ordering, tenant included: after a failed message the later ones of its key go back too */
} QueueMessage;

enum { QUEUE_TRIES = 5, QUEUE_LANES = 64 };

bool queue_receiver_open(const char *url, const char *home, QueueReceiver **ret, Err *err);
/* One of `workers` of this home, where the engine is no file; each has a number of its own, the same after a restart.
 * A broker's lanes are shared out among them, tables are worked off by whoever looks first. */
bool queue_receiver_open_worker(const char *url, const char *home, unsigned worker, unsigned workers,
                                QueueReceiver **ret, Err *err);
QueueReceiver *queue_receiver_free(QueueReceiver *receiver);
AUTO_FREE(QueueReceiver, queue_receiver_free)
/* Locks up to `most` messages for lease_ms, in order within each ordering key (a key with a message waiting,
 * or locked by an earlier claim, is passed over). A message that was locked when its process died comes
 * alone, so that one that kills its handler takes no other with it. *ret lives until the next claim. */
bool queue_claim(QueueReceiver *receiver, size_t most, int64_t lease_ms, QueueMessage **ret, size_t *count,
                 Err *err);
bool queue_complete(QueueReceiver *receiver, const int64_t *queue_ids, size_t count, Err *err);
/* Back to the queue, visible again after delay_ms. counts: was this a try? (an engine's outage is none) */
bool queue_release(QueueReceiver *receiver, int64_t queue_id, int64_t delay_ms, bool counts, Err *err);
bool queue_dead_letter(QueueReceiver *receiver, int64_t queue_id, const char *reason, Err *err);
/* Called (on any thread) when messages have come by themselves; where somebody must ask for them, never. */
void queue_on_arrival(QueueReceiver *receiver, void (*arrived)(void *user), void *user);
/* When the next released message becomes visible, in milliseconds; -1 where none waits. */
int64_t queue_next_due_ms(QueueReceiver *receiver);
/* How many messages are not settled, and how many were given up. Costs a query or two: for who works, not for
 * who asks. -1, -1 where the engine does not tell. */
typedef struct QueueDepth {
    int64_t waiting, dead;
} QueueDepth;
bool queue_depth(QueueReceiver *receiver, QueueDepth *ret, Err *err);

/* --- looking (gateway's GET /api/commands/{id}, eventsctl) --- */
typedef enum QueueState { QUEUE_UNKNOWN, QUEUE_PENDING, QUEUE_DEAD } QueueState;
typedef struct QueueReader QueueReader;
bool queue_reader_open(const char *url, const char *home, QueueReader **ret, Err *err);
QueueReader *queue_reader_free(QueueReader *reader);
AUTO_FREE(QueueReader, queue_reader_free)
bool queue_find(QueueReader *reader, Span tenant_id, Span issued_by, Span command_id, QueueState *ret,
                char correlation_id[160], Err *err);
