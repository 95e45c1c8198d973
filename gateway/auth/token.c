/* token.c - why tokens are minted by one library and verified by another.
 *
 * libjwt 1.10.2 (Debian's) makes correct ES256 tokens, but as a verifier it has traps, each of them tried:
 *   - it accepts an HS256 token whose MAC key is the PEM text of the public key (algorithm confusion, RFC
 * 8725 2.1);
 *   - with a NULL key it "decodes" any token, `alg: none` and forged ones included;
 *   - it checks neither exp nor nbf;
 *   - it parses the PEM at every call: 410 us where 65 are enough.
 * So libjwt mints. Verification is done here: the token is cut in three, the header must say exactly ES256
 * and name a key that we have (the algorithm is a property of the key id, never of the token: every key was
 * checked to be P-256 when it was read), OpenSSL verifies the signature with the parsed key, and only then
 * are the claims read; all of exp, nbf, iss, aud, sub and tid are checked. A header with `crit` is refused
 * (RFC 7515, section 4.1.11).
 *
 * Three claims are our own: `sid` and `gen`, by which a token can be revoked before it expires (revoked.h), and
 * `name`, by which others see who is there (presence.h). A token without them is one of generation 0.
 *
 * The clocks of minter and verifier may differ a little where several gateways share keys: nbf has 5 s of
 * grace, exp none. */
#include "gateway/auth/token.h"

#include "base/uuid.h"
#include "gateway/auth/base64url.h"
#include "gateway/auth/keys.h"
#include <jansson.h>
#include <jwt.h>
#include <openssl/ecdsa.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { NBF_GRACE_SECONDS = 5, SIGNATURE = 64 };

struct Tokens {
    char *folder;
    pthread_rwlock_t lock; /* of keys: many read, a reload writes */
    Keys *keys;
    atomic_uint generation;
};

bool tokens_open(const char *folder, Tokens **ret, Err *err) {
    AUTO(Tokens) t = must(calloc(1, sizeof *t));
    pthread_rwlock_init(&t->lock, NULL);
    t->folder = must(strdup(folder));
    if (!tokens_reload(t, err)) return false;
    *ret = t;
    t = NULL;
    return true;
}

Tokens *tokens_free(Tokens *t) {
    if (!t) return NULL;
    keys_free(t->keys);
    pthread_rwlock_destroy(&t->lock);
    free(t->folder);
    free(t);
    return NULL;
}

bool tokens_reload(Tokens *t, Err *err) {
    Keys *keys;
    if (!keys_read(t->folder, &keys, err)) return false;
    pthread_rwlock_wrlock(&t->lock);
    Keys *old = t->keys;
    t->keys = keys;
    atomic_fetch_add(&t->generation, 1);
    pthread_rwlock_unlock(&t->lock);
    keys_free(old);
    return true;
}

unsigned tokens_generation(const Tokens *t) {
    return atomic_load(&t->generation);
}

/* --- minting --- */

static bool fill(jwt_t *jwt, const Claims *claims, int64_t now_us) {
    char id[UUID_TEXT];
    Uuid uuid = uuid_v4();
    uuid_format(&uuid, id);
    long now = (long)(now_us / 1000000);
    return !jwt_add_grant(jwt, "iss", TOKEN_ISSUER) && !jwt_add_grant(jwt, "aud", TOKEN_AUDIENCE) &&
           !jwt_add_grant(jwt, "sub", claims->user_id) && !jwt_add_grant(jwt, "tid", claims->tenant_id) &&
           !jwt_add_grant(jwt, "scope", claims->scopes) && !jwt_add_grant(jwt, "jti", id) &&
           !jwt_add_grant(jwt, "sid", claims->session_id) && !jwt_add_grant(jwt, "name", claims->username) &&
           !jwt_add_grant_int(jwt, "gen", (long)claims->generation) &&
           !jwt_add_grant_int(jwt, "exp", (long)(claims->expires_at / 1000000)) &&
           !jwt_add_grant_int(jwt, "nbf", now) && !jwt_add_grant_int(jwt, "iat", now);
}

