/* Verdicts on tokens seen lately, so that a client's second request costs a comparison instead of a signature
 * check. Keyed by the whole token, valid until the token's exp or the next reload of keys. One per loop,
 * no lock. */
#pragma once
#include "gateway/auth/token.h"

typedef struct TokenCache TokenCache;
TokenCache *token_cache_new(const Tokens *tokens); /* borrows tokens */
TokenCache *token_cache_free(TokenCache *cache);
AUTO_FREE(TokenCache, token_cache_free)
/* As token_verify(). */
bool token_check(TokenCache *cache, Span token, int64_t now_us, Claims *ret, Err *err);
