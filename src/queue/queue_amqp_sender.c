/* queue_amqp_sender.c - commands to a broker, a 202 only for what it has accepted.
 *
 * Promise:   QUEUE_ACCEPTED is said when the broker's disposition "accepted" has come: from RabbitMQ's quorum
 *            queues that means written and synced. Whatever else happens, in time or too late, is
 *            QUEUE_FAILED.
 * Shape:     the writing thread lays a batch on the table and waits; the broker's thread sends all of it,
 *            each message over the link of its lane, and ticks off the dispositions as they come. So a batch
 *            costs one wait, and no loop of the gateway ever waits.
 * Faults:    a connection that breaks takes the unsettled messages' fate with it: they are sent again over
 *            the next one, while there is time. One that has been gone for long fails a batch at once: the
 *            gateway answers 503, and does not hold its clients. A message may so be in the queue twice, or
 *            be there though its sender was told 503: command_done knows.
 * Order:     of one key is that of the loops' sends, because its lane is one link; after a broken connection
 *            all that is not settled is sent again, in order. */
#include "queue/queue_driver.h"

#include "amqp/amqp_peer.h"
#include "base/clock.h"
#include "base/log.h"
#include "events/v1/envelope.pb-c.h"
#include "queue/amqp_form.h"
#include <proton/delivery.h>
#include <proton/disposition.h>
#include <proton/link.h>
#include <proton/session.h>
#include <pthread.h>
#include <stdio.h>

enum { START_MS = 30000, BATCH_MS = 2500, GONE_MS = 1000 };

typedef enum SendState { SEND_NEW, SEND_SENT, SEND_ACCEPTED, SEND_REFUSED } SendState;
typedef struct Outgoing {
    QueueSend *send;
    SendState state;
    unsigned lane;
    size_t from, len; /* in the batch's bytes */
} Outgoing;

/* What lies on the table. */
typedef struct Batch {
    Outgoing *items;
    size_t count, left; /* left: without a disposition */
    Buf bytes;
    uint32_t number;
} Batch;

typedef struct AmqpSender {
    QueueSendEngine base;
    AmqpUrl url;
    AmqpPeer *peer;
    AmqpCoder *coder;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under the lock */
    Batch *batch;
    bool ready;
    int64_t gone_at; /* monotonic; while not ready */
    Err why;
    /* of the broker's thread */
    pn_link_t *lanes[QUEUE_LANES];
    unsigned linked;
    /* of the writing thread */
    uint32_t batches;
    Outgoing *items;
    size_t items_size;
} AmqpSender;

/* --- the broker's thread --- */

static void opened(void *user, pn_session_t *session) {
    AmqpSender *s = user;
    s->linked = 0;
    for (unsigned i = 0; i < QUEUE_LANES; i++) {
        char name[32];
        snprintf(name, sizeof name, "send-%02u", i);
        pn_link_t *link = pn_sender(session, name);
        amqp_form_sender(&s->url, i, link);
        pn_link_set_context(link, (void *)(uintptr_t)i);
        pn_link_open(link);
        s->lanes[i] = link;
    }
}

/* False: the lane has no credit, the rest of it must wait behind this one. */
static bool send_one(AmqpSender *s, const Batch *b, size_t index) {
    Outgoing *o = &b->items[index];
    pn_link_t *link = s->lanes[o->lane];
    if (pn_link_credit(link) <= 0) return false;
    char tag[16];
    uint32_t words[2] = {b->number, (uint32_t)index};
    memcpy(tag, words, sizeof words);
    pn_delivery_t *d = pn_delivery(link, pn_dtag(tag, sizeof words));
    pn_delivery_set_context(d, (void *)(((uintptr_t)b->number << 16) | index));
    pn_link_send(link, b->bytes.at + o->from, o->len);
    pn_link_advance(link);
    o->state = SEND_SENT;
    return true;
}

static void send_batch(AmqpSender *s) {
    Batch *b = s->batch;
    uint64_t full = 0; /* lanes without credit */
    for (size_t i = 0; b && s->ready && i < b->count; i++) {
        uint64_t lane = UINT64_C(1) << b->items[i].lane;
        if (b->items[i].state == SEND_NEW && !(full & lane) && !send_one(s, b, i)) full |= lane;
    }
}

static void woken(void *user) {
    AmqpSender *s = user;
    pthread_mutex_lock(&s->lock);
    send_batch(s);
    pthread_mutex_unlock(&s->lock);
}

static void credit(void *user, pn_link_t *link) {
    (void)link;
    woken(user);
}

