/* One connection to an AMQP 1.0 broker, made again whenever it breaks: with back-off and full jitter, up to 5
 * s. A thread of its own runs qpid-proton's proactor; every callback comes on it, and only there may links
 * and deliveries be touched. TLS is verified (chain and host name), heartbeats are sent and asked for, a
 * connection that does not come up in time is given up. */
#pragma once
#include "amqp/amqp_url.h"
#include "base/auto.h"
#include <proton/engine.h>
#include <pthread.h>

typedef struct AmqpPeer AmqpPeer;
typedef struct AmqpPeerOptions {
    const char *name; /* of the container, and of the thread: at most 15 characters */
    void (*opened)(void *user, pn_session_t *session);     /* make links */
    void (*linked)(void *user, pn_link_t *link);           /* the broker has taken one */
    void (*credit)(void *user, pn_link_t *link);           /* a sender may send more */
    void (*delivery)(void *user, pn_delivery_t *delivery); /* one has come, or its state has changed */
    void (*woken)(void *user);                             /* after amqp_peer_wake() */
    void (*closed)(void *user, const Err *why); /* links and deliveries are no more. Also where none was made.
                                       ERR_CONFIG: the broker does not want us, or lacks a queue */
    void *user;
} AmqpPeerOptions;

/* Does not wait for the connection. False: the url's certificates cannot be read, or no thread. */
bool amqp_peer_open(const AmqpUrl *url, const AmqpPeerOptions *options, AmqpPeer **ret, Err *err);
/* Says good-bye to the broker, a second at most, after what woken() still had to write. closed() is called.
 */
AmqpPeer *amqp_peer_free(AmqpPeer *peer);
AUTO_FREE(AmqpPeer, amqp_peer_free)
/* Waits at most `ms` until *ready, as opened() and closed() of the caller say it under the lock, with `changed`. False:
 * what *why tells, at once where that is ERR_CONFIG, which no waiting heals; else ERR_UNAVAILABLE. */
bool amqp_wait_ready(pthread_mutex_t *lock, pthread_cond_t *changed, const bool *ready, const Err *why,
                     int64_t ms, Err *err);
/* Any thread. Nothing happens while there is no connection: opened() looks at what waits. */
void amqp_peer_wake(AmqpPeer *peer);
