/* amqp_peer.c - qpid-proton has no reconnect; this is it.
 *
 * Whatever goes wrong with a link or a session ends the connection: a broker that refuses one of our links is
 * not the one we want to work with, and one way to recover is tested better than three. What was unsettled is
 * then the owner's: a sender sends again, a receiver gets it again. */
#include "amqp/amqp_peer.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/uuid.h"
#include <proton/condition.h>
#include <proton/event.h>
#include <proton/proactor.h>
#include <proton/sasl.h>
#include <proton/ssl.h>
#include <proton/transport.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum {
    BACK_OFF_FIRST_MS = 100,
    BACK_OFF_MOST_MS = 5000,
    LASTED_MS = 5000, /* a connection that was there for so long is tried again at once when it ends */
    OPEN_MS = 10000,
    GOOD_BYE_MS = 1000,
    IDLE_MS = 30000,
    FRAME = 65536
};
#define SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"

struct AmqpPeer {
    AmqpUrl url;
    AmqpPeerOptions options;
    pn_proactor_t *proactor;
    pn_ssl_domain_t *tls;
    pthread_t thread;
    bool started;
    atomic_bool stopping;
    pthread_mutex_t lock;
    pn_connection_t *awake; /* under the lock: whom to wake; NULL where there is none */
    /* of the thread */
    pn_connection_t *connection;
    pn_session_t *session;
    bool busy; /* the proactor has a connection, or what is left of it: it closes the socket after the last
                  event */
    bool opened, ending, said; /* said: the log has told of this outage */
    int64_t back_off_ms, opened_us;
    Err why; /* of the connection that ends: the first fault */
};

/* --- a connection's life --- */

static void connect_again(AmqpPeer *p) {
    char address[PN_MAX_ADDR];
    pn_connection_t *c = pn_connection();
    pn_transport_t *t = pn_transport();
    pn_connection_set_container(c, p->options.name);
    pn_connection_set_hostname(c, p->url.host);
    pn_connection_set_user(c, p->url.user);
    pn_connection_set_password(c, p->url.password);
    pn_sasl_t *sasl = pn_sasl(t);
    pn_sasl_allowed_mechs(sasl, "PLAIN");
    pn_sasl_set_allow_insecure_mechs(sasl, !p->url.tls);
    pn_transport_set_idle_timeout(t, IDLE_MS);
    pn_transport_set_max_frame(t, FRAME);
    if (p->tls) {
        pn_ssl_t *ssl = pn_ssl(t);
        pn_ssl_init(ssl, p->tls, NULL);
        pn_ssl_set_peer_hostname(ssl, p->url.host);
    }
    pn_proactor_addr(address, sizeof address, p->url.host, p->url.port);
    p->connection = c;
    p->busy = true;
    p->opened = p->ending = false;
    err_clear(&p->why);
    pn_proactor_connect2(p->proactor, c, t, address);
    pn_proactor_set_timeout(p->proactor, OPEN_MS);
}

static void wake_whom(AmqpPeer *p, pn_connection_t *connection) {
    pthread_mutex_lock(&p->lock);
    p->awake = connection;
    pthread_mutex_unlock(&p->lock);
}

/* Who cannot log in, or lacks a queue, is not helped by waiting: at a start it ends the program. */
static const ErrKind *kind_of(const char *condition) {
    static const char *const OURS[] = {"amqp:not-found", "amqp:unauthorized-access", "amqp:not-allowed"};
    for (size_t i = 0; i < COUNT(OURS); i++)
        if (!strcmp(condition, OURS[i])) return &ERR_CONFIG;
    return &ERR_UNAVAILABLE;
}

static void remember(AmqpPeer *p, pn_condition_t *condition) {
    if (p->why.kind || !pn_condition_is_set(condition)) return;
    const char *name = pn_condition_get_name(condition), *text = pn_condition_get_description(condition);
    err_set(&p->why, kind_of(name), "broker: %.60s%s%.120s", name, text ? ": " : "", text ? text : "");
}

/* Without waiting for the broker's answer. */
static void end(AmqpPeer *p, pn_condition_t *condition) {
    if (condition) remember(p, condition);
    if (p->ending) return;
    p->ending = true;
    pn_proactor_disconnect(p->proactor, NULL);
}

