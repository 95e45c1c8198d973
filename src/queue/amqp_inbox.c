/* amqp_inbox.c - the receiving links.
 *
 * Exclusive: the broker's lanes are queues with a single active consumer: whoever attached first gets all of
 * a lane's messages, in order, the others wait until he is gone. So keys are in order however many work.
 * Window:    WINDOW messages of each lane are here at most, locked at the broker until they are accepted.
 *            While the handler stands still nothing more comes.
 * Settled:   on RabbitMQ only ever "accepted". A message that is to be tried again stays here and locked meanwhile, a
 *            dead letter is kept elsewhere first; what was not accepted when a connection ends, the broker
 *            gives out again, in order. */
#include "queue/amqp_inbox.h"

#include "amqp/amqp_peer.h"
#include "base/clock.h"
#include "queue/queue.h"
#include <proton/delivery.h>
#include <proton/link.h>
#include <proton/session.h>
#include <pthread.h>
#include <stdio.h>

enum { OPEN_MS = 5000, WINDOW = 32, BODY_MOST = 4 << 20 };

typedef struct Settled {
    pn_delivery_t *delivery;
    uint64_t connection;
    unsigned lane;
    AmqpSettle how;
    char reason[48];
} Settled;

struct AmqpInbox {
    AmqpUrl url;
    AmqpPeer *peer;
    unsigned worker, workers;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under the lock */
    AmqpArrival *first, *last;
    Settled *settled;
    size_t settled_count, settled_size;
    uint64_t connection; /* counts up with each that is made or lost */
    bool ready;
    Err why;
    void (*arrived)(void *user);
    void *arrived_user;
    /* of the broker's thread */
    AmqpCoder *coder;
    pn_link_t *lanes[QUEUE_LANES];
    int owed[QUEUE_LANES]; /* credit that is to be given again */
    unsigned linked;
    Buf bytes;
};

/* --- the broker's thread --- */

static void opened(void *user, pn_session_t *session) {
    AmqpInbox *in = user;
    in->linked = 0;
    for (unsigned lane = in->worker; lane < QUEUE_LANES; lane += in->workers) {
        char name[32];
        snprintf(name, sizeof name, "receive-%02u", lane);
        pn_link_t *link = pn_receiver(session, name);
        amqp_form_receiver(&in->url, lane, link);
        pn_link_set_context(link, (void *)(uintptr_t)lane);
        pn_link_open(link);
        pn_link_flow(link, WINDOW);
        in->lanes[lane] = link;
        in->owed[lane] = 0;
    }
}

static void linked(void *user, pn_link_t *link) {
    AmqpInbox *in = user;
    if (!amqp_form_granted(&in->url, (unsigned)(uintptr_t)pn_link_get_context(link), link)) {
        pn_link_close(link); /* and with it the connection */
        return;
    }
    if (++in->linked < (QUEUE_LANES - in->worker + in->workers - 1) / in->workers) return;
    pthread_mutex_lock(&in->lock);
    in->ready = true;
    pthread_cond_broadcast(&in->changed);
    pthread_mutex_unlock(&in->lock);
}

static Span copy_to(char **at, Span from) {
    Span copy = span_bytes(*at, from.len);
    if (from.len) memcpy(*at, from.at, from.len);
    *at += from.len;
    return copy;
}

/* What is no message of ours, or too large, has an empty body: its handler gives it up. */
static AmqpArrival *read_arrival(AmqpInbox *in, Span bytes) {
    AmqpCommand c;
    if (bytes.len > BODY_MOST || !amqp_decode(in->coder, bytes, &c)) c = (AmqpCommand){0};
    size_t size = c.body.len + c.message_id.len + c.tenant_id.len + 1 + c.ordering_key.len;
    AmqpArrival *a = must(malloc(sizeof *a + size + 1));
    char *at = a->bytes;
    *a = (AmqpArrival){.command = c};
    a->command.body = copy_to(&at, c.body);
    a->command.message_id = copy_to(&at, c.message_id);
    a->command.tenant_id = copy_to(&at, c.tenant_id);
    copy_to(&at, SPAN("\n"));
    a->command.ordering_key = copy_to(&at, c.ordering_key);
    a->key = span_bytes(a->command.tenant_id.at, c.tenant_id.len + 1 + c.ordering_key.len);
    a->command.command_type = a->command.traceparent = SPAN_NONE; /* they stand in the envelope */
    return a;
}

static void append(AmqpInbox *in, AmqpArrival *a) {
    pthread_mutex_lock(&in->lock);
    a->connection = in->connection;
    bool first = !in->first;
    if (first)
        in->first = a;
    else
        in->last->next = a;
    in->last = a;
    if (first && in->arrived) in->arrived(in->arrived_user);
    pthread_mutex_unlock(&in->lock);
}

/* Fewer and larger grants are cheaper for the broker. */
static void grant(AmqpInbox *in, unsigned lane) {
    if (in->owed[lane] < WINDOW / 2) return;
    pn_link_flow(in->lanes[lane], in->owed[lane]);
    in->owed[lane] = 0;
}

