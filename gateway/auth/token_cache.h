/* Verdicts on tokens seen lately, so that a client's second request costs a comparison instead of a signature
 * check. Keyed by the whole token, valid until the token's exp, the next reload of keys, or a revocation. One per
 * loop, no lock. */
#pragma once
#include "gateway/auth/revoked.h"

typedef struct TokenCache TokenCache;
TokenCache *token_cache_new(const Tokens *tokens); /* borrows tokens */
TokenCache *token_cache_free(TokenCache *cache);
AUTO_FREE(TokenCache, token_cache_free)
/* From now on this is what is revoked; at first nothing is. Takes a reference of its own. */
void token_cache_revoke(TokenCache *cache, Revoked *set);
/* As token_verify(); and ERR_UNAUTHENTICATED where it is revoked. */
bool token_check(TokenCache *cache, Span token, int64_t now_us, Claims *ret, Err *err);
/* What a ticket stands for was a token once: has that been revoked? */
bool token_is_revoked(const TokenCache *cache, const Claims *claims);
