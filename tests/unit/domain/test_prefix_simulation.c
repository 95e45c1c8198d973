/* The rules of numbers and positions, driven through everything a network and a machine can do to them.
 *
 * A world is a relay, a projection and a gateway with the durable state that the real ones have, and between
 * them a network that loses, doubles, delays and reorders events and rings. Each of the three crashes and
 * forgets what is not durable; transactions fail half way. Every choice follows from the seed, so that a
 * failure can be played again. What is checked all the time: the projection applies each number once and in
 * order, nothing that is held early is forgotten, and a hole older than a second has been asked for. And at
 * the end: nobody lacks anything. */
#include "domain/numbering.h"
#include "domain/prefix.h"

#include "kit/test.h"
#include <stdio.h>

enum { SEEDS = 8000, NUMBERS = 60, HEAP = 8192 };
#define MS           1000LL
#define S            1000000LL
#define TROUBLE_ENDS (25 * S) /* no crashes after that; the network stays as bad as it is */
#define TOO_LONG     (4 * 3600 * S)

typedef enum Kind {
    COMMITTED, /* the prospect service has committed one more row */
    EVENT_TO_PROJECTION,
    EVENT_TO_GATEWAY,
    RING_LAST,
    RING_HELD_RELAY,
    RING_HELD_GATEWAY,
    RING_REPAIR,
    RING_WORK,
    POLL,  /* a: who; the net below lost rings */
    CRASH, /* a: who */
    START,
} Kind;
enum { RELAY, PROJECTION, GATEWAY, PROGRAMS };

typedef struct Message {
    int64_t at;
    Kind kind;
    int64_t a, b;
} Message;

typedef struct World {
    uint64_t random;
    int64_t now;
    unsigned loss, doubling; /* per cent */
    Message heap[HEAP];
    size_t heap_count;
    bool up[PROGRAMS];
    const char *fault;
    /* relay: durable, then volatile */
    int64_t outbox, numbered, published_mark;
    Numbering numbering;
    int64_t published;
    /* projection: durable, then volatile */
    int64_t prefix;
    bool waiting[NUMBERS + 1];
    unsigned char applied[NUMBERS + 1];
    Prefix *held;
    int64_t highest, overtaken_us[NUMBERS + 1];
    bool asked[NUMBERS + 1];
    /* gateway: all volatile */
    Prefix *hub;
    int64_t hub_start;
    unsigned char pushed[NUMBERS + 1];
} World;

static unsigned below(World *w, unsigned bound) {
    w->random ^= w->random << 13, w->random ^= w->random >> 7, w->random ^= w->random << 17;
    return (unsigned)((w->random >> 11) % bound);
}

static bool chance(World *w, unsigned per_cent) {
    return below(w, 100) < per_cent;
}

static void fail(World *w, const char *fault) {
    if (!w->fault) w->fault = fault;
}

static void heap_push(World *w, Message m) {
    if (w->heap_count == HEAP) {
        fail(w, "a storm of messages");
        return;
    }
    size_t i = w->heap_count++;
    for (; i && w->heap[(i - 1) / 2].at > m.at; i = (i - 1) / 2) w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = m;
}

static Message heap_pop(World *w) {
    Message top = w->heap[0], m = w->heap[--w->heap_count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < w->heap_count; i = child) {
        if (child + 1 < w->heap_count && w->heap[child + 1].at < w->heap[child].at) child++;
        if (w->heap[child].at >= m.at) break;
        w->heap[i] = w->heap[child];
    }
    w->heap[i] = m;
    return top;
}

/* Through the bad network: lost, doubled, and sometimes very late. */
static void send(World *w, Kind kind, int64_t a, int64_t b) {
    for (int copies = chance(w, w->doubling) ? 2 : 1; copies > 0; copies--) {
        if (chance(w, w->loss)) continue;
        int64_t delay = 1 + below(w, chance(w, 5) ? 12000 : 300);
        heap_push(w, (Message){w->now + delay * MS, kind, a, b});
    }
}

/* ---- relay ---- */

static void relay_publish(World *w, int64_t number) {
    send(w, EVENT_TO_PROJECTION, number, 0);
    send(w, EVENT_TO_GATEWAY, number, 0);
}

static void relay_work(World *w) {
    if (!w->up[RELAY]) return;
    w->numbered = w->outbox;
    numbering_given(&w->numbering, w->numbered, w->now);
    if (!numbering_may_publish(&w->numbering, w->now)) return;
    while (w->published < w->numbered) relay_publish(w, ++w->published);
    if (chance(w, 50)) w->published_mark = w->published;
}

static void relay_rings(World *w) {
    if (w->up[RELAY] && numbering_due_ring(&w->numbering, w->now)) {
        send(w, RING_LAST, w->numbering.last, 0);
        relay_work(w);
    }
}