static void linked(void *user, pn_link_t *link) {
    AmqpSender *s = user;
    if (!pn_terminus_get_address(pn_link_remote_target(link))) return; /* refused: its end follows */
    if (++s->linked < QUEUE_LANES) return;
    pthread_mutex_lock(&s->lock);
    s->ready = true;
    send_batch(s);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void tick_off(AmqpSender *s, Outgoing *o, pn_delivery_t *d) {
    uint64_t state = pn_delivery_remote_state(d);
    o->state = state == PN_ACCEPTED ? SEND_ACCEPTED : SEND_REFUSED;
    if (o->state == SEND_ACCEPTED) {
        o->send->verdict = QUEUE_ACCEPTED;
    } else {
        const char *name = pn_condition_get_name(pn_disposition_condition(pn_delivery_remote(d)));
        err_set(&o->send->err, &ERR_UNAVAILABLE, "the broker has not accepted it: %.60s",
                name ? name : "no reason");
    }
    if (--s->batch->left == 0) pthread_cond_broadcast(&s->changed);
}

static void delivery(void *user, pn_delivery_t *d) {
    AmqpSender *s = user;
    if (!pn_delivery_updated(d) || !(pn_delivery_remote_state(d) || pn_delivery_settled(d))) return;
    uintptr_t context = (uintptr_t)pn_delivery_get_context(d);
    size_t index = context & 0xffff;
    pthread_mutex_lock(&s->lock);
    Batch *b = s->batch;
    bool of_this = b && (uint32_t)(context >> 16) == b->number && index < b->count;
    if (of_this && b->items[index].state == SEND_SENT) tick_off(s, &b->items[index], d);
    pthread_mutex_unlock(&s->lock);
    pn_delivery_settle(d);
}

static void closed(void *user, const Err *why) {
    AmqpSender *s = user;
    pthread_mutex_lock(&s->lock);
    if (s->ready) s->gone_at = clock_mono_us();
    s->ready = false;
    s->why = *why;
    for (size_t i = 0; s->batch && i < s->batch->count; i++)
        if (s->batch->items[i].state == SEND_SENT) s->batch->items[i].state = SEND_NEW;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* --- the writing thread --- */

static bool lay_out(AmqpSender *s, QueueSend *send, Outgoing *o, Buf *bytes, Err *err) {
    char id[37];
    amqp_message_id(send->tenant_id, send->issued_by, send->command_id, send->requeues, id);
    Events__V1__CommandEnvelope *envelope =
        events__v1__command_envelope__unpack(NULL, send->body.len, (const uint8_t *)send->body.at);
    AmqpCommand command = {.body = send->body,
                           .message_id = span_of(id),
                           .tenant_id = send->tenant_id,
                           .ordering_key = send->ordering_key,
                           .command_type = span_of(envelope ? envelope->command_type : ""),
                           .traceparent = span_of(envelope ? envelope->traceparent : ""),
                           .lane = amqp_lane(send->ordering_key),
                           .body_hash = send->body_hash,
                           .accepted_at = clock_now_us(),
                           .requeues = send->requeues};
    *o = (Outgoing){.send = send, .lane = command.lane, .from = bytes->len};
    bool ok = amqp_encode(s->coder, &command, bytes, err);
    o->len = bytes->len - o->from;
    if (envelope) events__v1__command_envelope__free_unpacked(envelope, NULL);
    return ok;
}

/* Until the broker has spoken about each, or it takes too long. Under the lock. */
static void wait_for(AmqpSender *s, const Batch *b, int64_t until) {
    while (b->left) {
        int64_t now = clock_mono_us(), end = until;
        if (!s->ready && s->gone_at + GONE_MS * 1000 < end) end = s->gone_at + GONE_MS * 1000;
        if (now >= end) return;
        struct timespec at = clock_deadline((end - now + 999) / 1000);
        pthread_cond_timedwait(&s->changed, &s->lock, &at);
    }
}

static void fail_rest(AmqpSender *s, Batch *b) {
    size_t failed = 0;
    for (size_t i = 0; i < b->count; i++) {
        QueueSend *send = b->items[i].send;
        if (send->verdict == QUEUE_ACCEPTED) continue;
        failed++;
        if (s->ready)
            err_set(&send->err, &ERR_UNAVAILABLE, "the broker does not answer");
        else
            err_set(&send->err, &ERR_UNAVAILABLE, "the broker is not connected");
    }
    if (failed) log_warn("commands not stored", LOG_INT("commands", failed), LOG_ERR(&b->items[0].send->err));
}

static bool store(void *engine, QueueSend **sends, size_t count) {
    AmqpSender *s = engine;
    if (s->items_size < count) s->items = must(realloc(s->items, (s->items_size = count) * sizeof *s->items));
    Batch b = {.items = s->items, .number = ++s->batches};
    for (size_t i = 0; i < count; i++) {
        sends[i]->verdict = QUEUE_FAILED;
        if (lay_out(s, sends[i], &b.items[b.count], &b.bytes, &sends[i]->err)) b.count++;
    }
    b.left = b.count;
    int64_t until = clock_mono_us() + BATCH_MS * 1000;
    pthread_mutex_lock(&s->lock);
    s->batch = &b;
    pthread_mutex_unlock(&s->lock);
    amqp_peer_wake(s->peer);
    pthread_mutex_lock(&s->lock);
    wait_for(s, &b, until);
    s->batch = NULL;
    fail_rest(s, &b);
    pthread_mutex_unlock(&s->lock);
    buf_free(&b.bytes);
    for (size_t i = 0; i < count; i++)
        if (sends[i]->verdict == QUEUE_ACCEPTED) return true;
    return false;
}

/* --- opening --- */

static void *free_sender(void *engine) {
    AmqpSender *s = engine;
    amqp_peer_free(s->peer);
    amqp_coder_free(s->coder);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s->items);
    free(s);
    return NULL;
}

static const QueueSendDriver AMQP = {.free = free_sender, .store = store};

bool queue_amqp_sender_open(const QueuePlace *place, QueueSendEngine **ret, Err *err) {
    AmqpSender *s = must(calloc(1, sizeof *s));
    clock_cond_init(&s->changed);
    pthread_mutex_init(&s->lock, NULL);
    s->base.driver = &AMQP;
    s->url = place->amqp;
    s->coder = amqp_coder_new();
    *ret = &s->base; /* freed by the caller, whole or not */
    AmqpPeerOptions options = {.name = "queue-send",
                               .opened = opened,
                               .linked = linked,
                               .credit = credit,
                               .delivery = delivery,
                               .woken = woken,
                               .closed = closed,
                               .user = s};
    return amqp_peer_open(&s->url, &options, &s->peer, err) &&
           amqp_wait_ready(&s->lock, &s->changed, &s->ready, &s->why, START_MS, err);
}
