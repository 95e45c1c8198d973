/* Keeps the set of what is revoked as it stands in the users' database: a thread that reads it when somebody has
 * said that it has changed, and now and then. */
#pragma once
#include "gateway/auth/revoked.h"

typedef struct Revocations Revocations;
typedef struct RevocationsOptions {
    const char *users_url; /* kept */
    int64_t poll_ms;
    /* There is another set. On the thread; borrows it. */
    void (*changed)(void *user, Revoked *set);
    void (*tell_others)(void *user); /* any thread: the other gateways should look, too */
    void *user;
} RevocationsOptions;

/* Reads the set, so that no token is believed before; starts no thread. */
bool revocations_open(const RevocationsOptions *options, Revocations **ret, Err *err);
bool revocations_run(Revocations *r, Err *err); /* starts the thread */
Revocations *revocations_free(Revocations *r);
AUTO_FREE(Revocations, revocations_free)

Revoked *revocations_set(Revocations *r); /* any thread: as it is now; a reference for the caller */
void revocations_look(Revocations *r);    /* any thread: it has changed; does not wait */
void revocations_spread(Revocations *r);  /* the same, here and at the other gateways */
