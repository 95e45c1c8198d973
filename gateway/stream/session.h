/* The stream's clients. One Sessions per loop, one Session per WebSocket; all on the loop's thread. */
#pragma once
#include "gateway/stream/filter.h"
#include "gateway/gateway.h"
#include "gateway/stream/session_frames.h"
#include "net/websocket.h"

enum {
    SUBSCRIPTIONS_MAX = 32,
    SESSION_MESSAGE = 64 << 10, /* bytes of a client's message */
    SESSION_QUEUE = 1 << 20,    /* bytes waiting for a client that does not read */
    SESSION_HEARTBEAT_S = 20,
    RUN_EVENTS = 256, /* events of one batch, and about how many bytes */
    RUN_BYTES = 256 << 10,
};

typedef struct Session Session;
typedef struct ResumeJob ResumeJob;

typedef struct Subscription {
    uint32_t id, serial; /* serial: never used again on this connection, unlike id */
    bool live;
    int64_t cursor; /* catching up: all up to it has been sent; live: what is at or below it is not sent */
    Filter *filter;
} Subscription;

struct Session {
    WebSocket *ws; /* NULL: gone, and only a job or a task still holds the Session */
    Worker *worker;
    Session *next, **at;
    Claims claims;
    Subscription *subscriptions;
    size_t subscription_count;
    uint32_t last_serial;
    bool closing;
    int64_t told;        /* the position that the client was told last */
    int64_t quiet_at_us; /* the client's messages move it into the future; see session_input.c */
    Timer expiry;        /* of the token */
    /* resume.c */
    ResumeJob *resume; /* a page of the log on its way; NULL: none */
    Task turn;         /* the next page of the ring, after others had their turn */
    bool turn_posted;
    Timer patience; /* until the client has read more, or the log has more */
    unsigned tries;
};

struct Sessions {
    Worker *worker;
    HubListener listener;
    unsigned generation; /* of the hub */
    char epoch[64];
    int64_t position; /* all events up to it were given to the live subscriptions of this loop */
    Session *first;
    size_t count;
    Timer tidy; /* tells quiet sessions their position */
};

/* Takes over a WebSocket that was accepted with session_events() and a Session of session_new(). */
Session *session_new(Worker *worker, const Claims *claims);
WebSocketEvents session_events(Session *session);
void session_open(Session *session, WebSocket *ws);
void session_discard(Session *session); /* where no WebSocket came of it */

/* Sends, or closes (1013) a client that does not read. Takes the frame's reference; NULL closes (1011). */
bool session_send(Session *session, Blob *frame);
void session_close(Session *session, int code, const char *reason);
/* The position that may be told now: no subscription that still catches up is passed. */
int64_t session_position(const Session *session);
Subscription *session_subscription(Session *session, uint32_t id);
void session_end_subscription(Session *session, Subscription *subscription);
/* Ends one with ResyncRequired. */
void session_resync(Session *session, Subscription *subscription, const char *reason);
void session_release(Session *session); /* frees it where it is gone and nothing holds it */
/* session_input.c: WebSocketEvents.message */
void session_message(WebSocket *ws, void *user, bool text, Span bytes);

Sessions *sessions_new(Worker *worker);
Sessions *sessions_free(Sessions *sessions); /* after live_stop() and loop_free() */
void sessions_drain(Sessions *sessions);     /* Reconnect, then 1001, for all */
