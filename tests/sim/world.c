/* world.c - chance, time and the network: what happens next, to whom, and whether all is well at the end. */
#include "sim/sim.h"

#include "base/clock.h"
#include "wire/envelope.h"

World *w;

const char *const FAULT_NAMES[FAULTS] = {
    [FAULT_NONE] = "none",
    [FAULT_LOST_TAIL] = "lost-tail",
    [FAULT_POSITION] = "position",
    [FAULT_HELD_BACK] = "held-back",
    [FAULT_VERSIONLESS] = "versionless-skip",
    [FAULT_REUSED_NUMBER] = "reused-number",
    [FAULT_DOUBLE_APPLY] = "double-apply",
    [FAULT_PAGE] = "page",
    [FAULT_LAG] = "lag",
    [FAULT_AHEAD] = "ahead",
    [FAULT_LATE_JOIN] = "late-join",
    [FAULT_SILENT_TRIM] = "silent-trim",
};

unsigned below(unsigned bound) {
    w->random ^= w->random << 13, w->random ^= w->random >> 7, w->random ^= w->random << 17;
    return (unsigned)((w->random >> 11) % bound);
}

bool chance(unsigned per_cent) {
    return below(100) < per_cent;
}

bool trouble(unsigned per_cent) {
    return w->now < TROUBLE_ENDS && !w->restored && chance(per_cent);
}

void fail(const char *what) {
    if (!w->failure) w->failure = what;
}

bool hiccup(Err *err) {
    return !trouble(3) || err_set(err, &ERR_UNAVAILABLE, "the database is away");
}

/* ---- messages ---- */

