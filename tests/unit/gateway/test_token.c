/* Tokens that must be refused, each made by hand with a real key, so that nothing but the named fault is
 * wrong. */
#include "gateway/auth/token.h"

#include "gateway/auth/base64url.h"
#include "gateway/auth/token_cache.h"
#include "kit/test.h"
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdio.h>

enum { NOW_S = 1800000000 };
#define NOW_US ((int64_t)NOW_S * 1000000)

static void write_key(const char *folder, const char *kid, EVP_PKEY *key) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s.pem", folder, kid);
    FILE *out = fopen(path, "we");
    REQUIRE(out && PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL));
    fclose(out);
}

static EVP_PKEY *make_key(const char *folder, const char *kid) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    REQUIRE(key);
    if (folder) write_key(folder, kid, key);
    return key;
}

static void part(Buf *out, const char *json) {
    base64url_write(out, span_of(json));
}

static void sign_es256(Buf *token, EVP_PKEY *key) {
    unsigned char der[128], raw[64];
    size_t len = sizeof der;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    REQUIRE(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1);
    REQUIRE(EVP_DigestSign(ctx, der, &len, (unsigned char *)token->at, token->len) == 1);
    EVP_MD_CTX_free(ctx);
    const unsigned char *at = der;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)len);
    BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + 32, 32);
    ECDSA_SIG_free(sig);
    buf_byte(token, '.');
    base64url_write(token, span_bytes(raw, sizeof raw));
}

/* The attack on libjwt: the public key's PEM text as the secret of HS256. */
static void sign_hs256(Buf *token, EVP_PKEY *key) {
    BIO *bio = BIO_new(BIO_s_mem());
    REQUIRE(PEM_write_bio_PUBKEY(bio, key));
    char *pem;
    long pem_len = BIO_get_mem_data(bio, &pem);
    unsigned char mac[32];
    unsigned mac_len = 0;
    HMAC(EVP_sha256(), pem, (int)pem_len, (unsigned char *)token->at, token->len, mac, &mac_len);
    BIO_free(bio);
    buf_byte(token, '.');
    base64url_write(token, span_bytes(mac, mac_len));
}

typedef enum Signing { ES256, ES256_OTHER_KEY, HS256_PUBLIC, UNSIGNED } Signing;
#define HEADER "{\"alg\":\"ES256\",\"kid\":\"k1\"}"
#define REST                                                                                                 \
    ",\"iss\":\"events\",\"aud\":\"events-gateway\",\"sub\":\"u\",\"tid\":\"t\",\"scope\":\"prospects:"      \
    "read\"}"
#define TIMES "{\"exp\":1800000900,\"nbf\":1800000000"

static const struct {
    const char *name, *header, *claims;
    Signing signing;
    bool good;
} CASES[] = {
    {"all is well", HEADER, TIMES REST, ES256, true},
    {"audience in a list", HEADER,
     TIMES
     ",\"iss\":\"events\",\"aud\":[\"x\",\"events-gateway\"],\"sub\":\"u\",\"tid\":\"t\",\"scope\":\"\"}",
     ES256, true},
    {"expired", HEADER, "{\"exp\":1800000000,\"nbf\":1700000000" REST, ES256, false},
    {"not yet", HEADER, "{\"exp\":1800000900,\"nbf\":1800000006" REST, ES256, false},
    {"no exp", HEADER, "{\"nbf\":1800000000" REST, ES256, false},
    {"exp as text", HEADER, "{\"exp\":\"1800000900\",\"nbf\":1800000000" REST, ES256, false},
    {"alg none", "{\"alg\":\"none\",\"kid\":\"k1\"}", TIMES REST, UNSIGNED, false},
    {"alg none, signed", "{\"alg\":\"none\",\"kid\":\"k1\"}", TIMES REST, ES256, false},
    {"unsigned", HEADER, TIMES REST, UNSIGNED, false},
    {"HS256 with the public key", "{\"alg\":\"HS256\",\"kid\":\"k1\"}", TIMES REST, HS256_PUBLIC, false},
    {"says ES256, MAC with the public key", HEADER, TIMES REST, HS256_PUBLIC, false},
    {"lower-case alg", "{\"alg\":\"es256\",\"kid\":\"k1\"}", TIMES REST, ES256, false},
    {"another kid", "{\"alg\":\"ES256\",\"kid\":\"k9\"}", TIMES REST, ES256, false},
    {"no kid", "{\"alg\":\"ES256\"}", TIMES REST, ES256, false},
    {"crit", "{\"alg\":\"ES256\",\"kid\":\"k1\",\"crit\":[\"x\"]}", TIMES REST, ES256, false},
    {"another's signature", HEADER, TIMES REST, ES256_OTHER_KEY, false},
    {"wrong audience", HEADER,
     TIMES ",\"iss\":\"events\",\"aud\":\"other\",\"sub\":\"u\",\"tid\":\"t\",\"scope\":\"\"}", ES256, false},
    {"wrong issuer", HEADER,
     TIMES ",\"iss\":\"else\",\"aud\":\"events-gateway\",\"sub\":\"u\",\"tid\":\"t\",\"scope\":\"\"}", ES256,
     false},
    {"no tenant", HEADER,
     TIMES ",\"iss\":\"events\",\"aud\":\"events-gateway\",\"sub\":\"u\",\"scope\":\"\"}", ES256, false},
    {"claim twice", HEADER, TIMES ",\"sub\":\"u\"" REST, ES256, false},
    {"claims are no object", HEADER, "[]", ES256, false},
};