/* Where the broker's word is waited for, it has come. */
static void heard(AmqpInbox *in, pn_delivery_t *d) {
    unsigned lane = (unsigned)(uintptr_t)pn_link_get_context(pn_delivery_link(d));
    pn_delivery_settle(d);
    in->owed[lane]++;
    grant(in, lane);
}

static void delivery(void *user, pn_delivery_t *d) {
    AmqpInbox *in = user;
    if (pn_delivery_settled(d) && pn_delivery_local_state(d)) {
        heard(in, d);
        return;
    }
    if (!pn_delivery_readable(d) || pn_delivery_partial(d)) return;
    pn_link_t *link = pn_delivery_link(d);
    buf_clear(&in->bytes);
    size_t size = pn_delivery_pending(d);
    char *room = buf_reserve(&in->bytes, size + 1);
    ssize_t len = room ? pn_link_recv(link, room, size) : 0;
    AmqpArrival *a = read_arrival(in, span_bytes(room, len > 0 ? (size_t)len : 0));
    a->lane = (unsigned)(uintptr_t)pn_link_get_context(link);
    a->delivery = d;
    pn_link_advance(link);
    append(in, a);
}

static void woken(void *user) {
    AmqpInbox *in = user;
    pthread_mutex_lock(&in->lock);
    for (size_t i = 0; i < in->settled_count; i++) {
        const Settled *s = &in->settled[i];
        if (s->connection == in->connection && amqp_form_settle(&in->url, s->delivery, s->how, s->reason))
            in->owed[s->lane]++;
    }
    in->settled_count = 0;
    pthread_mutex_unlock(&in->lock);
    for (unsigned lane = in->worker; lane < QUEUE_LANES; lane += in->workers) grant(in, lane);
}

static void no_credit(void *user, pn_link_t *link) {
    (void)user, (void)link;
}

static void drop_arrivals(AmqpInbox *in) {
    for (AmqpArrival *a = in->first, *next; a; a = next) next = a->next, free(a);
    in->first = in->last = NULL;
}

static void closed(void *user, const Err *why) {
    AmqpInbox *in = user;
    pthread_mutex_lock(&in->lock);
    drop_arrivals(in);
    in->settled_count = 0;
    in->connection++;
    in->ready = false;
    in->why = *why;
    pthread_mutex_unlock(&in->lock);
}

/* --- the handling thread --- */

AmqpArrival *amqp_inbox_take(AmqpInbox *in, uint64_t *connection) {
    pthread_mutex_lock(&in->lock);
    AmqpArrival *first = in->first;
    in->first = in->last = NULL;
    *connection = in->connection;
    pthread_mutex_unlock(&in->lock);
    return first;
}

void amqp_inbox_settle(AmqpInbox *in, const AmqpArrival *arrival, AmqpSettle how, const char *reason) {
    pthread_mutex_lock(&in->lock);
    if (arrival->connection == in->connection) {
        if (in->settled_count == in->settled_size) {
            in->settled_size = in->settled_size ? 2 * in->settled_size : 256;
            in->settled = must(realloc(in->settled, in->settled_size * sizeof *in->settled));
        }
        Settled *s = &in->settled[in->settled_count++];
        *s = (Settled){arrival->delivery, arrival->connection, arrival->lane, how, ""};
        if (reason) strncat(s->reason, reason, sizeof s->reason - 1);
    }
    pthread_mutex_unlock(&in->lock);
}

void amqp_inbox_flush(AmqpInbox *in) {
    amqp_peer_wake(in->peer);
}

void amqp_inbox_on_arrival(AmqpInbox *in, void (*arrived)(void *user), void *user) {
    pthread_mutex_lock(&in->lock);
    in->arrived = arrived;
    in->arrived_user = user;
    if (in->first && arrived) arrived(user);
    pthread_mutex_unlock(&in->lock);
}

bool amqp_inbox_open(const AmqpUrl *url, unsigned worker, unsigned workers, AmqpInbox **ret, Err *err) {
    AUTO(AmqpInbox) in = must(calloc(1, sizeof *in));
    clock_cond_init(&in->changed);
    pthread_mutex_init(&in->lock, NULL);
    in->url = *url;
    in->worker = worker;
    in->workers = workers;
    in->coder = amqp_coder_new();
    AmqpPeerOptions options = {.name = "queue-receive",
                               .opened = opened,
                               .linked = linked,
                               .credit = no_credit,
                               .delivery = delivery,
                               .woken = woken,
                               .closed = closed,
                               .user = in};
    if (!amqp_peer_open(url, &options, &in->peer, err) ||
        !amqp_wait_ready(&in->lock, &in->changed, &in->ready, &in->why, OPEN_MS, err))
        return false;
    *ret = in;
    in = NULL;
    return true;
}

AmqpInbox *amqp_inbox_free(AmqpInbox *in) {
    if (!in) return NULL;
    amqp_peer_free(in->peer);
    drop_arrivals(in);
    amqp_coder_free(in->coder);
    buf_free(&in->bytes);
    free(in->settled);
    pthread_cond_destroy(&in->changed);
    pthread_mutex_destroy(&in->lock);
    free(in);
    return NULL;
}
