/* relay_side.c - the writers, the tables of the write database and of the numbering, and the two relays.
 *
 * The tables do what store/outbox/numbers.c and store/outbox/lanes.c promise: numbers only to committed rows, in the order
 * of their ids, in one transaction; lanes leased. Any call may fail, before or after it has taken effect. */
#include "sim/sim.h"

#include "domain/numbering.h"
#include "store/outbox/outbox.h"
#include "store/outbox/outbox_read.h"
#include "wire/envelope.h"
#include <stdio.h>

IN_PLACE_OF(db_dialect);
IN_PLACE_OF(db_is_current);
IN_PLACE_OF(numbers_load);
IN_PLACE_OF(outbox_last_id);
IN_PLACE_OF(outbox_read);
IN_PLACE_OF(numbers_give);
IN_PLACE_OF(numbers_mark);
IN_PLACE_OF(numbers_read);
IN_PLACE_OF(numbers_skip);
IN_PLACE_OF(lanes_number);
IN_PLACE_OF(lanes_claim);
IN_PLACE_OF(lanes_read);
IN_PLACE_OF(lanes_published);
IN_PLACE_OF(numbering_held);

/* ---- writers ---- */

static void pack_row(Row *row, int id) {
    static const char *const TYPES[] = {"SimChanged", "SimRenamed"};
    char subject[24];
    Events__V1__Envelope e = EVENTS__V1__ENVELOPE__INIT;
    snprintf(row->event_id, sizeof row->event_id, "00000000-0000-7000-8000-%012d", id);
    snprintf(subject, sizeof subject, "prospect/%d", row->subject + 1);
    e.event_id = row->event_id;
    e.event_type = (char *)(row->rejected ? "CommandRejected" : TYPES[id % 2]);
    e.subject = subject;
    e.tenant_id = (char *)(row->tenant ? "b" : "a");
    e.issued_by = (char *)(row->user ? "bob" : "ann");
    e.subject_version = row->version;
    uint8_t *bytes = must(arena_alloc(w->arena, events__v1__envelope__get_packed_size(&e) + 1));
    row->body = span_bytes(bytes, events__v1__envelope__pack(&e, bytes));
}

/* A transaction: its row has an id from now on, and can be read when it commits. */
void writer_begins(void) {
    int subject = (int)below(SUBJECTS);
    if (w->busy[subject]) { /* its entity is locked */
        push(w->now + 20 * MS, BEGIN, 0, 0, NULL);
        return;
    }
    int id = ++w->row_count;
    Row *row = &w->rows[id];
    *row = (Row){.subject = subject, .tenant = subject % 2, .user = (int)below(USERS)};
    row->rejected = chance(12);
    row->bad = chance(4);
    row->version = row->rejected ? 0 : w->versions[subject] + 1;
    pack_row(row, id);
    w->busy[subject] = true;
    /* a file has one writer, so that rows appear in the order of their ids */
    push(w->files ? w->now : w->now + below(chance(10) ? 2000 : 20) * MS, COMMIT, 0, id, NULL);
}

void writer_ends(int id) {
    Row *row = &w->rows[id];
    w->busy[row->subject] = false;
    if (trouble(5)) return; /* rolled back */
    row->committed = true;
    w->committed++;
    if (!row->rejected) w->versions[row->subject] = row->version;
    for (int i = 0; i < RELAYS; i++) ring(TO_RELAY, i, "work");
}

/* ---- what numbers mean ---- */

static bool pattern_fits(int pattern, const Row *row, int id) {
    switch (pattern) {
    case 0:
    case 1: return true;             /* everything, prospect/STAR */
    case 2: return row->subject < 2; /* two subjects */
    case 3: return id % 2;           /* one type */
    default: return row->subject == 2 || row->subject == 3;
    }
}

/* Who must get the event of this number from now on. */
static void owe(int64_t number, int id) {
    const Row *row = &w->rows[id];
    if (row->bad) return;
    for (int user = 0; user < USERS; user++)
        for (int p = 0; p < PATTERNS; p++)
            if (row->rejected ? row->user == user : pattern_fits(p, row, id))
                w->masks[row->tenant][user][p] |= UINT64_C(1) << number;
}

