/* What a signed-in user holds besides his access token: refresh tokens (families) and tickets for the stream.
 * Kept as hashes in users.db. Same thread rule as Users; `now` in microseconds since 1970. */
#pragma once
#include "store/users/users.h"

enum {
    SECRET_TEXT = 44,
    TICKET_SECONDS = 30,
    ORIGIN_MAX = 256
}; /* 256 random bits in base64url, and a NUL */

/* A new family, after a login. */
bool refresh_issue(Users *users, const User *user, int64_t now, int64_t life_us, char token[SECRET_TEXT],
                   Err *err);
/* Trades a token for the family's next one. A token that was used before, or whose family is revoked, or that
 * has expired, or whose user is disabled: ERR_UNAUTHENTICATED; and a reuse revokes the whole family, because
 * one of the two who hold it is a thief. */
bool refresh_rotate(Users *users, Span token, int64_t now, int64_t life_us, User *ret, char next[SECRET_TEXT],
                    Err *err);

/* What a ticket stands for: the access token that it was asked with. */
typedef struct TicketGrant {
    char user_id[USER_ID], tenant_id[TENANT_ID], scopes[USER_SCOPES];
    char origin[ORIGIN_MAX]; /* "" where the request had none */
    int64_t session_expires_at;
} TicketGrant;
bool ticket_issue(Users *users, const TicketGrant *grant, int64_t now, char ticket[SECRET_TEXT], Err *err);
/* Single use: whoever comes first has it. ERR_UNAUTHENTICATED where it is unknown, used, too old, or asked
 * for with another origin than it was made for. */
bool ticket_take(Users *users, Span ticket, Span origin, int64_t now, TicketGrant *ret, Err *err);
