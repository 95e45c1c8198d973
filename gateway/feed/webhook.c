/* webhook.c - 200 means "in memory", which is enough here: the projection has its own delivery, and whatever
 * a gateway loses (by a crash, for instance) its clients get from the replay log. So nothing is written, and
 * nothing waits. */
#include "gateway/feed/webhook.h"

#include "base/log.h"
#include "observe/metric.h"

static Metric *received, *unreadable, *unknown;

static void count_bad(const GridDelivery *d, size_t without_number) {
    size_t bad = d->bad_count + without_number;
    metric_add(received, (int64_t)d->count);
    metric_add(unknown, (int64_t)d->unknown_members);
    if (!bad) return;
    metric_add(unreadable, (int64_t)bad);
    log_warn("events not readable", LOG_INT("events", bad),
             LOG_TEXT("first", d->bad_count ? d->bad[0].reason : "no sequence number"));
}

/* Bad events are counted and left to the projection, which keeps them as dead letters. */
static void deliver(void *user, GridDelivery *d) {
    Gateway *g = user;
    size_t without_number = 0;
    bool safe = hub_started(g->hub);
    for (size_t i = 0; safe && i < d->count; i++) {
        if (d->events[i]->sequence < 1)
            without_number++;
        else
            safe = hub_offer(g->hub, d->events[i]);
    }
    if (safe) count_bad(d, without_number);
    grid_delivery_answer(d, safe ? 200 : 503);
}

GridWebhook *webhook_new(Gateway *gateway, const char *secrets) {
    received = metric_counter("events_gateway_received_total", "events delivered by webhook");
    unreadable = metric_counter("events_gateway_unreadable_total", "events that nobody could read");
    unknown = metric_counter("events_gateway_unknown_members_total", "JSON members of a newer version");
    return grid_webhook_new(&(GridWebhookOptions){.secrets = secrets, .deliver = deliver, .user = gateway});
}