static bool earlier(const Message *a, const Message *b) {
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void push(int64_t at, Kind kind, int who, int64_t a, void *at_what) {
    Message m = {at, w->order++, kind, who, a, at_what};
    if (w->heap_count == HEAP) {
        fail("a storm of messages");
        return;
    }
    size_t i = w->heap_count++;
    for (; i && earlier(&m, &w->heap[(i - 1) / 2]); i = (i - 1) / 2) w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = m;
}

static Message pop(void) {
    Message top = w->heap[0], m = w->heap[--w->heap_count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < w->heap_count; i = child) {
        if (child + 1 < w->heap_count && earlier(&w->heap[child + 1], &w->heap[child])) child++;
        if (!earlier(&w->heap[child], &m)) break;
        w->heap[i] = w->heap[child];
    }
    w->heap[i] = m;
    return top;
}

static int64_t late(void) {
    return (1 + below(trouble(5) ? 6000 : 60)) * MS;
}

static void send(Kind kind, int who, void *what) {
    for (int copies = trouble(w->doubling) ? 2 : 1; copies > 0; copies--)
        if (!trouble(w->loss)) push(w->now + late(), kind, who, 0, what);
}

void ring(Kind kind, int who, const char *text) {
    char *copy = arena_copy(w->arena, span_of(text));
    if (copy) send(kind, who, copy);
}

int row_of_id(Span event_id) {
    if (!span_starts(event_id, SPAN("00000000-0000-7000-8000-"))) return 0;
    return (event_id.at[34] - '0') * 10 + event_id.at[35] - '0';
}

/* Event Grid has taken them. */
void event_published(const Span *packed, size_t count) {
    for (size_t i = 0; i < count; i++) {
        Events__V1__Envelope *event = envelope_unpack(packed[i], w->arena);
        if (!event) {
            fail("an event that nobody can read was published");
            return;
        }
        int row = row_of_id(span_of(event->event_id));
        if (event->sequence < 1 || event->sequence > w->highest ||
            (row && row != w->first_row_of[event->sequence]))
            fail("a number stands for two events");
        send(EVENT_TO_PROJECTION, 0, event);
        for (int g = 0; g < GATEWAYS; g++) {
            bool tail = w->fault == FAULT_LOST_TAIL && g == 1 && event->sequence > 2 && chance(40);
            if (!tail) send(EVENT_TO_GATEWAY, g, event);
        }
    }
}

/* ---- what happens ---- */

enum { PROJECTION = RELAYS, FIRST_GATEWAY, PROGRAMS = FIRST_GATEWAY + GATEWAYS };

static bool is_up(int who) {
    if (who < RELAYS) return w->relays[who].up;
    return who == PROJECTION ? w->projector != NULL : w->gateways[who - FIRST_GATEWAY].up;
}

static void start(int who) {
    if (is_up(who) || (who == 1 && w->files)) return;
    if (who < RELAYS)
        relay_starts(who);
    else if (who == PROJECTION)
        projection_starts();
    else
        gateway_starts(who - FIRST_GATEWAY);
}

static void crash(int who) {
    if (!is_up(who) || w->restored) return;
    w->crashes++;
    if (who < RELAYS)
        relay_stops(who);
    else if (who == PROJECTION)
        projection_stops();
    else
        gateway_stops(who - FIRST_GATEWAY);
    push(w->now + (1 + below(2500)) * MS, START, who, 0, NULL);
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* The log is trimmed after days: by then every gateway that runs has what goes, and nobody comes with
 * position 0, which would mean the oldest event kept, whatever that is. */
static void trim(void) {
    int64_t upto = w->stored.head.head;
    for (int i = 0; i < GATEWAYS; i++)
        if (w->gateways[i].up) upto = least(upto, hub_position(w->gateways[i].g.hub, NULL).head);
    for (int i = 0; i < CLIENTS; i++)
        for (size_t k = 0; k < w->clients[i].sub_count; k++) {
            const ClientSub *sub = &w->clients[i].subs[k];
            if (!sub->position || (!sub->base && !sub->live)) return;
        }
    if (upto > 3) w->stored.oldest = 1 + below((unsigned)upto);
}

static void handle(const Message *m) {
    switch (m->kind) {
    case BEGIN: writer_begins(); break;
    case COMMIT: writer_ends((int)m->a); break;
    case TO_RELAY:
        if (!w->relays[m->who].up) break;
        relay_hear(w->relays[m->who].relay, m->at_what, w->now);
        w->relays[m->who].next_us = w->now;
        break;
    case TO_PROJECTION: projection_hears(m->at_what); break;
    case TO_GATEWAY: gateway_hears(m->who, m->at_what); break;
    case EVENT_TO_PROJECTION: projection_receives(m->at_what); break;
    case EVENT_TO_GATEWAY: gateway_receives(m->who, m->at_what); break;
    case PROJECTION_RUNS: projection_runs(); break;
    case CRASH: crash(m->who); break;
    case START: start(m->who); break;
    case STALL: w->gateways[m->who].stalled_us = w->now + m->a; break;
    case TRIM: trim(); break;
    case RESTORE: relays_restored(); break;
    case CLIENT_ACTS: client_acts(m->at_what); break;
    case CLIENT_READS: client_reads(m->at_what); break;
    case SESSION_ENDS: client_session_ends(m->at_what); break;
    case JOB_RUNS:
    case JOB_BACK: gateway_job(m->who, m->at_what, m->a, m->kind == JOB_BACK); break;
    }
}

/* To the next message or the next deadline of a program. */
static void turn(void) {
    int64_t next = w->heap_count ? w->heap[0].at : INT64_MAX;
    for (int i = 0; i < RELAYS; i++)
        if (w->relays[i].up) next = least(next, w->relays[i].next_us);
    if (w->projector) next = least(next, w->projection_due_us);
    for (int i = 0; i < GATEWAYS; i++) next = least(next, gateway_due_us(&w->gateways[i]));
    if (next == INT64_MAX) fail("everybody waits");
    if (next > w->now) clock_fake(w->now = next);
    if (w->heap_count && w->heap[0].at <= w->now) {
        Message m = pop();
        handle(&m);
    }
    for (int i = 0; i < RELAYS; i++)
        if (w->relays[i].up && w->relays[i].next_us <= w->now) relay_works(i);
    if (w->projector && w->projection_due_us <= w->now) projection_runs();
    for (int i = 0; i < GATEWAYS; i++) gateway_works(&w->gateways[i]);
}

/* ---- from the beginning to the end ---- */

static void plan(void) {
    enum { LOTS = 1 << 30 };
    static const RingLimits LIMITS[] = {
        {4, LOTS, 4, LOTS}, {8, 2000 * WEIGHT, 8, 4000 * WEIGHT}, {64, LOTS, 64, LOTS}};
    unsigned span = (unsigned)(TROUBLE_ENDS / MS);
    w->loss = below(35), w->doubling = below(25);
    w->files = chance(30);
    w->limits = LIMITS[below(COUNT(LIMITS))];
    w->begins = 8 + (int)below(chance(10) ? NUMBERS - 12 : 28);
    for (int i = 0; i < w->begins; i++) push(below(span) * MS, BEGIN, 0, 0, NULL);
    for (int i = (int)below(7); i > 0; i--) push(below(span) * MS, CRASH, (int)below(PROGRAMS), 0, NULL);
    for (int i = (int)below(3); i > 0; i--)
        push(below(span) * MS, STALL, (int)below(GATEWAYS), (1 + below(3000)) * MS, NULL);
    for (int i = chance(25) + 4 * (w->fault == FAULT_SILENT_TRIM); i > 0; i--)
        push(below(span) * MS, TRIM, 0, 0, NULL);
    if (chance(6) || w->fault == FAULT_REUSED_NUMBER) push(below(span) * MS, RESTORE, 0, 0, NULL);
}

static void begin(uint64_t seed, Fault fault) {
    Arena *arena = w->arena;
    memset(w, 0, sizeof *w);
    arena_reset(arena);
    w->arena = arena;
    w->seed = seed;
    w->fault = fault;
    w->random = seed * 0x9E3779B97F4A7C15u + 1;
    w->numbers = (NumbersState){.epoch = EPOCH};
    w->stored.oldest = 1;
    clock_fake(w->now = 1);
    plan();
    for (int i = 0; i < PROGRAMS; i++) start(i);
    for (int i = 0; i < CLIENTS; i++) client_new(&w->clients[i], i);
}

/* After a restore nothing is published until an operator has decided: that is the end of it. */
static bool halted(void) {
    if (!w->restored || w->now < TROUBLE_ENDS + 60 * S) return false;
    return !relay_healthy(w->relays[0].relay);
}

static bool finished(void) {
    if (w->now <= TROUBLE_ENDS) return false;
    if (w->restored && w->fault != FAULT_REUSED_NUMBER) return halted();
    if (w->stored.head.head != w->highest || w->committed != (int)w->highest) return false;
    for (int i = 0; i < GATEWAYS; i++)
        if (!w->gateways[i].up || hub_position(w->gateways[i].g.hub, NULL).head != w->highest) return false;
    for (int i = 0; i < CLIENTS; i++)
        if (!client_is_content(&w->clients[i])) return false;
    return true;
}

static void check_end(void) {
    for (int i = 1; i <= w->row_count; i++)
        if (w->rows[i].committed && !w->restored && w->stored.applied[i] != 1)
            fail("an event is not in the read model once");
    for (int i = 0; i < CLIENTS && !w->restored; i++) client_check_end(&w->clients[i]);
}

static void end(void) {
    for (int i = 0; i < GATEWAYS; i++)
        if (w->gateways[i].up) gateway_stops(i);
    for (int i = 0; i < CLIENTS; i++) client_free(&w->clients[i]);
    for (int i = 0; i < RELAYS; i++)
        if (w->relays[i].up) relay_stops(i);
    if (w->projector) projection_stops();
}

const char *world_run(uint64_t seed, Fault fault) {
    begin(seed, fault);
    while (!w->failure && !finished() && w->now < TOO_LONG) turn();
    if (!w->failure && !finished()) fail("does not come to an end");
    if (!w->failure) check_end();
    end();
    return w->failure;
}