static void given(int64_t number, int id) {
    Row *row = &w->rows[id];
    if (!w->restored) {
        if (number != w->highest + 1) fail("a number is missing, or late");
        if (!row->committed || row->number) fail("a row has two numbers, or is not there");
        if (!row->rejected && row->version != ++w->numbered_versions[row->subject])
            fail("numbers do not follow the versions");
    }
    if (number > NUMBERS) {
        fail("too many numbers");
        return;
    }
    row->number = number;
    w->row_of[number] = id;
    if (!w->first_row_of[number]) w->first_row_of[number] = id, owe(number, id);
    if (number > w->highest) w->highest = number;
}

/* ---- the tables of the numbering ---- */

static SimRelay *relay_of(Db *db) {
    return (SimRelay *)(void *)db;
}

static bool away(Db *db, Err *err) {
    if (relay_of(db)->dead) return !err_set(err, &ERR_UNAVAILABLE, "killed");
    return !hiccup(err);
}

/* It is done; whether the answer arrives is another question. */
static bool answered(Err *err) {
    return hiccup(err);
}

DbDialect __wrap_db_dialect(const Db *db) {
    (void)db;
    return w->files ? DB_SQLITE : DB_POSTGRESQL;
}

bool __wrap_db_is_current(const Db *db) {
    (void)db;
    return true;
}

bool __wrap_numbers_load(Db *db, NumbersState *ret, Err *err) {
    *ret = w->numbers;
    return !away(db, err);
}

bool __wrap_outbox_last_id(Db *db, int64_t *ret, Err *err) {
    *ret = w->row_count;
    return !away(db, err);
}

bool __wrap_outbox_read(Db *db, int64_t after, int64_t upto, size_t most, Arena *arena, OutboxRow **rows,
                        size_t *count, Err *err) {
    *count = 0;
    if (away(db, err)) return false;
    *rows = must(arena_alloc(arena, (NUMBERS + 1) * sizeof **rows));
    for (int64_t id = after + 1; id <= w->row_count && id <= upto && *count < most; id++)
        if (w->rows[id].committed) (*rows)[(*count)++] = (OutboxRow){id, w->rows[id].body};
    return true;
}

bool __wrap_numbers_give(Db *db, NumbersState *state, const int64_t *ids, size_t count, Err *err) {
    if (!count) return true;
    if (away(db, err)) return false;
    NumbersState next = *state;
    for (size_t i = 0; i < count; i++) given(++next.last, (int)ids[i]);
    next.last_outbox_id = ids[count - 1];
    w->numbers = next;
    if (!answered(err)) return false;
    *state = next;
    return true;
}

bool __wrap_numbers_mark(Db *db, const NumbersState *state, Err *err) {
    if (away(db, err)) return false;
    w->numbers = *state;
    return answered(err);
}

bool __wrap_numbers_read(Db *db, int64_t from, int64_t to, NumberedRow *rows, size_t most, size_t *count,
                         Err *err) {
    *count = 0;
    if (away(db, err)) return false;
    for (int64_t n = from; n <= to && n <= w->numbers.last && *count < most; n++)
        rows[(*count)++] = (NumberedRow){n, w->row_of[n], w->skipped[n]};
    return true;
}

bool __wrap_numbers_skip(Db *db, int64_t sequence, const char *reason, Span packed, int64_t now_us,
                         Err *err) {
    (void)reason, (void)packed, (void)now_us;
    if (away(db, err)) return false;
    w->skipped[sequence] = true;
    return answered(err);
}

/* ---- lanes ---- */

static bool lane_is_free(const SimLane *lane, const SimRelay *relay) {
    return lane->owner == relay->owner[0] || lane->leased_until < w->now;
}

static LaneRow lane_row(int64_t number) {
    const Row *row = &w->rows[w->row_of[number]];
    return (LaneRow){number, row->subject, w->skipped[number], row->body};
}

static void lease(SimLane *lane, const SimRelay *relay) {
    lane->owner = relay->owner[0];
    lane->leased_until = w->now + 40 * S;
}

static void note_published(const SimRelay *relay, const int64_t published[OUTBOX_LANES]) {
    for (int i = 0; i < OUTBOX_LANES; i++) {
        SimLane *lane = &w->lanes[i];
        if (lane->owner != relay->owner[0]) continue;
        if (published[i] > lane->published) lane->published = published[i];
        lane->leased_until = 0;
    }
}

