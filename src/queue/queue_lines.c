/* queue_lines.c - the order of work, kept in memory so that a claim costs no search through a backlog.
 *
 * Tickets stand twice: in a ring in order of queue_id (its head gives the floor: settled ones leave there),
 * and in the line of their ordering key. A line whose first ticket could be taken stands in the list of
 * runnable lines; an entry there may be out of date and is checked when it comes up. Few tickets are locked
 * or waiting at any time, so their times are an unsorted array that is only looked through when the earliest
 * of them has come. */
#include "queue/queue_lines.h"

#include "base/map.h"
#include <stdlib.h>

struct Line {
    char *key;
    size_t key_len;
    Ticket *first, *last;
    uint64_t claim; /* the last one that locked a ticket here */
    bool runnable;  /* stands in the list */
    Line *next_runnable;
};

struct Lines {
    Map *by_key;
    Ticket **ring; /* in order of queue_id */
    size_t ring_size, head, count, open;
    int64_t last; /* the highest id that was added or skipped */
    Line *first_runnable, *last_runnable;
    Ticket **timed;
    size_t timed_count, timed_size;
    int64_t earliest; /* no timed ticket is due before */
    uint64_t claim;
};

Lines *lines_new(int64_t floor) {
    Lines *l = must(calloc(1, sizeof *l));
    l->by_key = map_new();
    l->ring_size = 1024;
    l->ring = must(calloc(l->ring_size, sizeof *l->ring));
    l->last = floor;
    l->earliest = INT64_MAX;
    return l;
}

static void line_free(Line *line) {
    free(line->key);
    free(line);
}

static Ticket **slot(const Lines *l, size_t index) {
    return &l->ring[(l->head + index) & (l->ring_size - 1)];
}

Lines *lines_free(Lines *l) {
    if (!l) return NULL;
    for (size_t i = 0; i < l->count; i++) free(*slot(l, i));
    for (Line *line = l->first_runnable, *next; line; line = next) {
        next = line->next_runnable;
        line->runnable = false;
        if (!line->first) line_free(line);
    }
    void *line;
    for (size_t at = 0; map_next(l->by_key, &at, NULL, &line);) line_free(line);
    map_free(l->by_key);
    free(l->ring);
    free(l->timed);
    free(l);
    return NULL;
}

Span line_key(const Line *line) {
    return span_bytes(line->key, line->key_len);
}

static void runnable_push(Lines *l, Line *line) {
    if (line->runnable) return;
    line->runnable = true;
    line->next_runnable = NULL;
    if (l->last_runnable)
        l->last_runnable->next_runnable = line;
    else
        l->first_runnable = line;
    l->last_runnable = line;
}

static void runnable_pop(Lines *l) {
    Line *line = l->first_runnable;
    l->first_runnable = line->next_runnable;
    if (!l->first_runnable) l->last_runnable = NULL;
    line->runnable = false;
    if (!line->first) line_free(line);
}

static void ring_grow(Lines *l) {
    Ticket **ring = must(calloc(l->ring_size * 2, sizeof *ring));
    for (size_t i = 0; i < l->count; i++) ring[i] = *slot(l, i);
    free(l->ring);
    l->ring = ring;
    l->ring_size *= 2;
    l->head = 0;
}

Ticket *lines_add(Lines *l, int64_t queue_id, Span key, int deliveries, bool suspect) {
    Line *line = map_get(l->by_key, key);
    if (!line) {
        line = must(calloc(1, sizeof *line));
        line->key = must(malloc(key.len + 1));
        memcpy(line->key, key.at, key.len);
        line->key_len = key.len;
        map_put(l->by_key, key, line);
    }
    Ticket *t = must(calloc(1, sizeof *t));
    *t = (Ticket){.queue_id = queue_id, .deliveries = deliveries, .suspect = suspect, .line = line};
    if (line->last)
        line->last->next = t;
    else
        line->first = t;
    line->last = t;
    if (l->count == l->ring_size) ring_grow(l);
    *slot(l, l->count++) = t;
    l->open++;
    l->last = queue_id;
    runnable_push(l, line); /* this claim takes it or leaves it for the next */
    return t;
}

void lines_skip(Lines *l, int64_t queue_id) {
    l->last = queue_id;
}
int64_t lines_last(const Lines *l) {
    return l->last;
}

