#include "main/eventsctl_keys.h"

#include "base/uuid.h"
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum { CERTIFICATE_DAYS = 825, DAY_SECONDS = 86400 }; /* browsers refuse certificates that live longer */

static inline EVP_PKEY *key_free(EVP_PKEY *key) {
    return EVP_PKEY_free(key), NULL;
}
static inline X509 *certificate_free(X509 *x) {
    return X509_free(x), NULL;
}
static inline BIO *bio_free(BIO *b) {
    return BIO_free(b), NULL;
}
AUTO_FREE(EVP_PKEY, key_free)
AUTO_FREE(X509, certificate_free)
AUTO_FREE(BIO, bio_free)

static bool take(BIO *bio, Buf *to) {
    char *at;
    long len = BIO_get_mem_data(bio, &at);
    buf_append(to, at, (size_t)len);
    return !to->failed;
}

bool keys_make_private(Buf *pem, Err *err) {
    AUTO(EVP_PKEY) key = EVP_EC_gen("P-256");
    AUTO(BIO) out = BIO_new(BIO_s_mem());
    if (key && out && PEM_write_bio_PKCS8PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1 &&
        take(out, pem))
        return true;
    return err_set(err, &ERR_INTERNAL, "OpenSSL cannot make a P-256 key");
}

static bool add_extension(X509 *certificate, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool ok = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

static bool set_serial(X509 *certificate) {
    uint64_t serial;
    random_bytes(&serial, sizeof serial);
    return ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1 | 1) == 1;
}

static bool set_name(X509 *certificate) {
    X509_NAME *name = X509_get_subject_name(certificate);
    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1,
                                      0) == 1 &&
           X509_set_issuer_name(certificate, name) == 1;
}

/* It is its own authority (CA:TRUE), so that a client may be told to trust this very file. */
static bool fill_certificate(X509 *certificate, EVP_PKEY *key) {
    return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
           set_name(certificate) && X509_gmtime_adj(X509_getm_notBefore(certificate), -DAY_SECONDS) &&
           X509_time_adj_ex(X509_getm_notAfter(certificate), CERTIFICATE_DAYS - 1, 0, NULL) &&
           X509_set_pubkey(certificate, key) == 1 &&
           add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
           add_extension(certificate, NID_key_usage, "critical,digitalSignature,keyCertSign") &&
           add_extension(certificate, NID_ext_key_usage, "serverAuth") &&
           add_extension(certificate, NID_subject_key_identifier, "hash") &&
           add_extension(certificate, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1") &&
           X509_sign(certificate, key, EVP_sha256()) > 0;
}

bool keys_make_certificate(Span private_pem, Buf *pem, Err *err) {
    AUTO(BIO) in = BIO_new_mem_buf(private_pem.at, (int)private_pem.len);
    AUTO(EVP_PKEY) key = in ? PEM_read_bio_PrivateKey(in, NULL, NULL, NULL) : NULL;
    AUTO(X509) certificate = X509_new();
    AUTO(BIO) out = BIO_new(BIO_s_mem());
    if (key && certificate && out && fill_certificate(certificate, key) &&
        PEM_write_bio_X509(out, certificate) == 1 && take(out, pem))
        return true;
    return err_set(err, &ERR_INTERNAL, "OpenSSL cannot make a certificate");
}

void keys_random_text(char *to, size_t size) {
    static const char LETTERS[] = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    for (size_t i = 0; i + 1 < size; i++) {
        uint32_t random;
        random_bytes(&random, sizeof random);
        to[i] = LETTERS[random % (sizeof LETTERS - 1)];
    }
    to[size - 1] = 0;
}
