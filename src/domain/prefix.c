#include "domain/prefix.h"

#include <string.h>

/* The state is the list of holes, in ascending order and never touching one another, and `last`, the highest
 * number known to exist. Everything at or below `last` that is in no hole is held, so the prefix is the
 * number before the first hole, or `last` where there is none.
 *
 * Two kinds of hole differ in when they are due. An inner hole has held numbers above it: it was overtaken,
 * and is due a second after that. The tail reaches up to `last`: it was announced and may well be on its way
 * in order, so its clock starts anew whenever its front moves; it is due when nothing has come for a second.
 * Without that, a busy but healthy stream would be repaired all the time, and the repairs would make it
 * busier.
 *
 * A big hole is asked for in parts. `asked` is the end of the part asked for; once the front has passed it,
 * the next part is due at once, and as long as the front moves, nothing is asked twice. When it does not,
 * requests go on for ever at doubling distances. A tail that only gets longer does not shorten them: while
 * nothing comes at all, each request lies down behind the others and makes the way back longer. What does is to
 * hear that the numbers can be had now; once for each of them, so that a request that is in vain all the same
 * backs off like any other. */
typedef struct Hole {
    int64_t from, to; /* both missing */
    int64_t since_us;
    int64_t due_us;
    int64_t delay_us; /* until the request after the next one */
    int64_t asked;    /* the last number asked for; 0: none yet */
} Hole;

struct Prefix {
    Hole *holes;
    size_t count, size;
    int64_t last;
    int64_t available; /* the highest number that is known to be had where it is asked for */
};

Prefix *prefix_new(int64_t start) {
    Prefix *p = must(calloc(1, sizeof *p));
    p->last = p->available = start;
    return p;
}

Prefix *prefix_free(Prefix *p) {
    if (p) free(p->holes);
    free(p);
    return NULL;
}

int64_t prefix_held(const Prefix *p) {
    return p->count ? p->holes[0].from - 1 : p->last;
}
int64_t prefix_last(const Prefix *p) {
    return p->last;
}
size_t prefix_holes(const Prefix *p) {
    return p->count;
}