static void on_opened(AmqpPeer *p, pn_connection_t *connection) {
    pn_proactor_cancel_timeout(p->proactor);
    p->opened = true;
    p->opened_us = clock_mono_us();
    p->session = pn_session(connection);
    pn_session_open(p->session);
    p->options.opened(p->options.user, p->session);
    wake_whom(p, connection);
}

/* A broker may take us, and some of our links, and then send us away again and again: it is no word of its that ends
 * the growing of the pauses, but time. */
static int64_t jittered(AmqpPeer *p) {
    uint32_t random;
    random_bytes(&random, sizeof random);
    if (p->opened && clock_mono_us() - p->opened_us > LASTED_MS * INT64_C(1000)) p->back_off_ms = 0;
    p->back_off_ms = p->back_off_ms ? p->back_off_ms * 2 : BACK_OFF_FIRST_MS;
    if (p->back_off_ms > BACK_OFF_MOST_MS) p->back_off_ms = BACK_OFF_MOST_MS;
    return 1 + random % p->back_off_ms;
}

static void on_closed(AmqpPeer *p, pn_transport_t *transport) {
    wake_whom(p, NULL);
    p->connection = NULL;
    pn_proactor_cancel_timeout(p->proactor);
    remember(p, pn_transport_condition(transport));
    err_set(&p->why, &ERR_UNAVAILABLE, "broker: the connection has ended");
    if (!atomic_load(&p->stopping) && !p->said)
        log_warn("broker not connected, trying again", LOG_ERR(&p->why));
    p->said = true;
    p->options.closed(p->options.user, &p->why);
}

/* Only now is nothing left of the last one. */
static void on_inactive(AmqpPeer *p) {
    p->busy = false;
    if (!atomic_load(&p->stopping)) pn_proactor_set_timeout(p->proactor, (pn_millis_t)jittered(p));
}

/* Who refuses one answers it all the same, with nothing at its end of it (AMQP 1.0, 2.6.3). */
static bool is_refused(pn_link_t *link) {
    return !pn_terminus_get_address(pn_link_is_receiver(link) ? pn_link_remote_source(link)
                                                              : pn_link_remote_target(link));
}

static void on_linked(AmqpPeer *p, pn_link_t *link) {
    if (is_refused(link)) return; /* its end follows */
    p->options.linked(p->options.user, link);
    if (p->said) log_info("broker connected again");
    p->said = false;
}

static void on_timeout(AmqpPeer *p) {
    if (!p->busy) {
        if (!atomic_load(&p->stopping)) connect_again(p);
    } else if (!p->connection) {
        return;
    } else if (!p->opened || atomic_load(&p->stopping)) {
        err_set(&p->why, &ERR_UNAVAILABLE, "broker: no answer in time");
        end(p, NULL);
    }
}

/* The session first: RabbitMQ answers its end when it has worked off what came before, but that of a
 * connection at once, and what was accepted just then would come again. */
static void on_woken(AmqpPeer *p) {
    p->options.woken(p->options.user);
    if (atomic_load(&p->stopping)) pn_session_close(p->session);
}

/* Links are touched in the connection's own events only, else nothing would be written: so it is woken. */
static void say_good_bye(AmqpPeer *p) {
    if (!p->connection) return;
    if (!p->opened) {
        end(p, NULL);
        return;
    }
    pn_connection_wake(p->connection);
    pn_proactor_set_timeout(p->proactor, GOOD_BYE_MS);
}

static void on_session_closed(AmqpPeer *p, pn_session_t *session) {
    if (pn_session_state(session) & PN_LOCAL_CLOSED)
        pn_connection_close(p->connection);
    else
        end(p, pn_session_remote_condition(session));
}

