/* token_cache.c - a direct-mapped table: a new token pushes out the one in its place, so it never grows and
 * never needs a sweep. Only good verdicts are kept: junk would push out what is useful.
 *
 * A token is found by a hash with a secret seed and then compared byte by byte. How long the comparison takes
 * tells nobody anything: it is only reached with a token whose 64-bit hash is the same. */
#include "gateway/auth/token_cache.h"

#include "base/uuid.h"
#include <stdlib.h>
#include <xxhash.h>

enum { PLACES = 1024 }; /* about 1 MB with tokens of ours */

typedef struct Verdict {
    uint64_t hash;
    unsigned generation; /* of the keys */
    Span token;          /* its own copy; at == NULL: empty */
    Claims claims;
} Verdict;

struct TokenCache {
    const Tokens *tokens;
    uint64_t seed;
    Verdict at[PLACES];
};

TokenCache *token_cache_new(const Tokens *tokens) {
    TokenCache *cache = must(calloc(1, sizeof *cache));
    cache->tokens = tokens;
    random_bytes(&cache->seed, sizeof cache->seed);
    return cache;
}

static void forget(Verdict *v) {
    if (!v->token.at) return;
    explicit_bzero((char *)v->token.at, v->token.len);
    free((char *)v->token.at);
    v->token = SPAN_NONE;
}

TokenCache *token_cache_free(TokenCache *cache) {
    if (!cache) return NULL;
    for (size_t i = 0; i < PLACES; i++) forget(&cache->at[i]);
    free(cache);
    return NULL;
}

/* Where memory ends it is not kept, and verified again the next time. */
static void keep(Verdict *v, uint64_t hash, unsigned generation, Span token, const Claims *claims) {
    forget(v);
    char *copy = malloc(token.len);
    if (!copy) return;
    memcpy(copy, token.at, token.len);
    *v = (Verdict){hash, generation, {copy, token.len}, *claims};
}

bool token_check(TokenCache *cache, Span token, int64_t now_us, Claims *ret, Err *err) {
    if (token.len > TOKEN_MAX) return err_set(err, &ERR_UNAUTHENTICATED, "the token is too long");
    uint64_t hash = XXH64(token.at, token.len, cache->seed);
    Verdict *v = &cache->at[hash % PLACES];
    unsigned generation = tokens_generation(cache->tokens);
    if (v->token.at && v->hash == hash && v->generation == generation && v->claims.expires_at > now_us &&
        span_equal(v->token, token)) {
        *ret = v->claims;
        return true;
    }
    if (!token_verify(cache->tokens, token, now_us, ret, err)) return false;
    keep(v, hash, generation, token, ret);
    return true;
}