static void relay_start(World *w) {
    w->numbering = numbering_start(SPAN("e"), w->numbered, w->now);
    w->published = w->published_mark;
}

static void relay_repairs(World *w, int64_t from, int64_t to) {
    if (!w->up[RELAY] || !numbering_may_publish(&w->numbering, w->now)) return;
    for (int64_t number = from; number <= to && number <= w->published; number++) relay_publish(w, number);
}

static void relay_hears(World *w, int64_t held) {
    if (!w->up[RELAY]) return;
    numbering_held(&w->numbering, SPAN("e"), held, w->now);
    if (w->numbering.state == NUMBERING_MISMATCH) fail(w, "the relay was told of numbers it never gave");
    relay_work(w);
}

/* ---- projection ---- */

static void projection_rings_held(World *w) {
    send(w, RING_HELD_RELAY, w->prefix, 0);
    send(w, RING_HELD_GATEWAY, w->prefix, 0);
}

/* After a crash or a failed transaction: what is durable is all there is. */
static void projection_load(World *w) {
    w->held = prefix_free(w->held);
    w->held = prefix_new(w->prefix);
    w->highest = w->prefix;
    for (int64_t i = 1; i <= NUMBERS; i++) {
        w->overtaken_us[i] = w->asked[i] = 0;
        if (w->waiting[i] && prefix_offer(w->held, i, w->now) != PREFIX_EARLY)
            fail(w, "a waiting event is held");
        if (w->waiting[i]) w->highest = i;
    }
    for (int64_t i = w->prefix + 1; i < w->highest; i++) w->overtaken_us[i] = w->now;
}

static void projection_apply(World *w, int64_t number) {
    if (number != w->prefix + 1) fail(w, "applied out of order");
    if (w->applied[number]++) fail(w, "applied twice");
    w->prefix = number;
}

static void projection_commit(World *w, int64_t number, PrefixOffer offer) {
    if (offer == PREFIX_EARLY) w->waiting[number] = true;
    if (offer != PREFIX_NEXT) return;
    projection_apply(w, number);
    while (w->prefix < NUMBERS && w->waiting[w->prefix + 1]) {
        w->waiting[w->prefix + 1] = false;
        projection_apply(w, w->prefix + 1);
    }
    if (w->prefix != prefix_held(w->held)) fail(w, "the prefix is not what was applied");
    projection_rings_held(w);
}

static void projection_receives(World *w, int64_t number) {
    if (!w->up[PROJECTION]) return;
    if (prefix_has(w->held, number) != (number <= w->prefix || w->waiting[number]))
        fail(w, "holds by mistake");
    PrefixOffer offer = prefix_offer(w->held, number, w->now);
    if (chance(w, 5)) { /* the transaction fails: nothing has happened */
        projection_load(w);
        return;
    }
    for (int64_t i = w->highest + 1; i < number; i++) w->overtaken_us[i] = w->now;
    if (number > w->highest) w->highest = number;
    projection_commit(w, number, offer);
}

static void projection_repairs(World *w) {
    int64_t from, to;
    if (!w->up[PROJECTION]) return;
    while (prefix_due_repair(w->held, w->now, &from, &to)) {
        for (int64_t i = from; i <= to; i++) {
            if (i <= NUMBERS) w->asked[i] = true;
            if (prefix_has(w->held, i)) fail(w, "asked for what it has");
        }
        send(w, RING_REPAIR, from, to);
    }
    for (int64_t i = w->prefix + 1; i < w->highest; i++)
        if (!w->waiting[i] && !w->asked[i] && w->now >= w->overtaken_us[i] + PREFIX_PATIENCE_US)
            fail(w, "a hole older than a second was not asked for");
}

static void projection_hears_last(World *w, int64_t last) {
    if (!w->up[PROJECTION]) return;
    prefix_known_last(w->held, last, w->now);
    send(w, RING_HELD_RELAY, w->prefix, 0);
}

/* ---- gateway ---- */

static void hub_pushes(World *w, int64_t number) {
    if (w->pushed[number]++) fail(w, "pushed twice to one client");
}

static void hub_start(World *w) {
    w->hub = prefix_free(w->hub);
    w->hub = prefix_new(w->prefix);
    w->hub_start = w->prefix;
    memset(w->pushed, 0, sizeof w->pushed);
}

static void hub_receives(World *w, int64_t number) {
    if (!w->up[GATEWAY]) return;
    PrefixOffer offer = prefix_offer(w->hub, number, w->now);
    if (offer == PREFIX_NEXT || offer == PREFIX_EARLY) hub_pushes(w, number);
}

/* It reads the missing numbers from the replay log, which has all up to the projection's prefix. */
static void hub_repairs(World *w) {
    int64_t from, to;
    if (!w->up[GATEWAY]) return;
    while (prefix_due_repair(w->hub, w->now, &from, &to))
        for (int64_t i = from; i <= to && i <= w->prefix; i++) hub_receives(w, i);
}

