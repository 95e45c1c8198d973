/* amqp_sender.c - the sending thread lays its messages on the table and waits; the broker's thread sends them
 * as far as there is credit and ticks off the dispositions. A connection that breaks takes the fate of what is
 * not settled with it: all of that is sent again, in order, over the next one. So a message may be there twice,
 * and none is passed over. */
#include "amqp/amqp_sender.h"

#include "amqp/amqp_lanes.h"
#include "amqp/amqp_peer.h"
#include "base/clock.h"
#include <proton/session.h>
#include <stdio.h>

struct AmqpSender {
    char name[16], address[256];
    AmqpPeer *peer;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under the lock */
    AmqpTable *table;
    bool ready, interrupted;
    Err why;
    /* of the broker's thread */
    pn_link_t *link;
};

/* --- the broker's thread --- */

static void opened(void *user, pn_session_t *session) {
    AmqpSender *s = user;
    s->link = pn_sender(session, s->name);
    pn_terminus_set_address(pn_link_target(s->link), s->address);
    pn_link_set_snd_settle_mode(s->link, PN_SND_UNSETTLED);
    pn_link_set_rcv_settle_mode(s->link, PN_RCV_FIRST);
    pn_link_open(s->link);
}

static void send_on(void *user) {
    AmqpSender *s = user;
    pthread_mutex_lock(&s->lock);
    if (s->ready) amqp_lanes_send(s->table, &s->link);
    if (!amqp_table_left(s->table)) pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void credit(void *user, pn_link_t *link) {
    (void)link;
    send_on(user);
}

static void linked(void *user, pn_link_t *link) {
    AmqpSender *s = user;
    (void)link;
    pthread_mutex_lock(&s->lock);
    s->ready = true;
    pthread_mutex_unlock(&s->lock);
    send_on(s);
}

static void delivery(void *user, pn_delivery_t *d) {
    AmqpSender *s = user;
    pthread_mutex_lock(&s->lock);
    amqp_lanes_told(s->table, d);
    if (!amqp_table_left(s->table)) pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void closed(void *user, const Err *why) {
    AmqpSender *s = user;
    pthread_mutex_lock(&s->lock);
    s->ready = false;
    s->why = *why;
    amqp_table_lost(s->table);
    pthread_mutex_unlock(&s->lock);
}

/* --- the sending thread --- */

/* Of the table as it is at the end, which is cleared. */
static AmqpSent take_away(AmqpSender *s) {
    AmqpSent sent = {0};
    size_t count = amqp_table_count(s->table);
    while (sent.accepted < count && amqp_table_fate(s->table, sent.accepted) == AMQP_ACCEPTED)
        sent.accepted++;
    AmqpFate next = sent.accepted < count ? amqp_table_fate(s->table, sent.accepted) : AMQP_ACCEPTED;
    if (next == AMQP_REFUSED)
        err_set(&sent.why, &ERR_INVALID, "the broker has refused it");
    else if (next == AMQP_TOO_LARGE)
        err_set(&sent.why, &ERR_TOO_LARGE, "the broker takes no message of this size");
    else if (next != AMQP_ACCEPTED && s->ready)
        err_set(&sent.why, &ERR_UNAVAILABLE, "the broker does not answer");
    else if (next != AMQP_ACCEPTED)
        err_set(&sent.why, &ERR_UNAVAILABLE, "%s", s->why.kind ? s->why.why : "the broker is not connected");
    amqp_table_clear(s->table);
    return sent;
}

AmqpSent amqp_sender_send(AmqpSender *s, const Span *messages, size_t count, int64_t ms) {
    struct timespec end = clock_deadline(ms);
    int late = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < count; i++) amqp_table_lay(s->table, messages[i], 0);
    pthread_mutex_unlock(&s->lock);
    amqp_peer_wake(s->peer);
    pthread_mutex_lock(&s->lock);
    while (amqp_table_left(s->table) && !late && !s->interrupted)
        late = pthread_cond_timedwait(&s->changed, &s->lock, &end);
    AmqpSent sent = take_away(s);
    pthread_mutex_unlock(&s->lock);
    return sent;
}

void amqp_sender_interrupt(AmqpSender *s) {
    pthread_mutex_lock(&s->lock);
    s->interrupted = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* --- opening --- */

bool amqp_sender_open(const AmqpUrl *url, const char *name, const char *address, AmqpSender **ret, Err *err) {
    AUTO(AmqpSender) s = must(calloc(1, sizeof *s));
    clock_cond_init(&s->changed);
    pthread_mutex_init(&s->lock, NULL);
    s->table = amqp_table_new();
    snprintf(s->name, sizeof s->name, "%s", name);
    if (!span_copy(span_of(address), s->address, sizeof s->address))
        return err_set(err, &ERR_CONFIG, "amqp: the address is too long");
    const AmqpPeerOptions options = {.name = s->name,
                                     .opened = opened,
                                     .linked = linked,
                                     .credit = credit,
                                     .delivery = delivery,
                                     .woken = send_on,
                                     .closed = closed,
                                     .user = s};
    if (!amqp_peer_open(url, &options, &s->peer, err)) return false;
    *ret = s;
    s = NULL;
    return true;
}

AmqpSender *amqp_sender_free(AmqpSender *s) {
    if (!s) return NULL;
    amqp_peer_free(s->peer);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    amqp_table_free(s->table);
    free(s);
    return NULL;
}
