/* password.c - the one place that knows argon2's parameters.
 *
 * t=2, m=19 MiB, p=1 are OWASP's for interactive logins. They stand in the PHC string, so that they can be
 * raised later without touching what is stored. A login for a name that does not exist verifies against a
 * hash of nothing: the time of the answer must not tell which names exist. */
#include "store/users/password.h"

#include "base/uuid.h"
#include <argon2.h>
#include <pthread.h>
#include <stdlib.h>

enum { COST_PASSES = 2, COST_LANES = 1, SALT = 16, DIGEST = 32 };
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum {
    COST_KIB = 1024
}; /* what keeps account of each byte takes ten times as long; never run but in tests */
#else
enum { COST_KIB = 19 * 1024 };
#endif

static bool encode(Span password, char out[PASSWORD_HASH]) {
    uint8_t salt[SALT];
    random_bytes(salt, sizeof salt);
    return argon2id_hash_encoded(COST_PASSES, COST_KIB, COST_LANES, password.at, password.len, salt,
                                 sizeof salt, DIGEST, out, PASSWORD_HASH) == ARGON2_OK;
}

bool password_hash(Span password, char out[PASSWORD_HASH], Err *err) {
    if (password.len < PASSWORD_MIN || password.len > PASSWORD_MAX)
        return err_set(err, &ERR_INVALID, "a password has %d to %d bytes", PASSWORD_MIN, PASSWORD_MAX);
    if (!encode(password, out)) return err_set(err, &ERR_INTERNAL, "argon2id failed");
    return true;
}

static char nobody[PASSWORD_HASH];
static pthread_once_t nobody_made = PTHREAD_ONCE_INIT;
static void make_nobody(void) {
    if (!encode(SPAN("the password of nobody"), nobody)) abort();
}

bool password_verify(const char *hash, Span password) {
    if (password.len > PASSWORD_MAX) return false;
    pthread_once(&nobody_made, make_nobody);
    bool same = argon2id_verify(hash ? hash : nobody, password.at, password.len) == ARGON2_OK;
    return same && hash;
}