/* Index of the first hole that ends at or above the number; count where none does. */
static size_t hole_find(const Prefix *p, int64_t number) {
    size_t low = 0, high = p->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (p->holes[middle].to < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool in_hole(const Prefix *p, size_t index, int64_t number) {
    return index < p->count && p->holes[index].from <= number;
}

bool prefix_has(const Prefix *p, int64_t number) {
    return number <= p->last && !in_hole(p, hole_find(p, number), number);
}

static Hole *hole_insert(Prefix *p, size_t index, Hole hole) {
    if (p->count == p->size) {
        p->size = p->size ? p->size * 2 : 8;
        p->holes = must(realloc(p->holes, p->size * sizeof *p->holes));
    }
    memmove(p->holes + index + 1, p->holes + index, (p->count - index) * sizeof *p->holes);
    p->count++;
    p->holes[index] = hole;
    return &p->holes[index];
}

static void holes_remove(Prefix *p, size_t index, size_t count) {
    memmove(p->holes + index, p->holes + index + count, (p->count - index - count) * sizeof *p->holes);
    p->count -= count;
}

static Hole hole_fresh(int64_t from, int64_t to, int64_t now_us) {
    return (Hole){.from = from,
                  .to = to,
                  .since_us = now_us,
                  .due_us = now_us + PREFIX_PATIENCE_US,
                  .delay_us = PREFIX_PATIENCE_US};
}

static bool is_tail(const Prefix *p, const Hole *h) {
    return h->to == p->last;
}

/* Something has come behind it: a request that was backing off must not make the numbers that are new to it
 * wait. */
static void hole_changed(Hole *h, int64_t now_us) {
    int64_t due = now_us + PREFIX_PATIENCE_US;
    h->delay_us = PREFIX_PATIENCE_US;
    if (due < h->due_us) h->due_us = due;
}

/* Numbers above the tail have come: it is an inner hole from now on. */
static void tail_overtaken(Hole *h, int64_t now_us) {
    if (h->asked >= h->to)
        hole_changed(h, now_us);
    else
        *h = hole_fresh(h->from, h->to, now_us);
}

/* The front of the hole has moved: what it lacks is on its way. Behind what has been asked for many times it may pause
 * for as long, so the distance stays until all that was asked for has come. */
static void hole_moved(Prefix *p, Hole *h, int64_t now_us) {
    if (is_tail(p, h)) h->since_us = now_us;
    if (!is_tail(p, h) && !h->asked) return;
    h->due_us = now_us + h->delay_us;
    if (h->asked && h->from > h->asked) {
        h->asked = 0;
        h->delay_us = PREFIX_PATIENCE_US;
        h->due_us = now_us;
    }
}

/* A number inside the hole has come. What lies before it has now been overtaken. */
static bool hole_split(Prefix *p, size_t index, int64_t number, int64_t now_us) {
    if (p->count == PREFIX_HOLES_MAX) return false;
    Hole rest = p->holes[index];
    rest.from = number + 1;
    if (rest.asked < rest.from) rest.asked = 0;
    hole_insert(p, index + 1, rest);
    Hole *h = &p->holes[index];
    if (is_tail(p, h)) tail_overtaken(h, now_us);
    h->to = number - 1;
    return true;
}

static PrefixOffer offer_in_hole(Prefix *p, size_t index, int64_t number, int64_t now_us) {
    Hole *h = &p->holes[index];
    bool next = index == 0 && number == h->from;
    if (h->from == h->to) {
        holes_remove(p, index, 1);
    } else if (number == h->from) {
        h->from++;
        hole_moved(p, h, now_us);
    } else if (number == h->to) {
        if (is_tail(p, h)) tail_overtaken(h, now_us);
        h->to--;
    } else if (!hole_split(p, index, number, now_us)) {
        return PREFIX_FULL;
    }
    return next ? PREFIX_NEXT : PREFIX_EARLY;
}

/* The missing numbers above the last one known, up to `to`. False where there are too many holes already. */
static bool tail_extend(Prefix *p, int64_t to, int64_t now_us) {
    if (to <= p->last) return true;
    if (p->count && is_tail(p, &p->holes[p->count - 1])) {
        p->holes[p->count - 1].to = to;
    } else {
        if (p->count == PREFIX_HOLES_MAX) return false;
        hole_insert(p, p->count, hole_fresh(p->last + 1, to, now_us));
    }
    p->last = to;
    return true;
}

PrefixOffer prefix_offer(Prefix *p, int64_t number, int64_t now_us) {
    size_t index = hole_find(p, number);
    if (in_hole(p, index, number)) return offer_in_hole(p, index, number, now_us);
    if (number <= p->last) return PREFIX_DUPLICATE;
    if (!tail_extend(p, number - 1, now_us)) return PREFIX_FULL;
    if (p->count && is_tail(p, &p->holes[p->count - 1])) tail_overtaken(&p->holes[p->count - 1], now_us);
    p->last = number;
    return p->count ? PREFIX_EARLY : PREFIX_NEXT;
}

/* Where there is too much to repair already, the announcement is dropped: it will be repeated. */
void prefix_known_last(Prefix *p, int64_t last, int64_t now_us) {
    tail_extend(p, last, now_us);
}

void prefix_available(Prefix *p, int64_t to, int64_t now_us) {
    for (size_t i = 0; i < p->count && p->holes[i].from <= to; i++) {
        Hole *h = &p->holes[i];
        int64_t due = h->since_us + PREFIX_PATIENCE_US;
        if (h->from <= p->available) continue;
        if (due < now_us) due = now_us;
        if (due < h->due_us) h->due_us = due;
        h->delay_us = PREFIX_PATIENCE_US;
    }
    if (to > p->available) p->available = to;
}

void prefix_advance(Prefix *p, int64_t to, int64_t now_us) {
    holes_remove(p, 0, hole_find(p, to));
    if (to > p->last) p->last = to;
    if (!in_hole(p, 0, to)) return;
    Hole *h = &p->holes[0];
    h->from = to + 1;
    if (h->from > h->to)
        holes_remove(p, 0, 1);
    else
        hole_moved(p, h, now_us);
}

bool prefix_due_repair(Prefix *p, int64_t now_us, int64_t *from, int64_t *to) {
    for (size_t i = 0; i < p->count; i++) {
        Hole *h = &p->holes[i];
        if (h->due_us > now_us) continue;
        *from = h->from;
        *to = h->to - h->from < PREFIX_REPAIR_MAX ? h->to : h->from + PREFIX_REPAIR_MAX - 1;
        h->asked = *to;
        h->due_us = now_us + h->delay_us;
        h->delay_us = h->delay_us * 2 < PREFIX_BACK_OFF_MAX_US ? h->delay_us * 2 : PREFIX_BACK_OFF_MAX_US;
        return true;
    }
    return false;
}

int64_t prefix_next_due_us(const Prefix *p) {
    int64_t due = PREFIX_NEVER;
    for (size_t i = 0; i < p->count; i++)
        if (p->holes[i].due_us < due) due = p->holes[i].due_us;
    return due;
}

bool prefix_hole(const Prefix *p, size_t index, int64_t *from, int64_t *to, int64_t *since_us) {
    if (index >= p->count) return false;
    *from = p->holes[index].from;
    *to = p->holes[index].to;
    *since_us = p->holes[index].since_us;
    return true;
}
