/* Tenants and users (users.db). One thread per Users; each thread opens its own. */
#pragma once
#include "base/auto.h"
#include "base/err.h"
#include "base/span.h"
#include "db/db.h"

typedef struct Users Users;

enum { USER_ID = 37, TENANT_ID = 65, USER_NAME = 129, USER_SCOPES = 257 };
typedef struct User {
    char user_id[USER_ID], tenant_id[TENANT_ID], username[USER_NAME], scopes[USER_SCOPES];
    bool disabled;
    int64_t generation;       /* what a revocation raises: his tokens of an older one count no longer */
    char session_id[USER_ID]; /* of the sign-in; "" where the user was only looked up */
} User;

/* The scopes that exist, as bits. */
enum { SCOPE_READ = 1, SCOPE_WRITE = 2, SCOPE_PII = 4, SCOPE_OPERATOR = 8 };
/* "prospects:read prospects:write" -> bits; words that are no scope of ours are passed over, *unknown says
 * so. */
unsigned scopes_parse(Span text, bool *unknown /* may be NULL */);

/* url: as db_open(). Makes the tables where they are missing. */
bool users_open(const char *url, Users **ret, Err *err);
Users *users_free(Users *users);
AUTO_FREE(Users, users_free)
Db *users_db(Users *users);

/* An existing tenant is fine. Ids are 1 to 64 of a-z, 0-9, hyphen. */
bool tenant_add(Users *users, Span tenant_id, Err *err);
/* ERR_DUPLICATE where the name is taken (in any tenant: people sign in without naming one), ERR_NOT_FOUND
 * where the tenant does not exist, ERR_INVALID for a bad name, scope or password. */
bool user_add(Users *users, Span username, Span tenant_id, Span scopes, Span password, Err *err);
/* These end every session of the user: what he can still refresh, and the access tokens he has (the gateways
 * refuse them as soon as they have read revocations.h). ERR_NOT_FOUND where there is no such user. */
bool user_set_password(Users *users, Span username, Span password, Err *err);
bool user_disable(Users *users, Span username, Err *err);
bool user_revoke(Users *users, Span username, Err *err); /* he may sign in anew */
/* He may sign in again, by the password he had. */
bool user_enable(Users *users, Span username, Err *err);
/* A wider grant stands in his next access token. Where something is taken away the access tokens that he has
 * end at once (*narrowed), his sessions do not: he refreshes. */
bool user_set_scopes(Users *users, Span username, Span scopes, bool *narrowed, Err *err);

bool user_find(Users *users, Span user_id, User *ret, Err *err); /* ERR_NOT_FOUND */
/* ERR_UNAUTHENTICATED for an unknown or disabled user and for a wrong password, after the same time. */
bool user_login(Users *users, Span username, Span password, User *ret, Err *err);
