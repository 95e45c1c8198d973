/* Who is looking at what: the viewers of each subject of each tenant, on all loops. A user counts once, however
 * many connections he has.
 *
 * Any thread unless said otherwise; each call holds a lock for some instructions. None is made on the way of an
 * event: only where somebody begins or ends to look, and where loops tell those who want to know. What they are told
 * is the state as it is then, packed once for all, so that changes that follow each other quickly are one. */
#pragma once
#include "base/blob.h"
#include "gateway/auth/token.h"
#include "io/loop.h"

typedef struct Presence Presence;
typedef struct Room Room; /* one subject of one tenant, with its viewers */

enum {
    PRESENCE_SUBJECTS_MAX = 32, /* that a subscription can be present at */
    PRESENCE_ROOMS = 16384,     /* at the same time; who comes to one more is not seen */
    PRESENCE_OF_USER = 256,     /* of them that one user is seen in, so that nobody takes all */
    PRESENCE_SHOWN = 50,        /* users of a PresenceChanged; with more it is not complete */
};

/* alone: there is no other gateway that knows of viewers; else nothing is ever complete. */
Presence *presence_new(bool alone);
Presence *presence_free(Presence *presence); /* after the loops */

/* A connection of this user looks at the subject. NULL where there is no more room, or he is in too many. */
Room *presence_enter(Presence *presence, Span tenant, Span subject, const Claims *who);
void presence_leave(Presence *presence, Room *room, const char *user_id);

/* What is to be told of a room. Free with room_news_clear(). */
typedef struct RoomNews {
    const Room *room; /* to compare with only */
    int64_t version;  /* of its viewers */
    char *key;        /* the texts below point into it */
    Span tenant, subject;
    Blob *frame; /* a packed ServerFrame; NULL out of memory */
} RoomNews;
void room_news_clear(RoomNews *news);
RoomNews room_news(Presence *presence, const Room *room); /* of one that the caller has entered */
/* The frame for a subject that could not be entered: nobody is known to be there. */
Blob *presence_unknown(Span subject);

/* A loop that wants to know. `wake` runs there after something has changed, at most one call waiting. */
typedef struct PresenceListener {
    void (*wake)(struct PresenceListener *listener);
    Loop *loop;
    Task task; /* Presence's own, like the following */
    atomic_bool posted;
    bool listening;
    int64_t seen;
    struct PresenceListener *next;
} PresenceListener;
void presence_listen(Presence *presence,
                     PresenceListener *listener); /* before the loops run; never taken away */
void presence_listening(Presence *presence, PresenceListener *listener, bool listening);

/* The caller's, each to be cleared, then free(at). */
typedef struct RoomList {
    RoomNews *at;
    size_t count;
} RoomList;
/* What has changed since what this listener has seen, the oldest first, at most so many: from now on seen by it. */
RoomList presence_news(Presence *presence, PresenceListener *listener, size_t most);
/* The rooms of a tenant that somebody is in, at most so many. */
RoomList presence_rooms(Presence *presence, Span tenant, size_t most);
