/* What a signed-in user holds besides his access token: refresh tokens (families) and tickets for the stream.
 * Kept as hashes in users.db. Same thread rule as Users; `now` in microseconds since 1970. */
#pragma once
#include "store/users/users.h"

enum {
    SECRET_TEXT = 44,
    TICKET_SECONDS = 30,
    ORIGIN_MAX = 256
}; /* 256 random bits in base64url, and a NUL */

/* When it is, and how long tokens live. */
typedef struct SessionTimes {
    int64_t now, access_us, refresh_us;
} SessionTimes;

/* A new family, after a login: the user's session_id. ERR_UNAUTHENTICATED where what the user may do was revoked
 * since the login. */
bool refresh_issue(Users *users, const SessionTimes *times, User *user, char token[SECRET_TEXT], Err *err);

typedef struct Renewal {
    User user;
    char token[SECRET_TEXT]; /* the next one */
    bool revoked;            /* the family was ended by this call: the gateways should look */
} Renewal;
/* Trades a token for the family's next one. A token that was used before, or whose family is revoked, or that
 * has expired, or whose user is disabled: ERR_UNAUTHENTICATED; and a reuse revokes the whole family, because
 * one of the two who hold it is a thief. */
bool refresh_rotate(Users *users, const SessionTimes *times, Span token, Renewal *ret, Err *err);
/* The session's refresh tokens end, and so do its access tokens. No such session: no effect. */
bool session_end(Users *users, const SessionTimes *times, Span session_id, Err *err);

/* What a ticket stands for: the access token that it was asked with. */
typedef struct TicketGrant {
    char user_id[USER_ID], tenant_id[TENANT_ID], scopes[USER_SCOPES];
    char session_id[USER_ID], username[USER_NAME];
    int64_t generation;
    char origin[ORIGIN_MAX]; /* "" where the request had none */
    int64_t session_expires_at;
} TicketGrant;
bool ticket_issue(Users *users, const TicketGrant *grant, int64_t now, char ticket[SECRET_TEXT], Err *err);
/* Single use: whoever comes first has it. ERR_UNAUTHENTICATED where it is unknown, used, too old, or asked
 * for with another origin than it was made for. */
bool ticket_take(Users *users, Span ticket, Span origin, int64_t now, TicketGrant *ret, Err *err);
