/* amqp_receiver.c - one receiving link. Credit is given again in halves of the window: fewer and larger grants
 * are cheaper for the broker. What is done is written down under the lock and told by the broker's thread,
 * which alone may touch deliveries. */
#include "amqp/amqp_receiver.h"

#include "amqp/amqp_peer.h"
#include <proton/delivery.h>
#include <proton/link.h>
#include <proton/session.h>
#include <stdio.h>

struct AmqpReceiver {
    AmqpReceiverOptions options;
    char name[16], address[256];
    AmqpPeer *peer;
    pthread_mutex_t lock;
    /* under the lock */
    uint64_t connection; /* counts up with each that is lost */
    pn_delivery_t **done;
    size_t done_count, done_size;
    int owed; /* credit that is to be given again */
    /* of the broker's thread */
    pn_link_t *link;
};

/* --- the broker's thread --- */

static void opened(void *user, pn_session_t *session) {
    AmqpReceiver *r = user;
    r->link = pn_receiver(session, r->name);
    pn_terminus_set_address(pn_link_source(r->link), r->address);
    if (r->options.durable) pn_terminus_set_durability(pn_link_source(r->link), PN_DELIVERIES);
    pn_link_set_snd_settle_mode(r->link, r->options.settled ? PN_SND_SETTLED : PN_SND_UNSETTLED);
    pn_link_set_rcv_settle_mode(r->link, PN_RCV_FIRST);
    pn_link_open(r->link);
    pn_link_flow(r->link, r->options.window);
}

static void linked(void *user, pn_link_t *link) {
    AmqpReceiver *r = user;
    (void)link;
    if (r->options.attached) r->options.attached(r->options.user);
}

/* True where the broker's thread has something to do. Under the lock. */
static bool note_done(AmqpReceiver *r, const AmqpMessage *m) {
    if (m->connection != r->connection) return false;
    if (m->delivery) {
        if (r->done_count == r->done_size) {
            r->done_size = r->done_size ? 2 * r->done_size : 256;
            r->done = must(realloc(r->done, r->done_size * sizeof(pn_delivery_t *)));
        }
        r->done[r->done_count++] = m->delivery;
    }
    r->owed++;
    return m->delivery || r->owed == r->options.window / 2;
}

static void tell_done(AmqpReceiver *r) {
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->done_count; i++) {
        pn_delivery_update(r->done[i], PN_ACCEPTED);
        pn_delivery_settle(r->done[i]);
    }
    r->done_count = 0;
    int grant = r->owed >= r->options.window / 2 ? r->owed : 0;
    r->owed -= grant;
    pthread_mutex_unlock(&r->lock);
    if (grant) pn_link_flow(r->link, grant);
}

static AmqpMessage *read_message(pn_link_t *link, size_t size) {
    if (size > AMQP_MESSAGE_MOST) size = 0;
    AmqpMessage *m = must(malloc(sizeof *m + size + 1));
    *m = (AmqpMessage){0};
    ssize_t len = size ? pn_link_recv(link, m->room, size) : 0;
    m->bytes = span_bytes(m->room, len > 0 ? (size_t)len : 0);
    return m;
}

static void delivery(void *user, pn_delivery_t *d) {
    AmqpReceiver *r = user;
    if (!pn_delivery_readable(d) || pn_delivery_partial(d)) return;
    AmqpMessage *m = read_message(r->link, pn_delivery_pending(d));
    pn_link_advance(r->link);
    m->delivery = pn_delivery_settled(d) ? NULL : d;
    if (!m->delivery) pn_delivery_settle(d);
    pthread_mutex_lock(&r->lock);
    m->connection = r->connection;
    pthread_mutex_unlock(&r->lock);
    if (!r->options.message(r->options.user, m)) return;
    pthread_mutex_lock(&r->lock);
    note_done(r, m);
    pthread_mutex_unlock(&r->lock);
    free(m);
    tell_done(r);
}

static void woken(void *user) {
    tell_done(user);
}

static void no_credit(void *user, pn_link_t *link) {
    (void)user, (void)link;
}

static void closed(void *user, const Err *why) {
    AmqpReceiver *r = user;
    (void)why; /* the log has it */
    pthread_mutex_lock(&r->lock);
    r->connection++;
    r->done_count = 0;
    r->owed = 0;
    pthread_mutex_unlock(&r->lock);
}

/* --- whoever works them off --- */

void amqp_receiver_done(AmqpReceiver *r, AmqpMessage *m) {
    pthread_mutex_lock(&r->lock);
    bool wake = note_done(r, m);
    pthread_mutex_unlock(&r->lock);
    free(m);
    if (wake) amqp_peer_wake(r->peer);
}

/* --- opening --- */

bool amqp_receiver_open(const AmqpUrl *url, const AmqpReceiverOptions *options, AmqpReceiver **ret,
                        Err *err) {
    AUTO(AmqpReceiver) r = must(calloc(1, sizeof *r));
    pthread_mutex_init(&r->lock, NULL);
    r->options = *options;
    snprintf(r->name, sizeof r->name, "%s", options->name);
    if (!span_copy(span_of(options->address), r->address, sizeof r->address))
        return err_set(err, &ERR_CONFIG, "amqp: the address is too long");
    const AmqpPeerOptions peer = {.name = r->name,
                                  .opened = opened,
                                  .linked = linked,
                                  .credit = no_credit,
                                  .delivery = delivery,
                                  .woken = woken,
                                  .closed = closed,
                                  .user = r};
    if (!amqp_peer_open(url, &peer, &r->peer, err)) return false;
    *ret = r;
    r = NULL;
    return true;
}

AmqpReceiver *amqp_receiver_free(AmqpReceiver *r) {
    if (!r) return NULL;
    amqp_peer_free(r->peer);
    pthread_mutex_destroy(&r->lock);
    free(r->done);
    free(r);
    return NULL;
}
