/* Access tokens: ES256 JWTs (RFC 7519, 7518 section 3.4). Keys are files <folder>/<kid>.pem; the newest one
 * signs, all of them verify. Any thread. */
#pragma once
#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "store/users/users.h"

#define TOKEN_ISSUER   "events"
#define TOKEN_AUDIENCE "events-gateway"

enum { TOKEN_MAX = 4096, KEY_ID = 65, KEYS_MAX = 16 };

/* Who asks, as the token says it. */
typedef struct Claims {
    char user_id[USER_ID], tenant_id[TENANT_ID], scopes[USER_SCOPES];
    char session_id[USER_ID], username[USER_NAME]; /* "" where the token does not say */
    unsigned scope_bits;
    int64_t generation; /* of all that the user may do; see store/users/revocations.h */
    int64_t expires_at; /* microseconds since 1970 */
} Claims;

typedef struct Tokens Tokens;
bool tokens_open(const char *folder, Tokens **ret, Err *err); /* ERR_CONFIG where there is no usable key */
Tokens *tokens_free(Tokens *tokens);
AUTO_FREE(Tokens, tokens_free)
/* Reads the folder again (SIGHUP); on an error the old keys stay. */
bool tokens_reload(Tokens *tokens, Err *err);
unsigned tokens_generation(const Tokens *tokens); /* changes with every reload */

/* Signs with libjwt. About 0.5 ms: not on a loop. claims->expires_at is taken as it is. */
bool token_mint(const Tokens *tokens, const Claims *claims, int64_t now_us, Buf *out, Err *err);
/* ERR_UNAUTHENTICATED with a reason that does not quote the token. About 0.1 ms. */
bool token_verify(const Tokens *tokens, Span token, int64_t now_us, Claims *ret, Err *err);
/* The public keys as a JWK set (RFC 7517). */
void tokens_jwks(const Tokens *tokens, Buf *out);
