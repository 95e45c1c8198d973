/* The stream's clients. One Sessions per loop, one Session per WebSocket, gRPC stream or stream of
 * server-sent events; all on the loop's thread. */
#pragma once
#include "gateway/gateway.h"
#include "gateway/stream/ahead.h"
#include "gateway/stream/cursor.h"
#include "gateway/stream/drain.h"
#include "gateway/stream/filter.h"
#include "gateway/stream/interest.h"
#include "gateway/stream/log_pages.h"
#include "gateway/stream/session_frames.h"

enum {
    SUBSCRIPTIONS_MAX = 32,
    SESSION_QUEUE = 1 << 20, /* bytes waiting for a client that does not read */
    SESSION_HEARTBEAT_S = 20,
    RUN_EVENTS = 256, /* events of one batch, and about how many bytes */
    RUN_BYTES = 256 << 10,
};

typedef struct Session Session;
typedef struct PresenceWatch PresenceWatch; /* watch.h */
typedef struct Watches Watches;             /* the same */

/* Where a session's frames go, and how. */
typedef struct SessionWire {
    FrameMake *form;
    bool (*send)(void *to,
                 Blob *frame);  /* takes a reference of its own; false: too much waits, nothing was queued */
    size_t (*queued)(void *to); /* bytes that wait */
    /* Forgets what has not begun to leave, for a client that reads too slowly; session_drained() follows once
     * the rest has gone. NULL: there is no such way, who reads too slowly is closed. */
    void (*drop)(void *to);
    /* session_drained() follows once nothing waits. NULL: there is no such word, who waits looks again. */
    void (*tell_drained)(void *to);
    /* What is queued goes out first, unless it is SESSION_SLOW. session_gone() follows, but not from within.
     */
    void (*close)(void *to, int code, const char *reason);
    /* Above this many bytes live subscriptions wait until the client has read, and go on from ring and log.
     * 0: they are sent what there is, as long as send() takes it. */
    size_t high;
    bool single; /* it carries one subscription, and ends with it */
} SessionWire;

/* Why a session is closed: close codes of the WebSocket. */
enum {
    SESSION_OVER = 1000,     /* nothing is left that could follow */
    SESSION_SHUTDOWN = 1001, /* or its time is over: Reconnect was sent before */
    SESSION_TEXT = 1003,
    SESSION_UNDECODABLE = 1007,
    SESSION_FLOOD = 1008,
    SESSION_BROKEN = 1011,
    SESSION_SLOW =
        1013, /* does not read, or memory is short, and asks for more: what waits for it is dropped */
    SESSION_EXPIRED = 4401,
    SESSION_FORBIDDEN = 4403,
};

typedef struct Subscription {
    uint32_t id, serial; /* serial: never used again on this connection, unlike id */
    Cursor cursor;
    bool outcomes; /* not the client's own: session_owe_outcomes() */
    bool again;    /* is offered what was dropped for a slow reader */
    int64_t left;  /* all that is owed up to it has left our queue */
    uint64_t
        ahead_seen; /* catching up: the place in `ahead` of the loop up to which it has been given those */
    Filter *filter;
    Interest *interest;
    PresenceWatch *watch; /* NULL: it has not asked who is there */
} Subscription;

struct Session {
    const SessionWire *wire;
    void *to; /* NULL: gone, and only a job or a task still holds the Session */
    Worker *worker;
    Session *next, **at;
    Claims claims;
    Subscription *subscriptions;
    size_t subscription_count;
    uint32_t last_serial;
    bool closing;
    bool lagging;            /* what waited was dropped: nothing live is sent until the rest has left */
    int64_t left;            /* all outcomes of its user's commands up to it have left our queue */
    uint32_t touched;        /* live.c: its place among those that want something of a run, from 1 */
    Interest *rejections;    /* of its user */
    uint32_t presence_pass;  /* watch.c: not 0: it is told anew who is where, when it has read */
    bool presence_whole;     /* watch.c: also of the subjects that it looks at itself */
    uint32_t presence_round; /* watch.c's */
    int64_t told;            /* the position that the client was told last */
    int64_t quiet_at_us;     /* the client's messages move it into the future; see session_input.c */
    Timer expiry;            /* of the token, or of the stream */
    int64_t rolls_over_us;   /* monotonic; 0: never */
    /* resume.c */
    LogWaiter page;
    Task turn; /* the next page of the ring, after others had their turn */
    bool turn_posted;
    Timer patience; /* until the client has read more, or the log has more */
    unsigned tries;
};

