/* tls.c - certificates and the record layer.
 *
 * Memory: SSL_MODE_RELEASE_BUFFERS gives back both 16 KiB buffers while a connection is idle; sessions are
 * resumed by tickets, so there is no session cache. The ticket keys are carried over a reload: a renewed
 * certificate does not cost every client a full handshake. A reload swaps the SSL_CTX; connections keep the
 * one that they started with, which OpenSSL counts. */
#include "net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

struct HttpTls {
    pthread_mutex_t lock; /* guards context */
    SSL_CTX *context;
    char *certificate_file, *key_file;
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

static const unsigned char TICKET_SCOPE[] = "events";
/* AES-128 first: as strong as anybody needs and the cheapest on processors with AES instructions. */
static const char SUITES_13[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char SUITES_12[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

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

static void settings(SSL_CTX *context) {
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(context, SUITES_12);
    SSL_CTX_set_ciphersuites(context, SUITES_13);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1); /* one recv() for many small records */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(context, TICKET_SCOPE, sizeof TICKET_SCOPE - 1);
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_alpn_select_cb(context, choose_alpn, NULL);
}

static bool tls_fault(Err *err, const char *what, const char *file) {
    unsigned long code = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(code);
    ERR_clear_error();
    return err_set(err, &ERR_CONFIG, "%s %s: %s", what, file, reason ? reason : "cannot be used");
}

static SSL_CTX *context_new(const HttpTls *tls, Err *err) {
    SSL_CTX *context = must(SSL_CTX_new(TLS_server_method()));
    settings(context);
    bool ok = true;
    if (SSL_CTX_use_certificate_chain_file(context, tls->certificate_file) != 1)
        ok = tls_fault(err, "certificate", tls->certificate_file);
    else if (SSL_CTX_use_PrivateKey_file(context, tls->key_file, SSL_FILETYPE_PEM) != 1)
        ok = tls_fault(err, "key", tls->key_file);
    else if (SSL_CTX_check_private_key(context) != 1)
        ok = tls_fault(err, "key", tls->key_file);
    if (ok) return context;
    SSL_CTX_free(context);
    return NULL;
}

bool http_tls_open(const char *certificate_file, const char *key_file, HttpTls **ret, Err *err) {
    AUTO(HttpTls) tls = must(calloc(1, sizeof *tls));
    pthread_mutex_init(&tls->lock, NULL);
    tls->certificate_file = must(strdup(certificate_file));
    tls->key_file = must(strdup(key_file));
    tls->context = context_new(tls, err);
    if (!tls->context) return false;
    *ret = tls;
    tls = NULL;
    return true;
}

static void carry_ticket_keys(SSL_CTX *from, SSL_CTX *to) {
    unsigned char keys[80];
    if (SSL_CTX_get_tlsext_ticket_keys(from, keys, sizeof keys) == 1)
        SSL_CTX_set_tlsext_ticket_keys(to, keys, sizeof keys);
    OPENSSL_cleanse(keys, sizeof keys);
}

bool http_tls_reload(HttpTls *tls, Err *err) {
    SSL_CTX *fresh = context_new(tls, err);
    if (!fresh) return false;
    pthread_mutex_lock(&tls->lock);
    SSL_CTX *old = tls->context;
    carry_ticket_keys(old, fresh);
    tls->context = fresh;
    pthread_mutex_unlock(&tls->lock);
    SSL_CTX_free(old);
    return true;
}

HttpTls *http_tls_free(HttpTls *tls) {
    if (!tls) return NULL;
    SSL_CTX_free(tls->context);
    pthread_mutex_destroy(&tls->lock);
    free(tls->certificate_file);
    free(tls->key_file);
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
