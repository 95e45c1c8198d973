/* Who may be handled next: messages that have been read but are not settled, in one line per ordering key.
 * Pure: no I/O and no clock. Inside queue/ only. */
#pragma once
#include "base/auto.h"
#include "base/span.h"

typedef enum TicketState { TICKET_READY, TICKET_LOCKED, TICKET_WAITING, TICKET_SETTLED } TicketState;

typedef struct Line Line;
typedef struct Ticket {
    int64_t queue_id;
    int64_t until; /* locked: end of the lease; waiting: when it becomes ready */
    TicketState state;
    int deliveries;
    bool suspect; /* its process died while it was locked: to be handled alone */
    size_t timed; /* place among the timed ones, from 1; 0 where there is no time to watch */
    Line *line;
    struct Ticket *next; /* in its line */
} Ticket;

typedef struct Lines Lines;
enum { LINES_MOST = 1 << 16 };

Lines *lines_new(int64_t floor);
Lines *lines_free(Lines *l);
AUTO_FREE(Lines, lines_free)

/* Ids come in ascending order. The ticket lives until it and all before it are settled. */
Ticket *lines_add(Lines *l, int64_t queue_id, Span key, int deliveries, bool suspect);
/* An id that needs no ticket: it is settled already. */
void lines_skip(Lines *l, int64_t queue_id);
int64_t lines_last(const Lines *l);                   /* the highest id added or skipped */
Ticket *lines_find(const Lines *l, int64_t queue_id); /* not settled; NULL where there is none */
bool lines_full(const Lines *l);
Span line_key(const Line *line); /* lives as long as the line has tickets */

/* A claim begins: leases and waits that are over by `now` end. */
void lines_begin(Lines *l, int64_t now);
/* May this claim take the ticket? Not while one of its line before it is ready, waiting, or locked by another
 * claim. */
bool lines_may_take(const Lines *l, const Ticket *t);
/* The next one among those passed over so far; NULL where there is none. */
Ticket *lines_next(Lines *l);
void lines_lock(Lines *l, Ticket *t, int64_t until);
void lines_wait(Lines *l, Ticket *t, int64_t until); /* gives it back; until 0: ready at once */
void lines_settle(Lines *l, Ticket *t);

size_t lines_open(const Lines *l);      /* tickets that are not settled */
int64_t lines_floor(const Lines *l);    /* every id up to this one is settled */
int64_t lines_next_due(const Lines *l); /* of the waiting ones; -1 where none waits */
