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

#include "amqp/amqp_lanes.h"
#include "amqp/amqp_peer.h"
#include "base/clock.h"
#include "base/log.h"
#include "events/v1/envelope.pb-c.h"
#include "queue/amqp_form.h"
#include <proton/session.h>
#include <pthread.h>
#include <stdio.h>

enum { START_MS = 30000, BATCH_MS = 2500, GONE_MS = 1000 };

/* What lies on the table under the same index. */
typedef struct Outgoing {
    QueueSend *send;
    unsigned lane;
    size_t from, len; /* in the batch's bytes */
} Outgoing;

typedef struct QueueAmqpSender {
    QueueSendEngine base;
    AmqpUrl url;
    AmqpPeer *peer;
    AmqpCoder *coder;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under the lock */
    AmqpTable *table;
    bool ready;
    int64_t gone_at; /* monotonic; while not ready */
    Err why;
    /* of the broker's thread */
    pn_link_t *lanes[QUEUE_LANES];
    unsigned linked;
    /* of the writing thread */
    Outgoing *items;
    size_t items_size;
} QueueAmqpSender;
_Static_assert(QUEUE_LANES <= (int)AMQP_LANES_MOST, "a lane of the table for each");

/* --- the broker's thread --- */

static void opened(void *user, pn_session_t *session) {
    QueueAmqpSender *s = user;
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

/* Under the lock. */
static void send_on(QueueAmqpSender *s) {
    if (s->ready) amqp_lanes_send(s->table, s->lanes);
    if (!amqp_table_left(s->table)) pthread_cond_broadcast(&s->changed);
}

static void woken(void *user) {
    QueueAmqpSender *s = user;
    pthread_mutex_lock(&s->lock);
    send_on(s);
    pthread_mutex_unlock(&s->lock);
}

static void credit(void *user, pn_link_t *link) {
    (void)link;
    woken(user);
}

static void linked(void *user, pn_link_t *link) {
    QueueAmqpSender *s = user;
    (void)link;
    if (++s->linked < QUEUE_LANES) return;
    pthread_mutex_lock(&s->lock);
    s->ready = true;
    send_on(s);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void delivery(void *user, pn_delivery_t *d) {
    QueueAmqpSender *s = user;
    pthread_mutex_lock(&s->lock);
    amqp_lanes_told(s->table, d);
    if (!amqp_table_left(s->table)) pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void closed(void *user, const Err *why) {
    QueueAmqpSender *s = user;
    pthread_mutex_lock(&s->lock);
    if (s->ready) s->gone_at = clock_mono_us();
    s->ready = false;
    s->why = *why;
    amqp_table_lost(s->table);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* --- the writing thread --- */

static bool lay_out(QueueAmqpSender *s, QueueSend *send, Outgoing *o, Buf *bytes, Err *err) {
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
static void wait_for_word(QueueAmqpSender *s, int64_t until) {
    while (amqp_table_left(s->table)) {
        int64_t now = clock_mono_us(), end = until;
        if (!s->ready && s->gone_at + GONE_MS * 1000 < end) end = s->gone_at + GONE_MS * 1000;
        if (now >= end) return;
        struct timespec at = clock_deadline((end - now + 999) / 1000);
        pthread_cond_timedwait(&s->changed, &s->lock, &at);
    }
}

static void judge(const QueueAmqpSender *s, size_t index, QueueSend *send) {
    const char *reason = amqp_table_reason(s->table);
    switch (amqp_table_fate(s->table, index)) {
    case AMQP_ACCEPTED: send->verdict = QUEUE_ACCEPTED; break;
    case AMQP_REFUSED:
        err_set(&send->err, &ERR_UNAVAILABLE, "the broker has not accepted it: %s",
                *reason ? reason : "no reason");
        break;
    case AMQP_TOO_LARGE:
        err_set(&send->err, &ERR_TOO_LARGE, "the broker takes no message of this size");
        break;
    case AMQP_NEW:
    case AMQP_SENT:
        err_set(&send->err, &ERR_UNAVAILABLE, "the broker %s",
                s->ready ? "does not answer" : "is not connected");
    }
}

/* Under the lock. How many are accepted. */
static size_t take_away(QueueAmqpSender *s) {
    size_t count = amqp_table_count(s->table), accepted = 0;
    const Err *why = NULL;
    for (size_t i = 0; i < count; i++) {
        QueueSend *send = s->items[i].send;
        judge(s, i, send);
        if (send->verdict == QUEUE_ACCEPTED)
            accepted++;
        else
            why = &send->err;
    }
    if (why) log_warn("commands not stored", LOG_INT("commands", count - accepted), LOG_ERR(why));
    amqp_table_clear(s->table);
    return accepted;
}

/* How many there are: those that become messages. */
static size_t lay_out_all(QueueAmqpSender *s, QueueSend **sends, size_t count, Buf *bytes) {
    size_t laid = 0;
    if (s->items_size < count) s->items = must(realloc(s->items, (s->items_size = count) * sizeof *s->items));
    for (size_t i = 0; i < count; i++) {
        sends[i]->verdict = QUEUE_FAILED;
        if (lay_out(s, sends[i], &s->items[laid], bytes, &sends[i]->err)) laid++;
    }
    return laid;
}

static bool store(void *engine, QueueSend **sends, size_t count) {
    QueueAmqpSender *s = engine;
    AUTO_BUF bytes = {0};
    size_t laid = lay_out_all(s, sends, count, &bytes);
    int64_t until = clock_mono_us() + BATCH_MS * 1000;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < laid; i++)
        amqp_table_lay(s->table, span_bytes(bytes.at + s->items[i].from, s->items[i].len), s->items[i].lane);
    pthread_mutex_unlock(&s->lock);
    amqp_peer_wake(s->peer);
    pthread_mutex_lock(&s->lock);
    wait_for_word(s, until);
    size_t accepted = take_away(s);
    pthread_mutex_unlock(&s->lock);
    return accepted > 0;
}

/* --- opening --- */

static void *free_sender(void *engine) {
    QueueAmqpSender *s = engine;
    amqp_peer_free(s->peer);
    amqp_coder_free(s->coder);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    amqp_table_free(s->table);
    free(s->items);
    free(s);
    return NULL;
}

static const QueueSendDriver AMQP = {.free = free_sender, .store = store};

bool queue_amqp_sender_open(const QueuePlace *place, QueueSendEngine **ret, Err *err) {
    QueueAmqpSender *s = must(calloc(1, sizeof *s));
    clock_cond_init(&s->changed);
    pthread_mutex_init(&s->lock, NULL);
    s->base.driver = &AMQP;
    s->url = place->amqp;
    s->coder = amqp_coder_new();
    s->table = amqp_table_new();
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
