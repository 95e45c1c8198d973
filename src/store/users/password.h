/* Password hashes: argon2id (RFC 9106) as PHC strings. A hash takes about 40 ms and 19 MiB, so never on a
 * loop. */
#pragma once
#include "base/err.h"
#include "base/span.h"

enum { PASSWORD_HASH = 160, PASSWORD_MAX = 1024, PASSWORD_MIN = 8 };

/* ERR_INVALID where the password is shorter than PASSWORD_MIN or longer than PASSWORD_MAX bytes. */
bool password_hash(Span password, char out[PASSWORD_HASH], Err *err);
/* hash: a PHC string; NULL for "no such user", which takes as long as a wrong password and is false. */
bool password_verify(const char *hash, Span password);
