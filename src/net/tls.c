/* tls.c - certificates and the record layer.
 *
 * Memory: SSL_MODE_RELEASE_BUFFERS gives back both 16 KiB buffers while a connection is idle; what
 * OpenSSL 3.0 keeps for an idle connection is 13.9 kB, of which 7.6 are the SSL object itself. Sessions are
 * resumed by tickets, so there is no session cache. The ticket keys outlive a reload: a renewed certificate
 * does not cost every client a full handshake. A reload swaps the SSL_CTX; connections keep the one that they
 * started with, which OpenSSL counts.
 *
 * Early data (0-RTT) is never accepted: it can be replayed, and a command must not be. */
#include "net/tls.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/map.h"
#include "net/tls_tickets.h"
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

struct HttpTls {
    pthread_mutex_t lock; /* guards context */
    SSL_CTX *context;
    TicketKeys *tickets;
    char *certificate_file, *key_file, *client_ca_file;
    bool client_required;
};

typedef struct TlsSocket {
    int fd;
    uint64_t *sent;
} TlsSocket;

struct Tls {
    SSL *ssl;
    size_t pending_write; /* length of a write that has to be repeated */
    TlsSocket socket;
};

/* AES-128 first: as strong as anybody needs and the cheapest on processors with AES instructions. */
static const char SUITES_13[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char SUITES_12[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
static const char GROUPS[] = "X25519:P-256:P-384";
enum { CLIENT_CHAIN = 4, CA_FILE_MAX = 1 << 20 };

/* --- the BIO --- */

static int bio_read(BIO *bio, char *to, int size) {
    const TlsSocket *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t got = recv(s->fd, to, (size_t)size, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
    return (int)got;
}

static int bio_write(BIO *bio, const char *from, int len) {
    const TlsSocket *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t put = send(s->fd, from, (size_t)len, MSG_NOSIGNAL);
    if (put < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
    if (put > 0) *s->sent += (uint64_t)put;
    return (int)put;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static const BIO_METHOD *bio_method(void) {
    static BIO_METHOD *method;
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    if (!method) {
        method = must(BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "events socket"));
        BIO_meth_set_read(method, bio_read);
        BIO_meth_set_write(method, bio_write);
        BIO_meth_set_ctrl(method, bio_ctrl);
    }
    pthread_mutex_unlock(&lock);
    return method;
}

/* --- the certificate --- */

/* Ours before the client's order: h2, then http/1.1; RFC 7301 section 3.2 wants an alert where nothing fits.
 */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                       unsigned in_len, void *user) {
    (void)ssl, (void)user;
    static const unsigned char OURS[] = "\x02h2\x08http/1.1";
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_len, OURS, sizeof OURS - 1, in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* OpenSSL asks for the key of a new ticket (seal), or of one that a client shows. 1: go on; 2: and give the
 * client a new one, as TLS 1.3 wants for every use of a ticket (RFC 8446 appendix C.4); 0: not one of ours, a
 * full handshake. */
static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                      EVP_MAC_CTX *mac, int seal) {
    const HttpTls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    TicketKey key;
    bool renew = false;
    if (seal) {
        ticket_keys_seal(tls->tickets, clock_mono_us(), &key);
        memcpy(name, key.name, TICKET_NAME);
        if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1) return -1;
    } else if (!ticket_keys_open(tls->tickets, clock_mono_us(), name, &key, &renew)) {
        return 0;
    }
    OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac, TICKET_KEY),
                           OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"sha256", 0),
                           OSSL_PARAM_construct_end()};
    bool ok = EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv, seal) == 1 &&
              EVP_MAC_CTX_set_params(mac, params) == 1;
    OPENSSL_cleanse(&key, sizeof key);
    return !ok ? -1 : renew || (!seal && SSL_version(ssl) == TLS1_3_VERSION) ? 2 : 1;
}

static void settings(SSL_CTX *context) {
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set1_groups_list(context, GROUPS);
    SSL_CTX_set_cipher_list(context, SUITES_12);
    SSL_CTX_set_ciphersuites(context, SUITES_13);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1); /* one recv() for many small records */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(context, TICKET_LIFE_S);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, ticket_key);
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_alpn_select_cb(context, choose_alpn, NULL);
}

static bool tls_fault(Err *err, const char *what, const char *file) {
    unsigned long code = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(code);
    ERR_clear_error();
    return err_set(err, &ERR_CONFIG, "%s %s: %s", what, file, reason ? reason : "cannot be used");
}