static bool sign(const Key *key, const Claims *claims, int64_t now_us, Buf *out) {
    jwt_t *jwt = NULL;
    if (jwt_new(&jwt)) return false;
    bool ok = !jwt_add_header(jwt, "kid", key->kid) &&
              !jwt_set_alg(jwt, JWT_ALG_ES256, (const unsigned char *)key->pem, (int)strlen(key->pem)) &&
              fill(jwt, claims, now_us);
    char *text = ok ? jwt_encode_str(jwt) : NULL;
    if (text) buf_text(out, text);
    ok = text && !out->failed;
    free(text);
    jwt_free(jwt);
    return ok;
}

bool token_mint(const Tokens *tokens, const Claims *claims, int64_t now_us, Buf *out, Err *err) {
    Tokens *t = (Tokens *)tokens;
    pthread_rwlock_rdlock(&t->lock);
    bool ok = sign(t->keys->signer, claims, now_us, out);
    pthread_rwlock_unlock(&t->lock);
    return ok || err_set(err, &ERR_INTERNAL, "the token could not be signed");
}

/* --- verifying --- */

static bool refuse(Err *err, const char *why) {
    return err_set(err, &ERR_UNAUTHENTICATED, "%s", why);
}

static bool read_part(Span part, json_t **ret) {
    AUTO_BUF bytes = {.limit = TOKEN_MAX};
    if (!part.len || !base64url_read(&bytes, part)) return false;
    *ret = json_loadb(bytes.at, bytes.len, JSON_REJECT_DUPLICATES, NULL);
    return json_is_object(*ret);
}

static Span text_member(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    if (!json_is_string(value)) return SPAN_NONE;
    return (Span){json_string_value(value), json_string_length(value)};
}

static bool find_key(const Keys *keys, Span header, const Key **ret) {
    json_t *json = NULL;
    *ret = NULL;
    if (read_part(header, &json) && span_is(text_member(json, "alg"), "ES256") &&
        !json_object_get(json, "crit"))
        *ret = keys_find(keys, text_member(json, "kid"));
    json_decref(json);
    return *ret;
}

/* JOSE's signature is r and s side by side; OpenSSL wants them in DER. */
static int to_der(const unsigned char *raw, unsigned char **der) {
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, SIGNATURE / 2, NULL), *s = BN_bin2bn(raw + SIGNATURE / 2, SIGNATURE / 2, NULL);
    if (!sig || !r || !s || !ECDSA_SIG_set0(sig, r, s)) abort();
    int len = i2d_ECDSA_SIG(sig, der);
    ECDSA_SIG_free(sig);
    return len;
}

static bool signature_fits(const Key *key, Span signed_part, Span signature) {
    AUTO_BUF raw = {.limit = 256};
    if (!base64url_read(&raw, signature) || raw.len != SIGNATURE) return false;
    unsigned char *der = NULL;
    int len = to_der((const unsigned char *)raw.at, &der);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok =
        len > 0 && ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key->pkey) == 1 &&
        EVP_DigestVerify(ctx, der, (size_t)len, (const unsigned char *)signed_part.at, signed_part.len) == 1;
    EVP_MD_CTX_free(ctx);
    OPENSSL_free(der);
    return ok;
}

static bool audience_fits(const json_t *claims) {
    const json_t *aud = json_object_get(claims, "aud");
    for (size_t i = 0; i < json_array_size(aud); i++) {
        const json_t *one = json_array_get(aud, i);
        if (json_is_string(one) && !strcmp(json_string_value(one), TOKEN_AUDIENCE)) return true;
    }
    return span_is(text_member(claims, "aud"), TOKEN_AUDIENCE);
}

/* NumericDate (RFC 7519, section 2) in seconds, fractions cut; false where absent or no number. */
static bool time_member(const json_t *claims, const char *name, int64_t *ret) {
    const json_t *value = json_object_get(claims, name);
    double number = json_number_value(value);
    if (!json_is_number(value) || number < 0 || number > 9e12) return false;
    *ret = (int64_t)number;
    return true;
}