/* resume.c's: a run of events of one tenant, as it was sent to who came back. */
typedef struct ResumeFrame {
    char tenant_id[TENANT_ID];
    int64_t first, last, position;
    FrameMake *make;
    uint32_t id;
    bool personal;
    Blob *frame; /* NULL: none */
} ResumeFrame;
enum { RESUME_FRAMES = 8 };

struct Sessions {
    Worker *worker;
    HubListener listener;
    unsigned generation; /* of the hub */
    char epoch[64];
    int64_t position;    /* all events up to it were given to the live subscriptions of this loop */
    Ahead *ahead;        /* and these above it */
    uint64_t ahead_seen; /* of the hub's, see hub_take_ahead() */
    Session *first;
    size_t count;
    Interests *interests;
    LogPages *pages;
    ResumeFrame resume_frames[RESUME_FRAMES];
    unsigned resume_next;
    Watches *watches;
    struct Touched *touched; /* live.c's */
    size_t touched_size;
    Timer tidy; /* tells quiet sessions their position */
    Drain drain;
    size_t drained; /* sent away since it began */
};

Session *session_new(Worker *worker, const Claims *claims);
void session_open(Session *session, const SessionWire *wire, void *to); /* sends the Welcome */
void session_discard(Session *session);                                 /* where no wire came of it */
void session_gone(Session *session); /* the wire is: session is freed, now or later */
FrameForm session_form(const Session *session);

/* Sends. Where too much waits, the client's queue is dropped and it is behind from then on (`lagging`), or
 * closed (SESSION_SLOW). Takes the frame's reference; NULL closes (SESSION_BROKEN). */
bool session_send(Session *session, Blob *frame);
/* Sets the timer anew: the claims' end has moved. */
void session_watch_expiry(Session *session);
/* Before events are queued for it, and before a cursor moves: if nothing waits, notes that what was given has
 * left. position: up to which the live subscriptions were given everything. */
void session_note_left(Session *session, int64_t position);
/* The wire: nothing waits any more. Who was lagging is told so, and goes on from ring and log. */
void session_drained(Session *session);
void session_close(Session *session, int code, const char *reason);
/* The position that may be told now: no subscription that still catches up is passed. */
int64_t session_position(const Session *session);
Subscription *session_subscription(Session *session, uint32_t id);
/* Takes the filter. Of its id and interest nothing is set. */
Subscription *session_add_subscription(Session *session, Filter *filter, Cursor cursor);
void session_end_subscription(Session *session, Subscription *subscription);
size_t session_own_subscriptions(const Session *session); /* how many the client has asked for */
/* The outcomes of its user's commands above `left` are offered again, for no subscription does that: they come to
 * a client whatever it has subscribed to. By one that the client does not know, which ends at the seam. */
void session_owe_outcomes(Session *session, int64_t left);
/* Of its batches; NULL: they are for the connection. */
static inline const uint32_t *subscription_id(const Subscription *subscription) {
    return subscription->outcomes ? NULL : &subscription->id;
}
/* Tells ResyncRequired for a subscription (0: all) that has ended. */
void session_tell_resync(Session *session, uint32_t id, const char *reason);
/* It has been given all that the live ones have: gives it the next of what they got ahead of its turn. True: there is
 * nothing more, from this instant it may be one of them. May end everything, as every sending. */
bool session_catch_ahead(Session *session, Subscription *subscription);
/* Ends one with ResyncRequired. */
void session_resync(Session *session, Subscription *subscription, const char *reason);
void session_release(Session *session); /* frees it where it is gone and nothing holds it */
/* session_input.c */
void session_message(Session *session, bool text, Span bytes); /* of the client, on a wire that has such */
/* NULL, or why there is no new subscription: "forbidden", "invalid_subject", ... (of another log: it has been
 * told ResyncRequired). */
const char *session_subscribe(Session *session, const Events__V1__Subscribe *subscribe);

Sessions *sessions_new(Worker *worker);
Sessions *sessions_free(Sessions *sessions); /* after live_stop() and loop_free() */
/* Reconnect, then SESSION_SHUTDOWN, one after the other within the window; then again and again. */
void sessions_drain(Sessions *sessions, int64_t window_us);
void sessions_drain_on(Sessions *sessions);
/* SESSION_EXPIRED for those whose token would be refused now. */
void sessions_revoke(Sessions *sessions, const Revoked *set);