static bool use_own_certificate(const HttpTls *tls, SSL_CTX *context, Err *err) {
    if (SSL_CTX_use_certificate_chain_file(context, tls->certificate_file) != 1)
        return tls_fault(err, "certificate", tls->certificate_file);
    if (SSL_CTX_use_PrivateKey_file(context, tls->key_file, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1)
        return tls_fault(err, "key", tls->key_file);
    return true;
}

static bool read_ca_file(const char *file, Buf *to) {
    FILE *in = fopen(file, "re");
    char *at = in ? buf_reserve(to, CA_FILE_MAX) : NULL;
    if (at) to->len = fread(at, 1, CA_FILE_MAX, in);
    if (in) fclose(in);
    return at && to->len < CA_FILE_MAX;
}

/* A ticket holds the client's certificate, verified when it was made: it is good only under the rules of that
 * time. So its scope is made of them, and other authorities mean a full handshake. */
static bool ask_for_client_certificate(const HttpTls *tls, SSL_CTX *context, Err *err) {
    struct {
        char name[8];
        uint64_t authorities, required;
    } scope = {"events", 0, tls->client_required};
    if (tls->client_ca_file) {
        AUTO_BUF authorities = {0};
        if (!read_ca_file(tls->client_ca_file, &authorities) ||
            SSL_CTX_load_verify_file(context, tls->client_ca_file) != 1)
            return tls_fault(err, "client authorities", tls->client_ca_file);
        scope.authorities = hash_stable(buf_view(&authorities));
        SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(tls->client_ca_file));
        SSL_CTX_set_verify_depth(context, CLIENT_CHAIN);
        SSL_CTX_set_verify(
            context, SSL_VERIFY_PEER | (tls->client_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    }
    return SSL_CTX_set_session_id_context(context, (const unsigned char *)&scope, sizeof scope) == 1 ||
           tls_fault(err, "client authorities", "");
}

static SSL_CTX *context_new(HttpTls *tls, Err *err) {
    SSL_CTX *context = must(SSL_CTX_new(TLS_server_method()));
    SSL_CTX_set_app_data(context, tls);
    settings(context);
    if (use_own_certificate(tls, context, err) && ask_for_client_certificate(tls, context, err))
        return context;
    SSL_CTX_free(context);
    return NULL;
}

bool http_tls_open(const HttpTlsOptions *o, HttpTls **ret, Err *err) {
    AUTO(HttpTls) tls = must(calloc(1, sizeof *tls));
    pthread_mutex_init(&tls->lock, NULL);
    tls->tickets = ticket_keys_new();
    tls->certificate_file = must(strdup(o->certificate_file));
    tls->key_file = must(strdup(o->key_file));
    tls->client_ca_file = o->client_ca_file ? must(strdup(o->client_ca_file)) : NULL;
    tls->client_required = o->client_required;
    tls->context = context_new(tls, err);
    if (!tls->context) return false;
    *ret = tls;
    tls = NULL;
    return true;
}

bool http_tls_reload(HttpTls *tls, Err *err) {
    SSL_CTX *fresh = context_new(tls, err);
    if (!fresh) return false;
    pthread_mutex_lock(&tls->lock);
    SSL_CTX *old = tls->context;
    tls->context = fresh;
    pthread_mutex_unlock(&tls->lock);
    SSL_CTX_free(old);
    return true;
}

HttpTls *http_tls_free(HttpTls *tls) {
    if (!tls) return NULL;
    SSL_CTX_free(tls->context);
    pthread_mutex_destroy(&tls->lock);
    ticket_keys_free(tls->tickets);
    free(tls->certificate_file);
    free(tls->key_file);
    free(tls->client_ca_file);
    free(tls);
    return NULL;
}

/* --- one connection --- */

Tls *tls_new(HttpTls *context, int fd, uint64_t *sent) {
    pthread_mutex_lock(&context->lock);
    SSL *ssl = SSL_new(context->context);
    pthread_mutex_unlock(&context->lock);
    BIO *bio = ssl ? BIO_new(bio_method()) : NULL;
    Tls *tls = bio ? malloc(sizeof *tls) : NULL;
    if (!tls) {
        BIO_free(bio);
        SSL_free(ssl);
        return NULL;
    }
    *tls = (Tls){.ssl = ssl, .socket = {fd, sent}};
    BIO_set_data(bio, &tls->socket);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_accept_state(ssl);
    return tls;
}

void tls_free(Tls *tls) {
    if (!tls) return;
    SSL_free(tls->ssl);
    free(tls);
}

static TlsOutcome outcome(Tls *tls, int result) {
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ: return TLS_AGAIN_READ;
    case SSL_ERROR_WANT_WRITE: return TLS_AGAIN_WRITE;
    case SSL_ERROR_ZERO_RETURN: return TLS_EOF;
    default: ERR_clear_error(); return TLS_FAILED;
    }
}

TlsOutcome tls_handshake(Tls *tls) {
    ERR_clear_error(); /* SSL_get_error() looks at the thread's queue, whoever filled it */
    int result = SSL_do_handshake(tls->ssl);
    return result == 1 ? TLS_DONE : outcome(tls, result);
}

bool tls_is_h2(const Tls *tls) {
    const unsigned char *name = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(tls->ssl, &name, &len);
    return len == 2 && memcmp(name, "h2", 2) == 0;
}

TlsOutcome tls_read(Tls *tls, char *to, size_t size, size_t *ret) {
    ERR_clear_error();
    int result = SSL_read_ex(tls->ssl, to, size, ret);
    return result == 1 ? TLS_DONE : outcome(tls, result);
}

TlsOutcome tls_write(Tls *tls, Span bytes, size_t *ret) {
    ERR_clear_error();
    int result = SSL_write_ex(tls->ssl, bytes.at, bytes.len, ret);
    TlsOutcome out = result == 1 ? TLS_DONE : outcome(tls, result);
    tls->pending_write = out == TLS_DONE ? 0 : bytes.len;
    return out;
}

size_t tls_pending_write(const Tls *tls) {
    return tls->pending_write;
}
bool tls_has_input(const Tls *tls) {
    return SSL_has_pending(tls->ssl);
}

void tls_shutdown(Tls *tls) {
    ERR_clear_error();
    if (SSL_is_init_finished(tls->ssl)) SSL_shutdown(tls->ssl);
    ERR_clear_error();
}
