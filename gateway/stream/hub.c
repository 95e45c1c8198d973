/* hub.c - one mutex, one array.
 *
 * Events come from the webhook (Event Grid: at least once, any order, late) and from the replay log (repair).
 * Each has a number, numbers are dense, so "may this one go?" is arithmetic: an event is released when all
 * lower numbers are held (domain/prefix.h does the counting). Design section "Sent" would allow more: an
 * event whose subject's previous version has passed may go before a hole of another subject is filled. That
 * shortens the wait behind a lost event from about a second to nothing, for the price of positions that are
 * no prefix; it comes with the issue that needs it.
 *
 * slots[] holds by number both the released events (the ring, up to `prefix`) and the early ones above the
 * prefix. An early event beyond the array or its bytes is dropped: it is then a hole, and the log has it.
 * Nothing here is durable: a gateway that restarts begins at the log's position.
 *
 * The loops pull. A release only posts one wake-up to each loop, and the loop takes references to what
 * follows its own position. So a slow loop costs no memory: if it falls behind the ring it is told so. */
#include "gateway/stream/hub.h"

#include "base/clock.h"
#include "domain/prefix.h"
#include <pthread.h>
#include <stdlib.h>

enum { SLOTS = RING_EVENTS + EARLY_EVENTS }; /* a power of two */

struct Hub {
    pthread_mutex_t lock;
    char epoch[64];
    unsigned generation; /* 0: not started */
    Prefix *prefix;
    int64_t low; /* the ring holds low .. released */
    int64_t released;
    size_t ring_bytes, early_bytes;
    Event *slots[SLOTS];
    HubListener *listeners;
    void (*repair_needed)(void *user);
    void *user;
};

Hub *hub_new(void (*repair_needed)(void *user), void *user) {
    Hub *hub = must(calloc(1, sizeof *hub));
    pthread_mutex_init(&hub->lock, NULL);
    hub->repair_needed = repair_needed;
    hub->user = user;
    return hub;
}

static void clear(Hub *hub) {
    for (size_t i = 0; i < SLOTS; i++) hub->slots[i] = event_unref(hub->slots[i]);
    hub->ring_bytes = hub->early_bytes = 0;
    hub->prefix = prefix_free(hub->prefix);
}

Hub *hub_free(Hub *hub) {
    if (!hub) return NULL;
    clear(hub);
    pthread_mutex_destroy(&hub->lock);
    free(hub);
    return NULL;
}

static Event **slot(Hub *hub, int64_t number) {
    return &hub->slots[(uint64_t)number % SLOTS];
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
        clear(hub);
        hub->prefix = prefix_new(position->head);
        hub->released = position->head;
        hub->low = position->head + 1;
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
    position.head = hub->released;
    if (generation) *generation = hub->generation;
    pthread_mutex_unlock((pthread_mutex_t *)&hub->lock);
    return position;
}

static void drop_oldest(Hub *hub) {
    Event **oldest = slot(hub, hub->low++);
    hub->ring_bytes -= event_size(*oldest);
    *oldest = event_unref(*oldest);
}

/* Moves `released` up to the prefix; everything between is in the slots. */
static bool release(Hub *hub) {
    int64_t before = hub->released, held = prefix_held(hub->prefix);
    for (; hub->released < held; hub->released++) {
        size_t size = event_size(*slot(hub, hub->released + 1));
        hub->early_bytes -= size;
        hub->ring_bytes += size;
    }
    while (hub->released - hub->low + 1 > RING_EVENTS ||
           (hub->ring_bytes > RING_BYTES && hub->low < hub->released))
        drop_oldest(hub);
    return hub->released > before;
}

typedef enum Kept { KEPT, KEPT_AND_RELEASED, KEPT_EARLY, NOT_KEPT } Kept;

/* Under the lock. The event's reference goes into its slot where it is kept. */
static Kept keep(Hub *hub, Event *event) {
    int64_t number = event_sequence(event);
    bool next = number == hub->released + 1;
    if (number <= hub->released) return KEPT; /* a duplicate */
    if (!next &&
        (number > hub->released + EARLY_EVENTS || hub->early_bytes + event_size(event) > EARLY_BYTES)) {
        prefix_known_last(hub->prefix, number, clock_mono_us());
        return KEPT_EARLY; /* dropped on purpose, and known to be missing: the log has it, or soon will */
    }
    PrefixOffer offer = prefix_offer(hub->prefix, number, clock_mono_us());
    if (offer == PREFIX_DUPLICATE) return KEPT;
    if (offer == PREFIX_FULL) return NOT_KEPT;
    *slot(hub, number) = event_ref(event);
    hub->early_bytes += event_size(event);
    return release(hub) ? KEPT_AND_RELEASED : KEPT_EARLY;
}

static bool offer(Hub *hub, Event *event) {
    if (!event || event_sequence(event) < 1) return false;
    pthread_mutex_lock(&hub->lock);
    Kept kept = hub->generation ? keep(hub, event) : NOT_KEPT;
    pthread_mutex_unlock(&hub->lock);
    if (kept == KEPT_AND_RELEASED) wake_all(hub);
    if (kept == KEPT_EARLY) hub->repair_needed(hub->user);
    return kept != NOT_KEPT;
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
    bool ours = hub->generation && span_is(epoch, hub->epoch);
    bool missing = ours && prefix > hub->released;
    if (ours) prefix_known_last(hub->prefix, prefix, clock_mono_us());
    pthread_mutex_unlock(&hub->lock);
    if (missing) hub->repair_needed(hub->user);
    return ours;
}

bool hub_due_repair(Hub *hub, int64_t *from, int64_t *to) {
    pthread_mutex_lock(&hub->lock);
    bool due = hub->generation && prefix_due_repair(hub->prefix, clock_mono_us(), from, to);
    pthread_mutex_unlock(&hub->lock);
    return due;
}

int64_t hub_next_due_us(const Hub *hub) {
    pthread_mutex_lock((pthread_mutex_t *)&hub->lock);
    int64_t due = hub->generation ? prefix_next_due_us(hub->prefix) : INT64_MAX;
    pthread_mutex_unlock((pthread_mutex_t *)&hub->lock);
    return due;
}

static void take(Hub *hub, int64_t after, size_t most, size_t bytes, Event **ret, size_t *count) {
    size_t total = 0;
    for (int64_t n = after; n < hub->released && *count < most && total < bytes;
         n++) { /* after: any number */
        Event *event = event_ref(*slot(hub, n + 1));
        total += event_size(event);
        ret[(*count)++] = event;
    }
}

HubTake hub_take(Hub *hub, unsigned generation, int64_t after, size_t most, size_t bytes, Event **ret,
                 size_t *count) {
    HubTake outcome = HUB_TAKEN;
    *count = 0;
    pthread_mutex_lock(&hub->lock);
    if (generation != hub->generation)
        outcome = HUB_RESTARTED;
    else if (after < hub->low - 1)
        outcome = HUB_TOO_OLD;
    else
        take(hub, after, most, bytes, ret, count);
    pthread_mutex_unlock(&hub->lock);
    return outcome;
}
