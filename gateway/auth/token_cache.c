/* token_cache.c - a direct-mapped table: a new token pushes out the one in its place, so it never grows and
 * never needs a sweep. Only good verdicts are kept: junk would push out what is useful.
 *
 * A token is found by a hash with a secret seed and then compared byte by byte. How long the comparison takes
 * tells nobody anything: it is only reached with a token whose 64-bit hash is the same.
 *
 * A verdict notes the revision of the set of what is revoked that it was made with, and is compared with the set
 * again once there is another: for all further requests a revocation elsewhere costs a comparison of numbers. */
#include "gateway/auth/token_cache.h"

#include "base/uuid.h"
#include <stdlib.h>
#include <xxhash.h>

enum { PLACES = 1024 }; /* about 1 MB with tokens of ours */

typedef struct Verdict {
    uint64_t hash;
    unsigned generation; /* of the keys */
    unsigned revision;   /* of what is revoked */
    Span token;          /* its own copy; at == NULL: empty */
    Claims claims;
} Verdict;

struct TokenCache {
    const Tokens *tokens;
    uint64_t seed;
    Revoked *revoked;
    unsigned revision;
    Verdict at[PLACES];
};

TokenCache *token_cache_new(const Tokens *tokens) {
    TokenCache *cache = must(calloc(1, sizeof *cache));
    cache->tokens = tokens;
    cache->revoked = revoked_new(NULL, 0);
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
    revoked_unref(cache->revoked);
    free(cache);
    return NULL;
}

void token_cache_revoke(TokenCache *cache, Revoked *set) {
    revoked_ref(set);
    revoked_unref(cache->revoked);
    cache->revoked = set;
    cache->revision++;
}

bool token_is_revoked(const TokenCache *cache, const Claims *claims) {
    return revoked_has(cache->revoked, claims);
}

/* Where memory ends it is not kept, and verified again the next time. */
static void keep(Verdict *v, const Verdict *as, Span token) {
    forget(v);
    char *copy = malloc(token.len);
    if (!copy) return;
    memcpy(copy, token.at, token.len);
    *v = *as;
    v->token = (Span){copy, token.len};
}

static bool is_known(const TokenCache *cache, const Verdict *v, uint64_t hash, Span token) {
    return v->token.at && v->hash == hash && v->generation == tokens_generation(cache->tokens) &&
           span_equal(v->token, token);
}

/* Compared with each set once. */
static bool holds(const TokenCache *cache, Verdict *v) {
    if (v->revision == cache->revision) return true;
    if (token_is_revoked(cache, &v->claims)) return false;
    v->revision = cache->revision;
    return true;
}

bool token_check(TokenCache *cache, Span token, int64_t now_us, Claims *ret, Err *err) {
    if (token.len > TOKEN_MAX) return err_set(err, &ERR_UNAUTHENTICATED, "the token is too long");
    uint64_t hash = XXH64(token.at, token.len, cache->seed);
    Verdict *v = &cache->at[hash % PLACES];
    if (is_known(cache, v, hash, token) && v->claims.expires_at > now_us && holds(cache, v)) {
        *ret = v->claims;
        return true;
    }
    Verdict as = {.hash = hash, .generation = tokens_generation(cache->tokens), .revision = cache->revision};
    if (!token_verify(cache->tokens, token, now_us, ret, err)) return false;
    if (token_is_revoked(cache, ret)) return err_set(err, &ERR_UNAUTHENTICATED, "the token is revoked");
    as.claims = *ret;
    keep(v, &as, token);
    return true;
}
