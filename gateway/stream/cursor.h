/* How far one subscription has come, and what it may be given next. Pure: the argument why nothing is missed
 * stands in resume.c; these are its steps. "The loop's position" is the number up to which all events were
 * given to the live subscriptions of that loop. */
#pragma once
#include "store/read/replay_log.h"

typedef struct Cursor {
    bool live;  /* what comes above the loop's position is given to it as it comes */
    bool whole; /* began with the oldest event kept: until it is live, what was trimmed is no gap */
    int64_t at; /* catching up: all up to it has been offered; live: what is at or below it is not given */
} Cursor;

/* A position at or above the loop's is not history: the projection (whose position a page of REST tells), or
 * another gateway, may be a little ahead of this loop. Then the stream begins here, without what the client
 * has already. */
static inline Cursor cursor_begin(bool resumes, int64_t after, int64_t loop_position) {
    int64_t at = !resumes ? loop_position : after > 0 ? after : 0;
    bool live = at >= loop_position;
    return (Cursor){.live = live, .whole = !live && !at, .at = at};
}

/* Is a live event with this number new to it? */
static inline bool cursor_awaits(const Cursor *c, int64_t sequence) {
    return c->live && sequence > c->at;
}

/* A page that ends at `upto` has been offered. True at the seam: it may be live from this instant, which the
 * caller says by cursor_join() once the page has been sent. */
static inline bool cursor_page(Cursor *c, int64_t upto, int64_t loop_position) {
    c->at = upto;
    return upto >= loop_position;
}

static inline void cursor_join(Cursor *c) {
    c->live = true;
    c->whole = false;
}

/* A live one has to catch up again: it was given everything up to `behind`. */
static inline void cursor_fall_back(Cursor *c, int64_t behind) {
    if (c->live && c->at < behind) c->at = behind;
    c->live = false;
}

/* What was offered above `left` has been dropped: it is offered again. */
static inline void cursor_rewind(Cursor *c, int64_t left) {
    c->at = left;
    c->live = false;
}

/* Up to where everything has been offered to it, where the live ones have it up to `live_position`. */
static inline int64_t cursor_offered(const Cursor *c, int64_t live_position) {
    return c->live && c->at < live_position ? live_position : c->at;
}

/* Of the position that a client may store: what this subscription allows of `position`. */
static inline int64_t cursor_allows(const Cursor *c, int64_t position) {
    return !c->live && c->at < position ? c->at : position;
}

/* What the log can say to who has come to `after` in the log of this epoch. */
typedef enum LogAnswer { LOG_PAGE, LOG_TOO_OLD, LOG_OTHER_EPOCH } LogAnswer;
static inline LogAnswer cursor_ask_log(const ReplayHead *head, int64_t oldest, const char *epoch,
                                       int64_t after) {
    if (strcmp(head->epoch, epoch)) return LOG_OTHER_EPOCH;
    return after > 0 && oldest - 1 > after ? LOG_TOO_OLD : LOG_PAGE;
}

/* Up to where a page of the log reaches: to its last row where it is full, else to the prefix, since the log
 * has nothing more of this tenant. `last`: of its rows, `after` where it has none. */
static inline int64_t cursor_page_end(bool full, int64_t last, int64_t head) {
    return full || head < last ? last : head;
}
