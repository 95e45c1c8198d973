/* The threads that know users: password hashes and users.db. */
#pragma once
#include "store/users/users.h"

/* A user thread's context for pool_open(): a connection that is opened when it is needed, and again after it
 * was lost. */
typedef struct UsersContext UsersContext;
void *users_context_open(void *url); /* url is kept */
void users_context_close(void *context);
bool users_context(UsersContext *context, Users **ret, Err *err);
void users_context_failed(UsersContext *context, const Err *err);
