/* What access tokens are refused though they have not expired: those of a user that are older than his
 * generation, and those of a session that was ended. Rows go when the last such token has expired. */
#pragma once
#include "store/users/users.h"

enum { ACCESS_TOKEN_MAX_S = 86400 /* longest life of an access token that can be set */ };
#define GENERATION_NONE INT64_MAX /* of a session's revocation: there are no newer tokens of it */

typedef struct Revocation {
    char id[USER_ID];   /* a user's, or a session's */
    int64_t generation; /* tokens below it are refused */
} Revocation;

/* All that hold at `now`, in no order; at most so many, the youngest first. */
bool revocations_read(Users *users, int64_t now, size_t most, void (*each)(void *user, const Revocation *row),
                      void *user, Err *err);
