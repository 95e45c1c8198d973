/* keys.c - reads <folder>/<kid>.pem. Everything that is not an EC key on P-256 is refused here, at start, so
 * that the algorithm of a key id is settled before any token is seen. */
#include "gateway/auth/keys.h"

#include "base/buf.h"
#include <dirent.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { PEM_MAX = 16 << 10 };

Keys *keys_free(Keys *keys) {
    if (!keys) return NULL;
    for (size_t i = 0; i < keys->count; i++) {
        EVP_PKEY_free(keys->at[i].pkey);
        if (keys->at[i].pem) OPENSSL_cleanse(keys->at[i].pem, strlen(keys->at[i].pem));
        free(keys->at[i].pem);
    }
    free(keys);
    return NULL;
}

const Key *keys_find(const Keys *keys, Span kid) {
    for (size_t i = 0; i < keys->count; i++)
        if (span_is(kid, keys->at[i].kid)) return &keys->at[i];
    return NULL;
}

static char *read_text(const char *path, int64_t *made_at) {
    FILE *in = fopen(path, "re");
    if (!in) return NULL;
    struct stat st;
    char *text = calloc(1, PEM_MAX + 1);
    size_t len = text ? fread(text, 1, PEM_MAX, in) : 0;
    if (!fstat(fileno(in), &st)) *made_at = (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000;
    fclose(in);
    if (len) return text;
    free(text);
    return NULL;
}

static bool coordinate(EVP_PKEY *pkey, const char *name, unsigned char out[32]) {
    BIGNUM *n = NULL;
    bool ok = EVP_PKEY_get_bn_param(pkey, name, &n) && BN_bn2binpad(n, out, 32) == 32;
    BN_free(n);
    return ok;
}

static bool is_p256(EVP_PKEY *pkey) {
    char group[64] = "";
    return EVP_PKEY_is_a(pkey, "EC") && EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) &&
           !strcmp(group, "prime256v1");
}

static bool parse(Key *key) {
    BIO *bio = BIO_new_mem_buf(key->pem, -1);
    key->pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    if (!key->pkey) {
        (void)BIO_seek(bio, 0);
        key->pkey = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
        free(key->pem);
        key->pem = NULL;
    }
    BIO_free(bio);
    return key->pkey && is_p256(key->pkey) && coordinate(key->pkey, OSSL_PKEY_PARAM_EC_PUB_X, key->x) &&
           coordinate(key->pkey, OSSL_PKEY_PARAM_EC_PUB_Y, key->y);
}

/* A kid goes into JSON and headers as it is: plain characters only. Other files of the folder are passed
 * over. */
static bool kid_of(const char *file, char kid[65]) {
    Span name = span_of(file);
    if (!span_ends(name, SPAN(".pem")) || name.at[0] == '.') return false;
    name.len -= 4;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && c != '-' && c != '_' && c != '.') return false;
    }
    return span_copy(name, kid, 65);
}

static bool add(Keys *keys, const char *folder, const char *file, Err *err) {
    char path[4096];
    Key *key = &keys->at[keys->count];
    if (!kid_of(file, key->kid)) return true;
    if (keys->count == COUNT(keys->at) - 1) return err_set(err, &ERR_CONFIG, "too many keys in %s", folder);
    keys->count++;
    if (snprintf(path, sizeof path, "%s/%s", folder, file) >= (int)sizeof path)
        return err_set(err, &ERR_CONFIG, "the path of a key is too long");
    key->pem = read_text(path, &key->made_at);
    if (!key->pem || !parse(key)) return err_set(err, &ERR_CONFIG, "%s is no EC key on P-256", path);
    if (!key->pem) return true;
    const Key *now = keys->signer;
    if (!now || key->made_at > now->made_at ||
        (key->made_at == now->made_at && strcmp(key->kid, now->kid) > 0))
        keys->signer = key;
    return true;
}

bool keys_read(const char *folder, Keys **ret, Err *err) {
    AUTO(Keys) keys = must(calloc(1, sizeof *keys));
    DIR *dir = opendir(folder);
    if (!dir) return err_set(err, &ERR_CONFIG, "cannot read the folder of keys %s", folder);
    bool ok = true;
    for (struct dirent *e; ok && (e = readdir(dir));) ok = add(keys, folder, e->d_name, err);
    closedir(dir);
    if (!ok) return false;
    if (!keys->signer) return err_set(err, &ERR_CONFIG, "no private key in %s", folder);
    *ret = keys;
    keys = NULL;
    return true;
}
