/* broker_feed.c - the broker's thread hands messages over; the loop reads and delivers them.
 *
 * Settled:   "accepted" is said after the commit, and never anything else: an event that nobody can read is a
 *            dead letter of the projection's, and a database that is out is waited for, with the messages here.
 *            What was not accepted when the connection breaks comes again and is known by its number.
 * Bounded:   WINDOW messages are here at most, so whatever waits, waits at the broker. */
#include "app/projection/broker_feed.h"

#include "amqp/amqp_event.h"
#include "amqp/amqp_receiver.h"
#include "base/log.h"
#include "wire/cloudevents/cloudevent.h"
#include <pthread.h>
#include <stdio.h>

enum { WINDOW = 512, TOGETHER = 256, BYTES_TOGETHER = 2 << 20, ARENA_MAX = 64 << 20, AGAIN_MS = 1000 };

struct BrokerFeed {
    BrokerFeedOptions options;
    AmqpReceiver *receiver;
    AmqpCoder *coder;
    pthread_mutex_t lock;
    /* under the lock */
    AmqpMessage *first, **last;
    bool posted, drained;
    /* the loop's */
    Task arrival;
    Timer again;
    BrokerDelivery *refused; /* delivered again when the timer expires */
};

/* --- the broker's thread --- */

static void on_attached(void *user) {
    (void)user;
    log_info("events come from a broker's queue");
}

static bool on_message(void *user, AmqpMessage *message) {
    BrokerFeed *f = user;
    message->next = NULL;
    pthread_mutex_lock(&f->lock);
    *f->last = message;
    f->last = &message->next;
    if (!f->posted && !f->drained) {
        f->posted = true;
        loop_post(f->options.loop, &f->arrival);
    }
    pthread_mutex_unlock(&f->lock);
    return false;
}

/* --- reading, on the loop --- */

static void on_event(void *user, Events__V1__Envelope *envelope) {
    BrokerDelivery *d = user;
    d->events.events[d->events.count++] = envelope;
}

static void on_bad(void *user, size_t index, Span bytes, const char *reason) {
    BrokerDelivery *d = user;
    char *copy = arena_copy(d->arena, span_of(reason));
    ((GridBadEvent *)d->events.bad)[d->events.bad_count++] =
        (GridBadEvent){index, bytes, copy ? copy : "not readable"};
}

static void read_message(BrokerDelivery *d, const AmqpMessage *m) {
    AmqpEvent event;
    Err err = {0};
    const CloudEventVisitor visitor = {
        .event = on_event, .bad = on_bad, .user = d, .unknown_members = &d->events.unknown_members};
    if (!amqp_event_decode(d->feed->coder, m->bytes, &event)) {
        on_bad(d, 0, SPAN_NONE, "no message with a body, or too large");
        return;
    }
    char *copy = arena_copy(d->arena, event.json); /* the coder's is gone with the next one */
    Span json = copy ? span_bytes(copy, event.json.len) : SPAN_NONE;
    if (!cloudevent_read(SPAN("application/cloudevents+json"), json, d->arena, &visitor, &err))
        on_bad(d, 0, json, err.why);
}

/* At most TOGETHER, and about BYTES_TOGETHER. */
static AmqpMessage *take_messages(BrokerFeed *f, bool *more) {
    pthread_mutex_lock(&f->lock);
    AmqpMessage *taken = f->first, **end = &taken;
    for (size_t i = 0, bytes = 0; i < TOGETHER && bytes < BYTES_TOGETHER && *end; i++) {
        bytes += (*end)->bytes.len;
        end = &(*end)->next;
    }
    AmqpMessage *rest = *end;
    *end = NULL;
    f->first = rest;
    if (!rest) f->last = &f->first;
    *more = rest;
    if (!rest) f->posted = false;
    pthread_mutex_unlock(&f->lock);
    return taken;
}