bool __wrap_lanes_number(Db *db, const char *owner, const int64_t published[OUTBOX_LANES],
                         NumbersState *state, LaneRows *rows, Err *err) {
    (void)owner;
    const SimRelay *relay = relay_of(db);
    int64_t before = w->numbers.last;
    rows->count = rows->given = 0;
    if (away(db, err)) return false;
    if (published) note_published(relay, published);
    for (int id = 1; id <= w->row_count && (size_t)(w->numbers.last - before) < rows->most; id++)
        if (w->rows[id].committed && !w->rows[id].number) given(++w->numbers.last, id);
    bool taken[OUTBOX_LANES] = {false}, seen[OUTBOX_LANES] = {false};
    for (int64_t n = before + 1; n <= w->numbers.last; n++) {
        SimLane *lane = &w->lanes[w->rows[w->row_of[n]].subject];
        int at = (int)(lane - w->lanes);
        if (!seen[at] && lane_is_free(lane, relay) && lane->published >= lane->last) taken[at] = true;
        if (taken[at]) lease(lane, relay);
        seen[at] = true;
        lane->last = n;
    }
    if (!answered(err)) return false;
    *state = w->numbers;
    rows->given = (size_t)(w->numbers.last - before);
    for (int64_t n = before + 1; n <= w->numbers.last; n++)
        if (taken[w->rows[w->row_of[n]].subject]) rows->at[rows->count++] = lane_row(n);
    return true;
}

bool __wrap_lanes_claim(Db *db, const char *owner, LaneRows *rows, bool *elsewhere, Err *err) {
    (void)owner;
    const SimRelay *relay = relay_of(db);
    rows->count = 0;
    *elsewhere = false;
    if (away(db, err)) return false;
    for (int i = 0; i < OUTBOX_LANES; i++) {
        if (w->lanes[i].last <= w->lanes[i].published) continue;
        if (lane_is_free(&w->lanes[i], relay))
            lease(&w->lanes[i], relay);
        else
            *elsewhere = true;
    }
    for (int64_t n = 1; n <= w->numbers.last && rows->count < rows->most; n++) {
        const SimLane *lane = &w->lanes[w->rows[w->row_of[n]].subject];
        if (n > lane->published && lane->owner == relay->owner[0] && lane->leased_until > w->now)
            rows->at[rows->count++] = lane_row(n);
    }
    return answered(err);
}

bool __wrap_lanes_read(Db *db, int64_t from, int64_t to, LaneRows *rows, Err *err) {
    rows->count = 0;
    if (away(db, err)) return false;
    for (int64_t n = from; n <= to && n <= w->numbers.last && rows->count < rows->most; n++)
        rows->at[rows->count++] = lane_row(n);
    return true;
}

bool __wrap_lanes_published(Db *db, const char *owner, const int64_t published[OUTBOX_LANES], Err *err) {
    (void)owner;
    if (away(db, err)) return false;
    note_published(relay_of(db), published);
    return answered(err);
}

/* ---- the topic ---- */

/* The first event that it would never take; count where there is none. */
static size_t first_bad(const Span *packed, size_t count) {
    for (size_t i = 0; i < count; i++) {
        EnvelopePeek p;
        bool read = envelope_peek(packed[i], &p);
        if (read && !span_is(p.event_type, "EventSkipped") && w->rows[w->row_of[p.sequence]].bad) return i;
    }
    return count;
}

/* The planted fault: what stands for an event says nothing of it. */
static Span without_version(Span packed) {
    Events__V1__Envelope *e = envelope_unpack(packed, w->arena);
    if (!e || strcmp(e->event_type, "EventSkipped")) return packed;
    e->subject_version = 0;
    uint8_t *bytes = must(arena_alloc(w->arena, events__v1__envelope__get_packed_size(e) + 1));
    return span_bytes(bytes, events__v1__envelope__pack(e, bytes));
}

static void take(const Span *packed, size_t count) {
    for (size_t i = 0; i < count; i++) {
        Span event = w->fault == FAULT_VERSIONLESS ? without_version(packed[i]) : packed[i];
        event_published(&event, 1);
    }
}

