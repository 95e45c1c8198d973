/* Whose access tokens are refused though they have not expired: what stands in store/users/revocations.h, in
 * memory. A set does not change once it is made, and is counted: each loop has a reference of its own, so that
 * asking takes no lock. */
#pragma once
#include "gateway/auth/token.h"
#include "store/users/revocations.h"

typedef struct Revoked Revoked;

/* Copies; sorts the copy. count 0 is a set, too. */
Revoked *revoked_new(const Revocation *rows, size_t count);
Revoked *revoked_ref(Revoked *set);   /* any thread */
Revoked *revoked_unref(Revoked *set); /* NULL is fine; returns NULL */
AUTO_FREE(Revoked, revoked_unref)
bool revoked_equal(const Revoked *a, const Revoked *b);

/* Was what this token says of its user, or of its session, taken back? No allocation. */
bool revoked_has(const Revoked *set, const Claims *claims);
