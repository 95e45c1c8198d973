/* amqp_sender.c - the sending thread lays its messages on the table and waits; the broker's thread sends them
 * as far as there is credit and ticks off the dispositions. A connection that breaks takes the fate of what is
 * not settled with it: all of that is sent again, in order, over the next one. So a message may be there twice,
 * and none is passed over. */
#include "amqp/amqp_sender.h"

#include "amqp/amqp_peer.h"
#include "base/clock.h"
#include <proton/delivery.h>
#include <proton/disposition.h>
#include <proton/link.h>
#include <proton/session.h>
#include <stdio.h>

typedef enum State { STATE_NEW, STATE_SENT, STATE_ACCEPTED, STATE_REFUSED, STATE_TOO_LARGE } State;

struct AmqpSender {
    char name[16], address[256];
    AmqpPeer *peer;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under the lock: the table */
    const Span *messages;
    State *states;
    size_t count, states_size, next, left; /* next: the first that is not sent; left: without a disposition */
    uint32_t call;                         /* counts up, so that a late disposition ticks off nothing else */
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

static void tick_off(AmqpSender *s, size_t index, State state) {
    s->states[index] = state;
    if (--s->left == 0) pthread_cond_broadcast(&s->changed);
}

static void send_one(AmqpSender *s, size_t index) {
    uint32_t tag[2] = {s->call, (uint32_t)index};
    Span m = s->messages[index];
    uint64_t most = pn_link_remote_max_message_size(s->link);
    if (most && m.len > most) { /* sent, it would cost the link, again and again */
        tick_off(s, index, STATE_TOO_LARGE);
        return;
    }
    pn_delivery_t *d = pn_delivery(s->link, pn_dtag((const char *)tag, sizeof tag));
    pn_delivery_set_context(d, (void *)(((uintptr_t)s->call << 32) | index));
    pn_link_send(s->link, m.at, m.len);
    pn_link_advance(s->link);
    s->states[index] = STATE_SENT;
}

/* What was accepted over an earlier connection is passed over. */
static void send_on(void *user) {
    AmqpSender *s = user;
    pthread_mutex_lock(&s->lock);
    for (; s->ready && s->next < s->count; s->next++) {
        if (s->states[s->next] != STATE_NEW) continue;
        if (pn_link_credit(s->link) <= 0) break;
        send_one(s, s->next);
    }
    pthread_mutex_unlock(&s->lock);
}

static void credit(void *user, pn_link_t *link) {
    (void)link;
    send_on(user);
}

static void linked(void *user, pn_link_t *link) {
    AmqpSender *s = user;
    if (!pn_terminus_get_address(pn_link_remote_target(link))) return; /* refused: its end follows */
    pthread_mutex_lock(&s->lock);
    s->ready = true;
    pthread_mutex_unlock(&s->lock);
    send_on(s);
}

static void delivery(void *user, pn_delivery_t *d) {
    AmqpSender *s = user;
    if (!pn_delivery_updated(d) || !(pn_delivery_remote_state(d) || pn_delivery_settled(d))) return;
    uintptr_t context = (uintptr_t)pn_delivery_get_context(d);
    size_t index = context & UINT32_MAX;
    pthread_mutex_lock(&s->lock);
    bool of_this = (uint32_t)(context >> 32) == s->call && index < s->count && s->states[index] == STATE_SENT;
    if (of_this)
        tick_off(s, index, pn_delivery_remote_state(d) == PN_ACCEPTED ? STATE_ACCEPTED : STATE_REFUSED);
    pthread_mutex_unlock(&s->lock);
    pn_delivery_settle(d);
}

static void closed(void *user, const Err *why) {
    AmqpSender *s = user;
    pthread_mutex_lock(&s->lock);
    s->ready = false;
    s->why = *why;
    for (size_t i = 0; i < s->count; i++)
        if (s->states[i] == STATE_SENT) s->states[i] = STATE_NEW;
    s->next = 0;
    pthread_mutex_unlock(&s->lock);
}

/* --- the sending thread --- */

static void lay_on_table(AmqpSender *s, const Span *messages, size_t count) {
    if (s->states_size < count)
        s->states = must(realloc(s->states, (s->states_size = count) * sizeof *s->states));
    for (size_t i = 0; i < count; i++) s->states[i] = STATE_NEW;
    s->messages = messages;
    s->count = s->left = count;
    s->next = 0;
    s->call++;
}

static AmqpSent clear_table(AmqpSender *s) {
    AmqpSent sent = {0};
    size_t count = s->count;
    while (sent.accepted < count && s->states[sent.accepted] == STATE_ACCEPTED) sent.accepted++;
    State next = sent.accepted < count ? s->states[sent.accepted] : STATE_ACCEPTED;
    if (next == STATE_REFUSED)
        err_set(&sent.why, &ERR_INVALID, "the broker has refused it");
    else if (next == STATE_TOO_LARGE)
        err_set(&sent.why, &ERR_TOO_LARGE, "the broker takes no message of this size");
    else if (next != STATE_ACCEPTED && s->ready)
        err_set(&sent.why, &ERR_UNAVAILABLE, "the broker does not answer");
    else if (next != STATE_ACCEPTED)
        err_set(&sent.why, &ERR_UNAVAILABLE, "%s", s->why.kind ? s->why.why : "the broker is not connected");
    s->count = s->left = 0;
    return sent;
}

AmqpSent amqp_sender_send(AmqpSender *s, const Span *messages, size_t count, int64_t ms) {
    struct timespec end = clock_deadline(ms);
    int late = 0;
    pthread_mutex_lock(&s->lock);
    lay_on_table(s, messages, count);
    pthread_mutex_unlock(&s->lock);
    amqp_peer_wake(s->peer);
    pthread_mutex_lock(&s->lock);
    while (s->left && !late && !s->interrupted) late = pthread_cond_timedwait(&s->changed, &s->lock, &end);
    AmqpSent sent = clear_table(s);
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
    free(s->states);
    free(s);
    return NULL;
}