static GridAnswer take_request(void *user, const Span *packed, size_t count) {
    SimRelay *relay = user;
    size_t taken = 1 + below((unsigned)count), bad;
    if (trouble(2)) relay->dead = true;
    if (relay->dead && chance(50)) return (GridAnswer){.outcome = GRID_RETRY, .taken = count};
    if (trouble(8)) return (GridAnswer){.outcome = GRID_RETRY, .taken = count, .status = 503};
    if ((bad = first_bad(packed, taken)) < taken)
        return (GridAnswer){.outcome = taken == 1 ? GRID_BAD : GRID_SPLIT, .taken = taken, .status = 400};
    take(packed, taken);
    if (trouble(4)) return (GridAnswer){.outcome = GRID_RETRY, .taken = count}; /* the answer got lost */
    return (GridAnswer){.outcome = GRID_PUBLISHED, .taken = taken, .status = 200};
}

static void publish(void *user, GridRequest *requests, size_t count) {
    for (size_t i = 0; i < count; i++)
        requests[i].answer = take_request(user, requests[i].packed, requests[i].count);
}

static void rings(void *user, const char *text) {
    if (!((SimRelay *)user)->dead) ring(TO_PROJECTION, 0, text);
}

/* ---- the relays ---- */

void relay_starts(int who) {
    SimRelay *r = &w->relays[who];
    Err err = {0};
    *r = (SimRelay){.owner = {(char)('A' + who)}};
    RelayOptions options = {.numbers = (Db *)(void *)r,
                            .outbox = (Db *)(void *)r,
                            .owner = r->owner,
                            .publish = publish,
                            .part_events = 3,
                            .ring = rings,
                            .user = r};
    r->up = relay_open(&options, w->now, &r->relay, &err);
    r->next_us = w->now;
    if (!r->up) push(w->now + 500 * MS, START, who, 0, NULL);
}

void relay_stops(int who) {
    SimRelay *r = &w->relays[who];
    r->relay = relay_free(r->relay);
    r->up = false;
}

void relay_works(int who) {
    SimRelay *r = &w->relays[who];
    Err err = {0};
    bool more, done = relay_turn(r->relay, w->now, &more, &err);
    int64_t due = relay_due_us(r->relay), poll = w->now + 5 * S;
    if (r->dead) {
        w->crashes++;
        relay_stops(who);
        push(w->now + (1 + below(2500)) * MS, START, who, 0, NULL);
        return;
    }
    if (!relay_healthy(r->relay) && !w->restored) fail("a relay stopped without a reason");
    if (!done) due = w->now + 250 * MS;
    r->next_us = more ? w->now + MS : due < poll ? due : poll;
    if (r->next_us <= w->now) r->next_us = w->now + MS;
}

/* The numbering comes back from a backup that is older than what the projection holds; nobody has told. */
void relays_restored(void) {
    int64_t head = w->stored.head.head;
    if (head < 3 || !w->projector) { /* nothing to be seen yet */
        if (w->now < TROUBLE_ENDS) push(w->now + 300 * MS, RESTORE, 0, 0, NULL);
        return;
    }
    int64_t last = 1 + below((unsigned)head - 1);
    w->restored = true;
    for (int64_t n = last + 1; n <= w->numbers.last; n++)
        w->rows[w->row_of[n]].number = 0, w->skipped[n] = false;
    w->numbers.last_outbox_id = w->row_of[last];
    w->numbers.last = w->numbers.published = last;
    for (int i = 0; i < OUTBOX_LANES; i++) w->lanes[i] = (SimLane){.published = last, .last = last};
    for (size_t i = 0; i < w->heap_count; i++) /* a bell that is bound anew has lost what was rung before */
        if (w->heap[i].kind == TO_RELAY) w->heap[i].at_what = (void *)"work";
    for (int i = 0; i < RELAYS; i++)
        if (w->relays[i].up) relay_stops(i), push(w->now, START, i, 0, NULL);
}

/* The planted fault: what the projection says is not heard. */
bool __real_numbering_held(Numbering *n, Span epoch, int64_t held, int64_t now_us);
bool __wrap_numbering_held(Numbering *n, Span epoch, int64_t held, int64_t now_us) {
    return w->fault != FAULT_REUSED_NUMBER && __real_numbering_held(n, epoch, held, now_us);
}
