/* projection_side.c - the projection's tables, and its program around projector.c. A transaction works on a
 * copy of the tables that replaces them when it commits; it may fail before, or after that. */
#include "sim/sim.h"

#include "app/event_trace.h"
#include "app/projection/projection_rows.h"
#include "store/read/inbox.h"
#include <stdio.h>

#define PROJECTION_DB ((Db *)(void *)&w->stored)

IN_PLACE_OF(db_begin);
IN_PLACE_OF(commit_traced);
IN_PLACE_OF(db_rollback);
IN_PLACE_OF(replay_log_head);
IN_PLACE_OF(replay_log_set_head);
IN_PLACE_OF(replay_log_append);
IN_PLACE_OF(inbox_known);
IN_PLACE_OF(inbox_add);
IN_PLACE_OF(projection_apply);
IN_PLACE_OF(rows_flush);
IN_PLACE_OF(waiting_add);
IN_PLACE_OF(waiting_read);
IN_PLACE_OF(waiting_remove);
IN_PLACE_OF(waiting_each);
IN_PLACE_OF(dead_event_add);

static ReadDb *tables(void) {
    return w->in_transaction ? &w->staged : &w->stored;
}

/* ---- transactions ---- */

bool __wrap_db_begin(Db *db, Err *err) {
    (void)db;
    if (!hiccup(err)) return false;
    w->staged = w->stored;
    memset(w->early, 0, sizeof w->early);
    w->in_transaction = true;
    return true;
}

bool __wrap_commit_traced(Db *db, const TraceGroup *group, Err *err) {
    (void)db, (void)group;
    if (!hiccup(err)) return false;
    w->stored = w->staged;
    w->in_transaction = false;
    return hiccup(err);
}

void __wrap_db_rollback(Db *db) {
    (void)db;
    w->in_transaction = false;
}

/* ---- tables ---- */

bool __wrap_replay_log_head(Db *db, ReplayHead *ret, Err *err) {
    *ret = db == PROJECTION_DB ? tables()->head : w->stored.head;
    const SimGateway *deaf = &w->gateways[1];
    if (w->fault == FAULT_LOST_TAIL && db == (Db *)(void *)deaf && hub_started(deaf->g.hub))
        ret->head = hub_position(deaf->g.hub, NULL).head;
    return hiccup(err);
}

bool __wrap_replay_log_set_head(Db *db, const ReplayHead *head, int64_t before, Err *err) {
    (void)db;
    if (!hiccup(err)) return false;
    if (tables()->head.head != before) return err_set(err, &ERR_CONFLICT, "moved");
    tables()->head = *head;
    return true;
}

void __wrap_replay_log_append(Rows *rows, const ReplayRow *row) {
    (void)rows;
    ReadDb *t = tables();
    if (row->sequence > NUMBERS || t->log[row->sequence].at) {
        fail("two events of one number in the log");
        return;
    }
    char *copy = must(arena_copy(w->arena, row->body));
    t->log[row->sequence] = (Span){copy, row->body.len};
    if (row->sequence > 1 && !t->log[row->sequence - 1].at) fail("the log has a hole");
    if (row->sequence > w->highest) fail("a number that was never given");
    const Row *first = &w->rows[w->first_row_of[row->sequence]];
    if (first->rejected || w->restored) return;
    if (row->subject_version != ++t->versions[first->subject])
        fail("the versions of a subject have a gap, or are in disorder");
}

bool __wrap_inbox_known(Db *db, const Span *ids, size_t count, void (*known)(void *user, Span event_id),
                        void *user, Err *err) {
    (void)db;
    for (size_t i = 0; i < count; i++)
        if (row_of_id(ids[i]) && tables()->inbox >> row_of_id(ids[i]) & 1) known(user, ids[i]);
    return hiccup(err);
}

/* An EventSkipped has an id of its own, and the number of the event that it stands for. */
void __wrap_inbox_add(Rows *rows, Span event_id, int64_t sequence, int64_t now_us) {
    (void)rows, (void)now_us, (void)event_id;
    if (sequence > NUMBERS) return;
    int row = w->first_row_of[sequence];
    tables()->inbox |= UINT64_C(1) << row;
}

bool __wrap_projection_apply(const ProjectionRows *rows, const Events__V1__Envelope *e, Arena *arena,
                             Err *err) {
    (void)rows, (void)arena, (void)err;
    int row = row_of_id(span_of(e->event_id));
    bool skipped = !strcmp(e->event_type, "EventSkipped");
    if (skipped) row = w->first_row_of[e->sequence];
    if (skipped != w->rows[row].bad) fail("skipped by mistake");
    if (row != w->first_row_of[e->sequence]) fail("a number stands for two events");
    if (tables()->applied[row]++) fail("an event was applied twice");
    return true;
}

/* What is early waits in memory until its rows are written. */
bool __wrap_rows_flush(Rows *rows, Db *db, Err *err) {
    (void)db;
    rows_clear(rows);
    if (!hiccup(err)) return false;
    for (int64_t n = 1; n <= NUMBERS && rows == w->early_rows; n++) {
        if (w->early[n].at && !tables()->waiting[n].at) tables()->waiting[n] = w->early[n];
        w->early[n] = SPAN_NONE;
    }
    return true;
}

