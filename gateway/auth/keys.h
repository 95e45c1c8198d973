/* The ES256 keys of the data folder, parsed once. Immutable after keys_read(). */
#pragma once
#include "base/auto.h"
#include "base/err.h"
#include "base/span.h"
#include <openssl/evp.h>

typedef struct Key {
    char kid[65];
    EVP_PKEY *pkey; /* P-256, checked */
    char *pem;      /* the private key's text, for libjwt; NULL where the file holds a public key only */
    unsigned char x[32], y[32];
    int64_t made_at;
} Key;

typedef struct Keys {
    Key at[16];
    size_t count;
    const Key *signer; /* the newest with a private part */
} Keys;

bool keys_read(const char *folder, Keys **ret, Err *err);
Keys *keys_free(Keys *keys);
AUTO_FREE(Keys, keys_free)
const Key *keys_find(const Keys *keys, Span kid);