static void verdicts(void) {
    const char *folder = test_folder();
    EVP_PKEY *key = make_key(folder, "k1"), *other = make_key(NULL, NULL);
    AUTO(Tokens) tokens = NULL;
    Err err = {0};
    REQUIRE(CHECK_OK(tokens_open(folder, &tokens, &err), &err));
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO_BUF token = {0};
        part(&token, CASES[i].header);
        buf_byte(&token, '.');
        part(&token, CASES[i].claims);
        if (CASES[i].signing == ES256) sign_es256(&token, key);
        if (CASES[i].signing == ES256_OTHER_KEY) sign_es256(&token, other);
        if (CASES[i].signing == HS256_PUBLIC) sign_hs256(&token, key);
        if (CASES[i].signing == UNSIGNED) buf_byte(&token, '.');
        Claims claims;
        Err why = {0};
        bool good = token_verify(tokens, buf_view(&token), NOW_US, &claims, &why);
        if (good != CASES[i].good) printf("\n    %s: %s", CASES[i].name, why.why);
        CHECK(good == CASES[i].good);
    }
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

static void minted(void) {
    const char *folder = test_folder();
    EVP_PKEY_free(make_key(folder, "a"));
    AUTO(Tokens) tokens = NULL;
    Err err = {0};
    REQUIRE(CHECK_OK(tokens_open(folder, &tokens, &err), &err));
    AUTO(TokenCache) cache = token_cache_new(tokens);
    Claims in = {.user_id = "user",
                 .tenant_id = "demo",
                 .scopes = "prospects:read operator",
                 .session_id = "session",
                 .username = "A \"d\" a\\",
                 .generation = 7,
                 .expires_at = NOW_US + 900000000};
    Claims out;
    AUTO_BUF token = {0};
    REQUIRE(CHECK_OK(token_mint(tokens, &in, NOW_US, &token, &err), &err));
    for (int round = 0; round < 2; round++) {
        CHECK_OK(token_check(cache, buf_view(&token), NOW_US, &out, &err), &err);
        CHECK(out.scope_bits == (SCOPE_READ | SCOPE_OPERATOR) && out.expires_at == in.expires_at);
        CHECK_SPAN(span_of(out.tenant_id), "demo");
        CHECK_SPAN(span_of(out.session_id), "session");
        CHECK_SPAN(span_of(out.username), in.username);
        CHECK(out.generation == 7);
    }
    Err late = {0};
    CHECK(!token_check(cache, buf_view(&token), in.expires_at, &out, &late) &&
          err_is(&late, &ERR_UNAUTHENTICATED));
    char *last = token.at + token.len - 2; /* the very last one may have bits that say nothing */
    *last = *last == 'A' ? 'B' : 'A';
    Err forged = {0};
    CHECK(!token_check(cache, buf_view(&token), NOW_US, &out, &forged) &&
          err_is(&forged, &ERR_UNAUTHENTICATED));
    token.len = 0;
    REQUIRE(CHECK_OK(token_mint(tokens, &in, NOW_US, &token, &err), &err));
    EVP_PKEY *second = make_key(folder, "b");
    REQUIRE(CHECK_OK(tokens_reload(tokens, &err), &err));
    CHECK_OK(token_check(cache, buf_view(&token), NOW_US, &out, &err), &err);
    AUTO_BUF keys = {0};
    tokens_jwks(tokens, &keys);
    buf_byte(&keys, 0);
    CHECK(strstr(keys.at, "\"kid\":\"a\"") && strstr(keys.at, "\"kid\":\"b\"") && !strstr(keys.at, "\"d\""));
    EVP_PKEY_free(second);
}

