/* The events of all tenants on their way from the webhook (and, for what got lost, from the replay log) to
 * the loops: in the order of their numbers, without a hole, and those that need not wait for a hole to be filled
 * ahead of it besides. Any thread unless said otherwise. */
#pragma once
#include "gateway/feed/ring.h"
#include "io/loop.h"
#include "store/read/replay_log.h"

typedef struct Hub Hub;

enum { RING_EVENTS = 16384 }; /* and as many early ones */
extern const RingLimits HUB_LIMITS;

/* `repair_needed` is called (on any thread, under no lock) when a hole may have appeared that
 * hub_due_repair() knows. */
Hub *hub_new(const RingLimits *limits, void (*repair_needed)(void *user), void *user);
Hub *hub_free(Hub *hub);
AUTO_FREE(Hub, hub_free)

/* Begins behind `position`: everything up to it is in the log, and what follows comes by hub_offer(). A later
 * call with another epoch begins anew: the ring is emptied and the listeners learn of it by HUB_RESTARTED. */
void hub_start(Hub *hub, const ReplayHead *position);
bool hub_started(const Hub *hub);
/* The log's epoch and the highest number up to which all have been released, and (may be NULL) in which
 * generation. */
ReplayHead hub_position(const Hub *hub, unsigned *generation);

/* An event has come, in any order, maybe again. False where it cannot be kept now (not started, out of
 * memory): it must come again. */
bool hub_offer(Hub *hub, const Events__V1__Envelope *envelope);
bool hub_offer_row(Hub *hub, const ReplayRow *row); /* of the replay log */
/* The projection holds all numbers up to `prefix` of its log: those that are missing here can be read there.
 * A number of another epoch has no effect: false. */
bool hub_held(Hub *hub, Span epoch, int64_t prefix);

/* The first number that is missing, `from`, and all up to `to` can be had nowhere any more: the ring begins anew
 * behind them, and who would need one of them finds it HUB_TOO_OLD. No effect where `from` is not the first: it has
 * come meanwhile. */
bool hub_step_over(Hub *hub, int64_t from, int64_t to);

/* Numbers that have been missing for a second and the log may have; call until false. */
bool hub_due_repair(Hub *hub, int64_t *from, int64_t *to);
int64_t hub_next_due_us(const Hub *hub); /* monotonic; INT64_MAX where nothing is missing */

/* Someone who wants to know: `wake` runs on its loop after new events were released, at most one call
 * waiting. */
typedef struct HubListener {
    void (*wake)(struct HubListener *listener);
    Loop *loop;
    Task task; /* the hub's own, like the following */
    atomic_bool posted;
    struct HubListener *next;
} HubListener;
void hub_listen(Hub *hub, HubListener *listener); /* before the loops run; never taken away */

typedef enum HubTake {
    HUB_TAKEN,     /* *count events follow `after` without a hole; 0: nothing new */
    HUB_TOO_OLD,   /* the ring begins later: the log has them */
    HUB_RESTARTED, /* `generation` is no longer the hub's: another log */
} HubTake;
/* References to released events with numbers above `after`, at most `most` and about `bytes`. */
HubTake hub_take(Hub *hub, unsigned generation, int64_t after, size_t most, size_t bytes, Event **ret,
                 size_t *count);
/* References to the next events that may go ahead of their turn (ring_take_ahead), for who has given all that
 * were released, which is at `position`; else, or of another generation, none: first come the others. */
size_t hub_take_ahead(Hub *hub, unsigned generation, int64_t position, uint64_t *after, size_t most,
                      Event **ret);