static bool check_times(const json_t *json, int64_t now_us, Claims *ret, Err *err) {
    int64_t expires, not_before, now = now_us / 1000000;
    if (!time_member(json, "exp", &expires) || !time_member(json, "nbf", &not_before))
        return refuse(err, "the token has no exp or no nbf");
    if (expires <= now) return refuse(err, "the token has expired");
    if (not_before > now + NBF_GRACE_SECONDS) return refuse(err, "the token is not valid yet");
    ret->expires_at = expires * 1000000;
    return true;
}

static bool check_claims(const json_t *json, int64_t now_us, Claims *ret, Err *err) {
    Span user = text_member(json, "sub"), tenant = text_member(json, "tid");
    if (!span_is(text_member(json, "iss"), TOKEN_ISSUER)) return refuse(err, "the token has another issuer");
    if (!audience_fits(json)) return refuse(err, "the token is for another audience");
    if (!check_times(json, now_us, ret, err)) return false;
    if (!user.len || !tenant.len || !span_copy(user, ret->user_id, sizeof ret->user_id) ||
        !span_copy(tenant, ret->tenant_id, sizeof ret->tenant_id) ||
        !span_copy(text_member(json, "scope"), ret->scopes, sizeof ret->scopes))
        return refuse(err, "the token names no user, no tenant or no scope");
    ret->scope_bits = scopes_parse(span_of(ret->scopes), NULL);
    span_copy(text_member(json, "sid"), ret->session_id, sizeof ret->session_id);
    span_copy(text_member(json, "name"), ret->username, sizeof ret->username);
    ret->generation = json_integer_value(json_object_get(json, "gen")); /* 0 where it is none */
    return true;
}

static bool verify(const Keys *keys, Span token, int64_t now_us, Claims *ret, Err *err) {
    const Key *key;
    Span rest, payload, signature;
    Span header = span_split(token, '.', &rest);
    payload = span_split(rest, '.', &signature);
    if (token.len > TOKEN_MAX || !rest.at || !signature.at) return refuse(err, "the token is no JWT");
    if (!find_key(keys, header, &key)) return refuse(err, "the token names no key and algorithm of ours");
    if (!signature_fits(key, (Span){token.at, header.len + 1 + payload.len}, signature))
        return refuse(err, "the token's signature is wrong");
    json_t *json = NULL;
    bool ok = read_part(payload, &json) ? check_claims(json, now_us, ret, err)
                                        : refuse(err, "the claims are no JSON");
    json_decref(json);
    return ok;
}

bool token_verify(const Tokens *tokens, Span token, int64_t now_us, Claims *ret, Err *err) {
    Tokens *t = (Tokens *)tokens;
    *ret = (Claims){0};
    pthread_rwlock_rdlock(&t->lock);
    bool ok = verify(t->keys, token, now_us, ret, err);
    pthread_rwlock_unlock(&t->lock);
    return ok;
}

void tokens_jwks(const Tokens *tokens, Buf *out) {
    Tokens *t = (Tokens *)tokens;
    pthread_rwlock_rdlock(&t->lock);
    buf_text(out, "{\"keys\":[");
    for (size_t i = 0; i < t->keys->count; i++) {
        const Key *key = &t->keys->at[i];
        buf_printf(
            out,
            "%s{\"kty\":\"EC\",\"use\":\"sig\",\"alg\":\"ES256\",\"crv\":\"P-256\",\"kid\":\"%s\",\"x\":\"",
            i ? "," : "", key->kid);
        base64url_write(out, span_bytes(key->x, sizeof key->x));
        buf_text(out, "\",\"y\":\"");
        base64url_write(out, span_bytes(key->y, sizeof key->y));
        buf_text(out, "\"}");
    }
    buf_text(out, "]}");
    pthread_rwlock_unlock(&t->lock);
}