/* What is revoked, against a token of user u, session s, generation 3 that the cache knows already, and one that it
 * does not know. */
static void revoked_tokens(void) {
    static const struct {
        Revocation rows[3];
        size_t count;
        bool refused;
    } SETS[] = {
        {{{"", 0}}, 0, false},
        {{{"v", 9}, {"a", 9}, {"t", 9}}, 3, false},
        {{{"u", 3}}, 1, false}, /* minted after that */
        {{{"u", 4}}, 1, true},
        {{{"z", 9}, {"u", 4}, {"a", 9}}, 3, true},
        {{{"s", GENERATION_NONE}, {"u", 2}}, 2, true},
        {{{"", GENERATION_NONE}}, 1, false},
        {{{"u", 3}, {"s0", GENERATION_NONE}}, 2, false}, /* a session beside it */
    };
    const char *folder = test_folder();
    EVP_PKEY_free(make_key(folder, "a"));
    AUTO(Tokens) tokens = NULL;
    Err err = {0};
    REQUIRE(CHECK_OK(tokens_open(folder, &tokens, &err), &err));
    AUTO(TokenCache) warm = token_cache_new(tokens);
    Claims out, in = {.user_id = "u", .tenant_id = "t", .session_id = "s", .generation = 3};
    in.expires_at = NOW_US + 900000000;
    AUTO_BUF token = {0};
    REQUIRE(CHECK_OK(token_mint(tokens, &in, NOW_US, &token, &err), &err));
    for (size_t i = 0; i < COUNT(SETS); i++) {
        AUTO(TokenCache) cold = token_cache_new(tokens);
        AUTO(Revoked) set = revoked_new(SETS[i].rows, SETS[i].count);
        CHECK(revoked_has(set, &in) == SETS[i].refused);
        token_cache_revoke(warm, set);
        token_cache_revoke(cold, set);
        CHECK(token_is_revoked(cold, &in) == SETS[i].refused);
        for (int round = 0; round < 2; round++) {
            Err first = {0}, second = {0};
            CHECK(token_check(warm, buf_view(&token), NOW_US, &out, &first) == !SETS[i].refused);
            CHECK(token_check(cold, buf_view(&token), NOW_US, &out, &second) == !SETS[i].refused);
            CHECK(first.kind == second.kind && (!first.kind || err_is(&first, &ERR_UNAUTHENTICATED)));
        }
    }
}

/* One without the claims of ours is as old as a user's first. */
static void foreign_tokens(void) {
    AUTO(Revoked) set = revoked_new(&(Revocation){"u", 1}, 1);
    CHECK(revoked_has(set, &(Claims){.user_id = "u"}) && !revoked_has(set, &(Claims){.user_id = "v"}));
}

static void broken_keys(void) {
    const char *folder = test_folder();
    Err none = {0}, curve = {0};
    Tokens *tokens = NULL;
    CHECK(!tokens_open(folder, &tokens, &none) && err_is(&none, &ERR_CONFIG));
    EVP_PKEY *p384 = EVP_EC_gen("P-384");
    write_key(folder, "wrong", p384);
    EVP_PKEY_free(p384);
    CHECK(!tokens_open(folder, &tokens, &curve) && err_is(&curve, &ERR_CONFIG));
}

static void base64url(void) {
    static const struct {
        const char *text;
        bool good;
    } TEXTS[] = {{"", true},    {"AA", true},   {"AB", false},   {"A", false},
                 {"AAA", true}, {"AA=", false}, {"A+AA", false}, {"-_8", true}};
    for (size_t i = 0; i < COUNT(TEXTS); i++) {
        AUTO_BUF bytes = {0}, again = {0};
        CHECK(base64url_read(&bytes, span_of(TEXTS[i].text)) == TEXTS[i].good);
        base64url_write(&again, buf_view(&bytes));
        if (TEXTS[i].good) CHECK_SPAN(buf_view(&again), TEXTS[i].text);
    }
}

SUITE("token", TEST(verdicts), TEST(minted), TEST(revoked_tokens), TEST(foreign_tokens), TEST(broken_keys),
      TEST(base64url));