Ticket *lines_find(const Lines *l, int64_t queue_id) {
    for (size_t low = 0, high = l->count; low < high;) {
        size_t middle = (low + high) / 2;
        Ticket *t = *slot(l, middle);
        if (t->queue_id == queue_id) return t->state == TICKET_SETTLED ? NULL : t;
        if (t->queue_id < queue_id)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool lines_full(const Lines *l) {
    return l->count >= LINES_MOST;
}

static void timed_add(Lines *l, Ticket *t, int64_t until) {
    t->until = until;
    if (until < l->earliest) l->earliest = until;
    if (t->timed) return;
    if (l->timed_count == l->timed_size) {
        l->timed_size = l->timed_size ? l->timed_size * 2 : 64;
        l->timed = must(realloc(l->timed, l->timed_size * sizeof(Ticket *)));
    }
    l->timed[l->timed_count++] = t;
    t->timed = l->timed_count;
}

static void timed_remove(Lines *l, Ticket *t) {
    if (!t->timed) return;
    Ticket *last = l->timed[--l->timed_count];
    l->timed[t->timed - 1] = last;
    last->timed = t->timed;
    t->timed = 0;
}

void lines_begin(Lines *l, int64_t now) {
    l->claim++;
    if (now < l->earliest) return;
    l->earliest = INT64_MAX;
    for (size_t i = l->timed_count; i-- > 0;) { /* downwards: removal moves the last one here */
        Ticket *t = l->timed[i];
        if (t->until <= now) {
            timed_remove(l, t);
            t->state = TICKET_READY;
            runnable_push(l, t->line);
        } else if (t->until < l->earliest) {
            l->earliest = t->until;
        }
    }
}

/* The first ticket of the line that this claim may take. */
static Ticket *takeable(const Lines *l, const Line *line) {
    Ticket *t = line->first;
    while (t && t->state == TICKET_LOCKED && line->claim == l->claim) t = t->next;
    return t && t->state == TICKET_READY ? t : NULL;
}

bool lines_may_take(const Lines *l, const Ticket *t) {
    return takeable(l, t->line) == t;
}

Ticket *lines_next(Lines *l) {
    while (l->first_runnable) {
        Ticket *t = takeable(l, l->first_runnable);
        if (t) return t;
        runnable_pop(l);
    }
    return NULL;
}

void lines_lock(Lines *l, Ticket *t, int64_t until) {
    t->state = TICKET_LOCKED;
    t->line->claim = l->claim;
    timed_add(l, t, until);
}

void lines_wait(Lines *l, Ticket *t, int64_t until) {
    if (until > 0) {
        t->state = TICKET_WAITING;
        timed_add(l, t, until);
        return;
    }
    timed_remove(l, t);
    t->state = TICKET_READY;
    runnable_push(l, t->line);
}

static void leave_line(Lines *l, Ticket *t) {
    Line *line = t->line;
    Ticket **at = &line->first, *before = NULL;
    while (*at != t) before = *at, at = &before->next;
    *at = t->next;
    if (line->last == t) line->last = before;
    t->line = NULL;
    if (line->first) {
        runnable_push(l, line);
        return;
    }
    map_remove(l->by_key, line_key(line));
    if (!line->runnable) line_free(line); /* else when it comes up in the list */
}

void lines_settle(Lines *l, Ticket *t) {
    timed_remove(l, t);
    leave_line(l, t);
    t->state = TICKET_SETTLED;
    l->open--;
    while (l->count && (*slot(l, 0))->state == TICKET_SETTLED) {
        free(*slot(l, 0));
        l->head = (l->head + 1) & (l->ring_size - 1);
        l->count--;
    }
}

size_t lines_open(const Lines *l) {
    return l->open;
}

int64_t lines_floor(const Lines *l) {
    return l->count ? (*slot(l, 0))->queue_id - 1 : l->last;
}

int64_t lines_next_due(const Lines *l) {
    int64_t due = -1;
    for (size_t i = 0; i < l->timed_count; i++) {
        const Ticket *t = l->timed[i];
        if (t->state == TICKET_WAITING && (due < 0 || t->until < due)) due = t->until;
    }
    return due;
}
