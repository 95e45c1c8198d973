/* source.c - "worked off" means in memory, as with the webhook (webhook.c), so the broker forgets what it has
 * sent. It runs on the broker connection's thread, and hands over to the hub, which any thread may call. */
#include "gateway/feed/source.h"

#include "amqp/amqp_event.h"
#include "amqp/amqp_receiver.h"
#include "base/log.h"
#include "observe/metric.h"
#include "wire/cloudevents/cloudevent.h"
#include <stdio.h>

enum { WINDOW = 1000, ARENA_MAX = 16 << 20 };

struct Source {
    SourceOptions options;
    AmqpReceiver *receiver;
    AmqpCoder *coder;
    size_t unknown_members;
    Metric *received, *unreadable, *unknown;
};

static void on_event(void *user, Events__V1__Envelope *envelope) {
    Source *s = user;
    metric_add(s->received, 1);
    if (envelope->sequence < 1)
        metric_add(s->unreadable, 1);
    else
        hub_offer(s->options.gateway->hub, envelope); /* out of memory: it is read from the log then */
}

/* Left to the projection, which keeps it as a dead letter. */
static void on_bad(void *user, size_t index, Span bytes, const char *reason) {
    Source *s = user;
    (void)index, (void)bytes;
    metric_add(s->unreadable, 1);
    log_warn("event not readable", LOG_TEXT("reason", reason));
}

static void read_event(Source *s, const AmqpEvent *event) {
    AUTO(Arena) arena = arena_new(ARENA_MAX);
    Err err = {0};
    s->unknown_members = 0;
    const CloudEventVisitor visitor = {
        .event = on_event, .bad = on_bad, .user = s, .unknown_members = &s->unknown_members};
    Span type = event->content_type.len ? event->content_type : SPAN("application/cloudevents+json");
    if (!arena || !cloudevent_read(type, event->json, arena, &visitor, &err))
        on_bad(s, 0, SPAN_NONE, err.why);
    metric_add(s->unknown, (int64_t)s->unknown_members);
}

static bool on_message(void *user, AmqpMessage *message) {
    Source *s = user;
    AmqpEvent event;
    if (amqp_event_decode(s->coder, message->bytes, &event))
        read_event(s, &event);
    else
        on_bad(s, 0, SPAN_NONE, "no message with a body");
    return true;
}

static void on_attached(void *user) {
    Source *s = user;
    log_info("events come from the broker");
    s->options.attached(s->options.user);
}

static bool open_receiver(Source *s, Err *err) {
    const AmqpUrl *url = s->options.url;
    char address[300];
    int len = *url->subscription
                  ? snprintf(address, sizeof address, "%s/subscriptions/%s", url->queue, url->subscription)
                  : snprintf(address, sizeof address, "/exchange/%s/events", url->queue);
    if (len >= (int)sizeof address) return err_set(err, &ERR_CONFIG, "EVENTS_FANOUT is too long");
    const AmqpReceiverOptions options = {.name = "fanout",
                                         .address = address,
                                         .settled = true,
                                         .window = WINDOW,
                                         .attached = on_attached,
                                         .message = on_message,
                                         .user = s};
    return amqp_receiver_open(url, &options, &s->receiver, err);
}

bool source_open(const SourceOptions *options, Source **ret, Err *err) {
    Source *s = must(calloc(1, sizeof *s));
    s->options = *options;
    s->coder = amqp_coder_new();
    s->received = metric_counter("events_gateway_received_total", "events delivered by webhook or broker");
    s->unreadable = metric_counter("events_gateway_unreadable_total", "events that nobody could read");
    s->unknown = metric_counter("events_gateway_unknown_members_total", "JSON members of a newer version");
    if (!open_receiver(s, err)) {
        source_free(s);
        return false;
    }
    *ret = s;
    return true;
}

Source *source_free(Source *s) {
    if (!s) return NULL;
    amqp_receiver_free(s->receiver);
    amqp_coder_free(s->coder);
    free(s);
    return NULL;
}
