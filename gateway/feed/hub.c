/* hub.c - one mutex around one ring (ring.h), and the clock.
 *
 * Events come from the webhook (Event Grid: at least once, any order, late) and from the replay log (repair).
 * Nothing here is durable: a gateway that restarts begins at the log's position.
 *
 * The loops pull. A release only posts one wake-up to each loop, and the loop takes references to what
 * follows its own position. So a slow loop costs no memory: if it falls behind the ring it is told so. */
#include "gateway/feed/hub.h"

#include "base/clock.h"
#include <pthread.h>
#include <stdlib.h>

struct Hub {
    pthread_mutex_t lock;
    RingLimits limits;
    char epoch[64];
    unsigned generation; /* 0: not started */
    Ring *ring;          /* NULL: not started */
    HubListener *listeners;
    void (*repair_needed)(void *user);
    void *user;
};

const RingLimits HUB_LIMITS = {
    .events = RING_EVENTS, .bytes = 32 << 20, .early_events = RING_EVENTS, .early_bytes = 16 << 20};

Hub *hub_new(const RingLimits *limits, void (*repair_needed)(void *user), void *user) {
    Hub *hub = must(calloc(1, sizeof *hub));
    pthread_mutex_init(&hub->lock, NULL);
    hub->limits = *limits;
    hub->repair_needed = repair_needed;
    hub->user = user;
    return hub;
}

Hub *hub_free(Hub *hub) {
    if (!hub) return NULL;
    ring_free(hub->ring);
    pthread_mutex_destroy(&hub->lock);
    free(hub);
    return NULL;
}

static void run_listener(Task *task) {
    HubListener *listener = CONTAINER(task, HubListener, task);
    atomic_store(&listener->posted, false); /* before the look: what comes from now on posts again */
    listener->wake(listener);
}

static void wake_all(Hub *hub) {
    for (HubListener *l = hub->listeners; l; l = l->next)
        if (!atomic_exchange(&l->posted, true)) loop_post(l->loop, &l->task);
}

void hub_listen(Hub *hub, HubListener *listener) {
    listener->task.run = run_listener;
    atomic_init(&listener->posted, false);
    listener->next = hub->listeners;
    hub->listeners = listener;
}

void hub_start(Hub *hub, const ReplayHead *position) {
    pthread_mutex_lock(&hub->lock);
    bool same = hub->generation && !strcmp(hub->epoch, position->epoch);
    if (!same) {
        ring_free(hub->ring);
        hub->ring = ring_new(&hub->limits, position->head);
        memcpy(hub->epoch, position->epoch, sizeof hub->epoch);
        hub->generation++;
    }
    pthread_mutex_unlock(&hub->lock);
    if (!same) wake_all(hub);
}

bool hub_started(const Hub *hub) {
    unsigned generation;
    hub_position(hub, &generation);
    return generation;
}

ReplayHead hub_position(const Hub *hub, unsigned *generation) {
    ReplayHead position = {0};
    pthread_mutex_lock((pthread_mutex_t *)&hub->lock);
    memcpy(position.epoch, hub->epoch, sizeof position.epoch);
    position.head = hub->ring ? ring_released(hub->ring) : 0;
    if (generation) *generation = hub->generation;
    pthread_mutex_unlock((pthread_mutex_t *)&hub->lock);
    return position;
}

static bool offer(Hub *hub, Event *event) {
    if (!event || event_sequence(event) < 1) return false;
    pthread_mutex_lock(&hub->lock);
    RingOffer kept = hub->ring ? ring_offer(hub->ring, event, clock_mono_us()) : RING_REFUSED;
    pthread_mutex_unlock(&hub->lock);
    if (kept == RING_RELEASED || kept == RING_AHEAD) wake_all(hub);
    if (kept == RING_EARLY || kept == RING_AHEAD) hub->repair_needed(hub->user);
    return kept != RING_REFUSED;
}

bool hub_offer(Hub *hub, const Events__V1__Envelope *envelope) {
    AUTO(Event) event = event_new(envelope);
    return offer(hub, event);
}

bool hub_offer_row(Hub *hub, const ReplayRow *row) {
    AUTO(Event) event = event_of_row(row);
    return offer(hub, event);
}

bool hub_held(Hub *hub, Span epoch, int64_t prefix) {
    pthread_mutex_lock(&hub->lock);
    bool ours = hub->ring && span_is(epoch, hub->epoch);
    bool missing = ours && prefix > ring_released(hub->ring);
    if (ours) ring_available(hub->ring, prefix, clock_mono_us());
    pthread_mutex_unlock(&hub->lock);
    if (missing) hub->repair_needed(hub->user);
    return ours;
}

/* What waited behind the hole is dropped with the ring: the log has it, or it comes again. */
bool hub_step_over(Hub *hub, int64_t from, int64_t to) {
    pthread_mutex_lock(&hub->lock);
    bool steps = hub->ring && ring_released(hub->ring) == from - 1 && to >= from;
    if (steps) hub->ring = ring_after(hub->ring, to);
    pthread_mutex_unlock(&hub->lock);
    if (steps) wake_all(hub);
    return steps;
}

bool hub_due_repair(Hub *hub, int64_t *from, int64_t *to) {
    pthread_mutex_lock(&hub->lock);
    bool due = hub->ring && ring_due_repair(hub->ring, clock_mono_us(), from, to);
    pthread_mutex_unlock(&hub->lock);
    return due;
}

int64_t hub_next_due_us(const Hub *hub) {
    pthread_mutex_lock((pthread_mutex_t *)&hub->lock);
    int64_t due = hub->ring ? ring_next_due_us(hub->ring) : INT64_MAX;
    pthread_mutex_unlock((pthread_mutex_t *)&hub->lock);
    return due;
}

HubTake hub_take(Hub *hub, unsigned generation, int64_t after, size_t most, size_t bytes, Event **ret,
                 size_t *count) {
    HubTake outcome = HUB_TAKEN;
    *count = 0;
    pthread_mutex_lock(&hub->lock);
    if (generation != hub->generation)
        outcome = HUB_RESTARTED;
    else if (hub->ring && !ring_take(hub->ring, after, most, bytes, ret, count))
        outcome = HUB_TOO_OLD;
    pthread_mutex_unlock(&hub->lock);
    return outcome;
}

size_t hub_take_ahead(Hub *hub, unsigned generation, int64_t position, uint64_t *after, size_t most,
                      Event **ret) {
    size_t count = 0;
    pthread_mutex_lock(&hub->lock);
    if (hub->ring && generation == hub->generation && position == ring_released(hub->ring))
        count = ring_take_ahead(hub->ring, after, most, ret);
    pthread_mutex_unlock(&hub->lock);
    return count;
}