void __wrap_waiting_add(Rows *rows, int64_t sequence, Span body, int64_t now_us) {
    (void)now_us;
    if (sequence > NUMBERS) {
        fail("a number that was never given");
        return;
    }
    char *copy = must(arena_copy(w->arena, body));
    w->early_rows = rows;
    w->early[sequence] = (Span){copy, body.len};
}

bool __wrap_waiting_read(Db *db, int64_t from, int64_t to, Arena *arena, Span *bodies, Err *err) {
    (void)db, (void)arena;
    for (int64_t n = from; n <= to; n++) bodies[n - from] = tables()->waiting[n];
    return hiccup(err);
}

bool __wrap_waiting_remove(Db *db, int64_t from, int64_t to, Err *err) {
    (void)db;
    for (int64_t n = from; n <= to; n++) tables()->waiting[n] = SPAN_NONE;
    return hiccup(err);
}

bool __wrap_waiting_each(Db *db, void (*each)(void *user, int64_t sequence), void *user, Err *err) {
    (void)db;
    for (int64_t n = 1; n <= NUMBERS; n++)
        if (tables()->waiting[n].at) each(user, n);
    return hiccup(err);
}

bool __wrap_dead_event_add(Db *db, const DeadEvent *event, int64_t now_us, Err *err) {
    (void)db, (void)event, (void)now_us, (void)err;
    fail("a good event went to the dead letters");
    return true;
}

/* ---- the program ---- */

static void rings_held(bool asked) {
    const char *epoch = projector_epoch(w->projector);
    char text[64];
    int64_t held = projector_held(w->projector);
    bool changed = held != w->told_held;
    snprintf(text, sizeof text, "held %s %lld", *epoch ? epoch : "-", (long long)held);
    for (int i = 0; i < RELAYS && (changed || asked); i++) ring(TO_RELAY, i, text);
    for (int i = 0; i < GATEWAYS && changed && *epoch; i++)
        if (w->fault != FAULT_LOST_TAIL || i != 1) ring(TO_GATEWAY, i, text);
    w->told_held = held;
}

static void rings_repairs(void) {
    int64_t from, to;
    char text[64];
    while (projector_due_repair(w->projector, w->now, &from, &to)) {
        w->repairs++;
        snprintf(text, sizeof text, "repair %lld %lld", (long long)from, (long long)to);
        for (int i = 0; i < RELAYS; i++) ring(TO_RELAY, i, text);
    }
    int64_t due = projector_due_us(w->projector);
    w->projection_due_us = due <= w->now ? w->now + 100 * MS : due;
}

void projection_starts(void) {
    Err err = {0};
    w->told_held = -1;
    w->delivered_count = 0;
    w->runs_soon = w->announced = false;
    if (!projector_open(PROJECTION_DB, w->now, &w->projector, &err)) {
        push(w->now + 500 * MS, START, RELAYS, 0, NULL);
        return;
    }
    w->projection_due_us = w->now;
}

void projection_stops(void) {
    w->projector = projector_free(w->projector);
    w->in_transaction = false;
}

static void run_soon(void) {
    if (!w->runs_soon) push(w->now + below(4) * MS, PROJECTION_RUNS, 0, 0, NULL);
    w->runs_soon = true;
}

void projection_receives(const Events__V1__Envelope *event) {
    if (!w->projector || w->delivered_count == COUNT(w->delivered)) {
        if (chance(70))
            push(w->now + 400 * MS, EVENT_TO_PROJECTION, 0, 0, (void *)event); /* the grid tries again */
        return;
    }
    w->delivered[w->delivered_count++] = event;
    run_soon();
}

void projection_hears(const char *text) {
    Span rest, number, verb = span_split(span_of(text), ' ', &rest), epoch = span_split(rest, ' ', &number);
    uint64_t last;
    Err err = {0};
    if (!w->projector || !span_is(verb, "last") || !span_to_u64(number, INT64_MAX, &last)) return;
    if (projector_announced(w->projector, epoch, (int64_t)last, w->now, &err)) w->announced = true;
    run_soon();
}

static void apply_delivered(void) {
    Events__V1__Envelope *events[COUNT(w->delivered)];
    Err err = {0};
    ProjectorItem item = {.events = events, .count = w->delivered_count}, *items[] = {&item};
    int64_t before = w->stored.head.head;
    memcpy(events, w->delivered, w->delivered_count * sizeof *events);
    w->delivered_count = 0;
    bool done = projector_apply(w->projector, items, 1, w->now, &err);
    if (done && projector_held(w->projector) != w->stored.head.head)
        fail("it holds something else than is stored");
    if (w->stored.head.head < before) fail("the prefix has gone back");
    if (!done && w->fault == FAULT_DOUBLE_APPLY) w->stored.head.head -= w->stored.head.head > 0;
    for (size_t i = 0; !done && i < item.count; i++)
        if (chance(70)) push(w->now + 400 * MS, EVENT_TO_PROJECTION, 0, 0, events[i]);
}

void projection_runs(void) {
    w->runs_soon = false;
    if (!w->projector) return;
    bool asked = w->announced;
    w->announced = false;
    if (w->delivered_count) apply_delivered();
    rings_held(asked);
    rings_repairs();
}