static BrokerDelivery *read_delivery(BrokerFeed *f, AmqpMessage *messages) {
    BrokerDelivery *d = must(calloc(1, sizeof *d));
    d->feed = f;
    d->messages = messages;
    d->arena = must(arena_new(ARENA_MAX));
    d->events.events = must(calloc(TOGETHER, sizeof(Events__V1__Envelope *)));
    d->events.bad = must(calloc(2 * TOGETHER, sizeof(GridBadEvent)));
    d->events.status = 503;
    for (const AmqpMessage *m = messages; m; m = m->next) read_message(d, m);
    return d;
}

static void on_arrival(Task *task) {
    BrokerFeed *f = CONTAINER(task, BrokerFeed, arrival);
    pthread_mutex_lock(&f->lock);
    bool more = !f->drained;
    pthread_mutex_unlock(&f->lock);
    while (more) {
        AmqpMessage *messages = take_messages(f, &more);
        if (messages) f->options.deliver(f->options.user, read_delivery(f, messages));
    }
}

/* --- answers --- */

static void free_delivery(BrokerDelivery *d) {
    for (AmqpMessage *m = d->messages, *next; m; m = next) next = m->next, free(m);
    free(d->events.events);
    free((void *)d->events.bad);
    arena_free(d->arena);
    free(d);
}

static void deliver_again(Timer *timer) {
    BrokerFeed *f = CONTAINER(timer, BrokerFeed, again);
    BrokerDelivery *all = f->refused;
    f->refused = NULL;
    for (BrokerDelivery *d = all, *next; d; d = next) {
        next = d->next;
        f->options.deliver(f->options.user, d);
    }
}

void broker_feed_answer(BrokerDelivery *d) {
    BrokerFeed *f = d->feed;
    if (d->events.status != 200) {
        d->next = f->refused;
        f->refused = d;
        if (!f->drained) loop_timer_set(f->options.loop, &f->again, AGAIN_MS);
        return;
    }
    for (AmqpMessage *m = d->messages, *next; m; m = next) {
        next = m->next;
        amqp_receiver_done(f->receiver, m);
    }
    d->messages = NULL;
    free_delivery(d);
}

/* --- life --- */

static bool open_receiver(BrokerFeed *f, Err *err) {
    AmqpUrl url;
    char address[300];
    if (!amqp_url_parse(f->options.url, &url, err)) return false;
    if (*url.subscription)
        snprintf(address, sizeof address, "%s/subscriptions/%s", url.queue, url.subscription);
    else
        snprintf(address, sizeof address, "/amq/queue/%s", url.queue);
    const AmqpReceiverOptions options = {.name = "projection",
                                         .address = address,
                                         .durable = !*url.subscription,
                                         .window = WINDOW,
                                         .attached = on_attached,
                                         .message = on_message,
                                         .user = f};
    return amqp_receiver_open(&url, &options, &f->receiver, err);
}

bool broker_feed_open(const BrokerFeedOptions *options, BrokerFeed **ret, Err *err) {
    AUTO(BrokerFeed) f = must(calloc(1, sizeof *f));
    f->options = *options;
    f->last = &f->first;
    f->arrival.run = on_arrival;
    f->again.expired = deliver_again;
    f->coder = amqp_coder_new();
    pthread_mutex_init(&f->lock, NULL);
    if (!open_receiver(f, err)) return false;
    *ret = f;
    f = NULL;
    return true;
}

void broker_feed_drain(BrokerFeed *f) {
    if (!f) return;
    pthread_mutex_lock(&f->lock);
    f->drained = true;
    pthread_mutex_unlock(&f->lock);
    loop_timer_stop(f->options.loop, &f->again);
}

BrokerFeed *broker_feed_free(BrokerFeed *f) {
    if (!f) return NULL;
    amqp_receiver_free(f->receiver);
    for (AmqpMessage *m = f->first, *next; m; m = next) next = m->next, free(m);
    for (BrokerDelivery *d = f->refused, *next; d; d = next) next = d->next, free_delivery(d);
    amqp_coder_free(f->coder);
    pthread_mutex_destroy(&f->lock);
    free(f);
    return NULL;
}