/* ---- the world ---- */

/* Rings to the relay and to the gateway are hints: what they announce is also found by looking now and then.
 */
static void poll(World *w, int64_t who) {
    if (who == RELAY) relay_work(w);
    if (who == GATEWAY && w->up[GATEWAY]) {
        prefix_known_last(w->hub, w->prefix, w->now);
        prefix_available(w->hub, w->prefix, w->now);
    }
    heap_push(w, (Message){w->now + 5 * S, POLL, who, 0});
}

static void crash(World *w, int64_t who) {
    w->up[who] = false;
    heap_push(w, (Message){w->now + (1 + below(w, 4000)) * MS, START, who, 0});
}

static void start(World *w, int64_t who) {
    w->up[who] = true;
    if (who == RELAY) {
        relay_start(w);
    } else if (who == PROJECTION) {
        projection_load(w);
        projection_rings_held(w);
    } else {
        hub_start(w);
    }
}

static void handle(World *w, Message m) {
    switch (m.kind) {
    case COMMITTED: w->outbox++, send(w, RING_WORK, 0, 0); break;
    case RING_WORK: relay_work(w); break;
    case POLL: poll(w, m.a); break;
    case EVENT_TO_PROJECTION: projection_receives(w, m.a); break;
    case EVENT_TO_GATEWAY: hub_receives(w, m.a); break;
    case RING_LAST: projection_hears_last(w, m.a); break;
    case RING_HELD_RELAY: relay_hears(w, m.a); break;
    case RING_HELD_GATEWAY:
        if (w->up[GATEWAY]) prefix_known_last(w->hub, m.a, w->now);
        break;
    case RING_REPAIR: relay_repairs(w, m.a, m.b); break;
    case CRASH: crash(w, m.a); break;
    case START: start(w, m.a); break;
    }
}

static void begin(World *w, uint64_t seed) {
    w->random = seed * 0x9E3779B97F4A7C15u + 1;
    w->loss = below(w, 45), w->doubling = below(w, 30);
    for (int i = 0; i < NUMBERS; i++) heap_push(w, (Message){below(w, 20000) * MS, COMMITTED, 0, 0});
    for (int i = 0; i < 8; i++)
        heap_push(w, (Message){below(w, (unsigned)(TROUBLE_ENDS / MS)) * MS, CRASH, below(w, PROGRAMS), 0});
    for (int who = 0; who < PROGRAMS; who++) start(w, who), poll(w, who);
}

static bool finished(const World *w) {
    return w->outbox == NUMBERS && w->up[RELAY] && w->up[PROJECTION] && w->up[GATEWAY] &&
           w->prefix == NUMBERS && w->now > TROUBLE_ENDS && prefix_held(w->hub) == NUMBERS &&
           numbering_next_ring_us(&w->numbering) == NUMBERING_NEVER;
}

static void earlier(int64_t *at, bool up, int64_t other) {
    if (up && other < *at) *at = other;
}

/* To the next message or the next deadline of one of the three. */
static void turn(World *w) {
    int64_t next = w->heap_count ? w->heap[0].at : INT64_MAX;
    earlier(&next, w->up[RELAY], numbering_next_ring_us(&w->numbering));
    earlier(&next, w->up[PROJECTION], prefix_next_due_us(w->held));
    earlier(&next, w->up[GATEWAY], prefix_next_due_us(w->hub));
    if (next == INT64_MAX) {
        fail(w, "everybody waits");
        return;
    }
    if (next > w->now) w->now = next;
    if (w->heap_count && w->heap[0].at <= w->now) handle(w, heap_pop(w));
    relay_rings(w);
    projection_repairs(w);
    hub_repairs(w);
}

static void check_end(World *w) {
    for (int64_t i = 1; i <= NUMBERS; i++) {
        if (w->applied[i] != 1) fail(w, "a number is missing in the read model");
        if (i > w->hub_start && w->pushed[i] != 1) fail(w, "a number was not pushed");
        if (w->waiting[i]) fail(w, "an event waits for ever");
    }
    if (prefix_holes(w->held) || prefix_holes(w->hub)) fail(w, "holes are left");
}

static void nothing_is_lost_or_doubled(void) {
    World *w = must(malloc(sizeof *w));
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        *w = (World){0};
        begin(w, seed);
        while (!w->fault && !finished(w) && w->now < TOO_LONG) turn(w);
        if (!finished(w)) fail(w, "does not come to an end");
        check_end(w);
        if (w->fault)
            printf("seed %llu at %lld ms: %s\n", (unsigned long long)seed, (long long)(w->now / MS),
                   w->fault);
        CHECK(!w->fault);
        w->held = prefix_free(w->held);
        w->hub = prefix_free(w->hub);
    }
    free(w);
}

SUITE("prefix simulation", TEST(nothing_is_lost_or_doubled));