static void handle(AmqpPeer *p, pn_event_t *event) {
    void *user = p->options.user;
    switch (pn_event_type(event)) {
    case PN_CONNECTION_REMOTE_OPEN: on_opened(p, pn_event_connection(event)); break;
    case PN_CONNECTION_WAKE: on_woken(p); break;
    case PN_LINK_REMOTE_OPEN: on_linked(p, pn_event_link(event)); break;
    case PN_LINK_FLOW: p->options.credit(user, pn_event_link(event)); break;
    case PN_DELIVERY: p->options.delivery(user, pn_event_delivery(event)); break;
    case PN_LINK_REMOTE_DETACH:
    case PN_LINK_REMOTE_CLOSE: end(p, pn_link_remote_condition(pn_event_link(event))); break;
    case PN_SESSION_REMOTE_CLOSE: on_session_closed(p, pn_event_session(event)); break;
    case PN_CONNECTION_REMOTE_CLOSE:
        if (pn_connection_state(pn_event_connection(event)) & PN_LOCAL_CLOSED) break; /* its good-bye */
        end(p, pn_connection_remote_condition(pn_event_connection(event)));
        break;
    case PN_TRANSPORT_CLOSED: on_closed(p, pn_event_transport(event)); break;
    case PN_PROACTOR_INACTIVE: on_inactive(p); break;
    case PN_PROACTOR_TIMEOUT: on_timeout(p); break;
    case PN_PROACTOR_INTERRUPT: say_good_bye(p); break;
    default: break;
    }
}

static void *work(void *user) {
    AmqpPeer *p = user;
    pthread_setname_np(pthread_self(), p->options.name);
    connect_again(p);
    while (!atomic_load(&p->stopping) || p->busy) {
        pn_event_batch_t *batch = pn_proactor_wait(p->proactor);
        for (pn_event_t *event; (event = pn_event_batch_next(batch));) handle(p, event);
        pn_proactor_done(p->proactor, batch);
    }
    return NULL;
}

/* --- from outside --- */

static bool read_certificates(AmqpPeer *p, Err *err) {
    const char *file = getenv("SSL_CERT_FILE");
    if (*p->url.ca) file = p->url.ca;
    p->tls = pn_ssl_domain(PN_SSL_MODE_CLIENT);
    return (p->tls && !pn_ssl_domain_set_trusted_ca_db(p->tls, file ? file : SYSTEM_CA) &&
            !pn_ssl_domain_set_peer_authentication(p->tls, PN_SSL_VERIFY_PEER_NAME, NULL)) ||
           err_set(err, &ERR_CONFIG, "amqps: the certificates of its authorities cannot be read");
}

bool amqp_peer_open(const AmqpUrl *url, const AmqpPeerOptions *options, AmqpPeer **ret, Err *err) {
    AUTO(AmqpPeer) p = must(calloc(1, sizeof *p));
    p->url = *url;
    p->options = *options;
    pthread_mutex_init(&p->lock, NULL);
    p->proactor = must(pn_proactor());
    if (url->tls && !read_certificates(p, err)) return false;
    int failed = pthread_create(&p->thread, NULL, work, p);
    if (failed) return err_set_errno(err, &ERR_INTERNAL, failed, "broker thread");
    p->started = true;
    *ret = p;
    p = NULL;
    return true;
}

AmqpPeer *amqp_peer_free(AmqpPeer *p) {
    if (!p) return NULL;
    if (p->started) {
        atomic_store(&p->stopping, true);
        pn_proactor_interrupt(p->proactor);
        pthread_join(p->thread, NULL);
    }
    pn_proactor_free(p->proactor);
    if (p->tls) pn_ssl_domain_free(p->tls);
    pthread_mutex_destroy(&p->lock);
    free(p);
    return NULL;
}

void amqp_peer_wake(AmqpPeer *p) {
    pthread_mutex_lock(&p->lock);
    if (p->awake) pn_connection_wake(p->awake);
    pthread_mutex_unlock(&p->lock);
}

bool amqp_wait_ready(pthread_mutex_t *lock, pthread_cond_t *changed, const bool *ready, const Err *why,
                     int64_t ms, Err *err) {
    struct timespec end = clock_deadline(ms);
    int late = 0;
    pthread_mutex_lock(lock);
    while (!*ready && !late && !err_is(why, &ERR_CONFIG)) late = pthread_cond_timedwait(changed, lock, &end);
    bool is_ready = *ready;
    Err fault = *why;
    pthread_mutex_unlock(lock);
    if (is_ready) return true;
    if (fault.kind) return err_set(err, fault.kind, "%s", fault.why);
    return err_set(err, &ERR_UNAVAILABLE, "the broker does not answer");
}
