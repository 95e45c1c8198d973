#include "grid/grid_secret.h"

#include "base/buf.h"
#include "base/clock.h"
#include "grid/grid_webhook.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <time.h>

enum { TOKEN_MAX = 2048, KEY_MAX = 256, SIGNATURE = SHA256_DIGEST_LENGTH };

/* Digests are compared instead of the texts: equal lengths, and no early end that a clock could see. */
bool grid_secret_matches(const char *secrets, Span given) {
    unsigned char want[SIGNATURE], got[SIGNATURE];
    SHA256((const unsigned char *)(given.at ? given.at : ""), given.len, got);
    bool matches = false;
    for (Span rest = span_of(secrets); rest.at;) {
        Span secret = span_trim(span_split(rest, ',', &rest));
        SHA256((const unsigned char *)secret.at, secret.len, want);
        matches |= secret.len && !CRYPTO_memcmp(want, got, SIGNATURE);
    }
    return matches;
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decoding as of a query string, to a NUL-terminated text. */
static bool decode(Span in, char *out, size_t size) {
    size_t len = 0;
    for (size_t i = 0; i < in.len; i++, len++) {
        if (len + 1 >= size) return false;
        out[len] = in.at[i] == '+' ? ' ' : in.at[i];
        if (in.at[i] != '%') continue;
        int high = i + 2 < in.len ? hex_value(in.at[i + 1]) : -1,
            low = high < 0 ? -1 : hex_value(in.at[i + 2]);
        if (low < 0 || !(high | low)) return false;
        out[len] = (char)(high << 4 | low);
        i += 2;
    }
    out[len] = 0;
    return true;
}

/* The bytes of a base64 text; 0 where it is none. The padding may be missing, as SDKs do not ask for it
 * either. */
static size_t from_base64(Span text, unsigned char *out, size_t size) {
    char padded[KEY_MAX + 4];
    while (text.len && text.at[text.len - 1] == '=') text.len--;
    if (!text.len || text.len > KEY_MAX || text.len % 4 == 1) return 0;
    memcpy(padded, text.at, text.len);
    memcpy(padded + text.len, "===", 3);
    size_t whole = (text.len + 3) / 4 * 4;
    if (whole / 4 * 3 > size) return 0;
    int len = EVP_DecodeBlock(out, (const unsigned char *)padded, (int)whole);
    return len < 0 ? 0 : (size_t)len - (whole - text.len);
}

bool grid_token_expiry(Span text, int64_t *ret_us) {
    char copy[64], utc[72];
    if (!span_copy(text, copy, sizeof copy)) return false;
    struct tm tm = {0};
    const char *end = strptime(copy, "%m/%d/%Y %I:%M:%S %p", &tm);
    if (end && !*end) {
        *ret_us = (int64_t)timegm(&tm) * 1000000;
        return true;
    }
    snprintf(utc, sizeof utc, "%sZ", copy);
    return clock_parse(text, ret_us) || clock_parse(span_of(utc), ret_us);
}

static bool signed_by(const char *keys, Span text, const unsigned char given[SIGNATURE]) {
    bool matches = false;
    for (Span rest = span_of(keys); rest.at;) {
        Span key = span_trim(span_split(rest, ',', &rest));
        unsigned char raw[256], digest[SIGNATURE];
        size_t len = from_base64(key, raw, sizeof raw);
        if (!len ||
            !HMAC(EVP_sha256(), raw, (int)len, (const unsigned char *)text.at, text.len, digest, NULL))
            continue;
        matches |= !CRYPTO_memcmp(digest, given, SIGNATURE);
    }
    return matches;
}

/* The host is not compared: the key belongs to this topic alone, and one topic may be reached by several
 * names. */
static bool resource_is(const char *url, const char *path) {
    const char *host = strstr(url, "://"), *at = host ? strchr(host + 3, '/') : NULL;
    size_t len = strlen(path);
    return at && !strncmp(at, path, len) && (!at[len] || strchr("?/", at[len]));
}

bool grid_token_valid(const char *keys, Span token, const char *path, int64_t now_us) {
    char text[TOKEN_MAX];
    unsigned char signature[SIGNATURE + 3];
    int64_t expires;
    Span rest, resource = span_split(token, '&', &rest);
    Span expiry = span_split(rest, '&', &rest), mark = rest;
    if (!span_starts(resource, SPAN("r=")) || !span_starts(expiry, SPAN("e=")) ||
        !span_starts(mark, SPAN("s=")))
        return false;
    if (!decode((Span){mark.at + 2, mark.len - 2}, text, sizeof text) ||
        from_base64(span_of(text), signature, sizeof signature) != SIGNATURE)
        return false;
    Span what = {token.at, (size_t)(expiry.at + expiry.len - token.at)};
    if (!signed_by(keys, what, signature)) return false;
    if (!decode((Span){resource.at + 2, resource.len - 2}, text, sizeof text) || !resource_is(text, path))
        return false;
    return decode((Span){expiry.at + 2, expiry.len - 2}, text, sizeof text) &&
           grid_token_expiry(span_of(text), &expires) && expires > now_us;
}
