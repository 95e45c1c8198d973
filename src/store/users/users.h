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
/* Both end every session that the user can still refresh. ERR_NOT_FOUND where there is no such user. */
bool user_set_password(Users *users, Span username, Span password, Err *err);
bool user_disable(Users *users, Span username, Err *err);

bool user_find(Users *users, Span user_id, User *ret, Err *err); /* ERR_NOT_FOUND */
/* ERR_UNAUTHENTICATED for an unknown or disabled user and for a wrong password, after the same time. */
bool user_login(Users *users, Span username, Span password, User *ret, Err *err);
