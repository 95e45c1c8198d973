/* What the projection has received (read.db): events applied, events that came before their predecessors, and
 * events that nobody can read. All inside the caller's transaction, by the thread that owns the connection.
 */
#pragma once
#include "base/arena.h"
#include "store/rows.h"

/* Calls known() for those of the ids that have been applied before, under whatever number. */
bool inbox_known(Db *db, const Span *event_ids, size_t count, void (*known)(void *user, Span event_id),
                 void *user, Err *err);
extern const RowShape INBOX_ROWS;
void inbox_add(Rows *rows, Span event_id, int64_t sequence, int64_t now_us);

/* body: packed Envelope with numbers. The same number again changes nothing. */
extern const RowShape WAITING_ROWS;
void waiting_add(Rows *rows, int64_t sequence, Span body, int64_t now_us);
/* The events waiting under these numbers, in memory of the arena: bodies[0] is that of `from`, and has
 * at == NULL where there is none. */
bool waiting_read(Db *db, int64_t from, int64_t to, Arena *arena, Span *bodies, Err *err);
bool waiting_remove(Db *db, int64_t from, int64_t to, Err *err);
/* The numbers that wait, ascending. */
bool waiting_each(Db *db, void (*each)(void *user, int64_t sequence), void *user, Err *err);

typedef struct DeadEvent {
    int64_t sequence;          /* 0 where not known */
    Span event_id, event_type; /* may be empty */
    Span body;                 /* packed Envelope, or its own bytes of the delivery where it is none */
    const char *reason;
    size_t index; /* place in the delivery, tells bad events of one body apart */
} DeadEvent;
/* Keeps it for an operator. The same again changes nothing. */
bool dead_event_add(Db *db, const DeadEvent *event, int64_t now_us, Err *err);
