/* token_cache.c - a direct-mapped table: a new token pushes out the one in its place, so it never grows and
 * never needs a sweep. Only good verdicts are kept: junk would push out what is useful. */
#include "gateway/auth/token_cache.h"

#include <openssl/evp.h>
#include <stdlib.h>

enum { PLACES = 1024 }; /* about 0.5 MB */

typedef struct Verdict {
    unsigned char digest[32];
    unsigned generation; /* of the keys; 0: empty */
    Claims claims;
} Verdict;

struct TokenCache {
    const Tokens *tokens;
    Verdict at[PLACES];
};

TokenCache *token_cache_new(const Tokens *tokens) {
    TokenCache *cache = must(calloc(1, sizeof *cache));
    cache->tokens = tokens;
    return cache;
}

TokenCache *token_cache_free(TokenCache *cache) {
    free(cache);
    return NULL;
}

bool token_check(TokenCache *cache, Span token, int64_t now_us, Claims *ret, Err *err) {
    unsigned char digest[32];
    if (token.len > TOKEN_MAX) return err_set(err, &ERR_UNAUTHENTICATED, "the token is too long");
    if (!EVP_Digest(token.at, token.len, digest, NULL, EVP_sha256(), NULL)) abort();
    Verdict *v = &cache->at[(digest[0] << 8 | digest[1]) % PLACES];
    unsigned generation = tokens_generation(cache->tokens);
    if (v->generation == generation && !memcmp(v->digest, digest, sizeof digest) &&
        v->claims.expires_at > now_us) {
        *ret = v->claims;
        return true;
    }
    if (!token_verify(cache->tokens, token, now_us, ret, err)) return false;
    memcpy(v->digest, digest, sizeof digest);
    v->generation = generation;
    v->claims = *ret;
    return true;
}
