#include "base/clock.h"
#include "net_kit.h"
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

#define KEY0 "\0\0\0\0"

typedef struct Client {
    int fd;
    SSL *ssl;
} Client;

/* A blocking client; session (may be NULL) is offered for resumption. */
static Client connect_tls(SSL_CTX *context, unsigned port, SSL_SESSION *session) {
    Client c = {client_open(port), must(SSL_new(context))};
    struct timeval limit = {3, 0};
    setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    SSL_set_fd(c.ssl, c.fd);
    if (session) SSL_set_session(c.ssl, session);
    CHECK(SSL_connect(c.ssl) == 1);
    return c;
}

static void client_close(Client *c) {
    SSL_free(c->ssl);
    close(c->fd);
}

static Span tls_talk(Client *c, Span send, const char *until, Buf *into) {
    if (send.len) CHECK(SSL_write(c->ssl, send.at, (int)send.len) == (int)send.len);
    while (!until || !span_has(buf_view(into), until)) {
        char part[16384];
        int got = SSL_read(c->ssl, part, sizeof part);
        if (got <= 0) break;
        buf_append(into, part, (size_t)got);
    }
    return buf_view(into);
}

static void common_name(const Client *c, char name[64]) {
    X509 *x509 = SSL_get1_peer_certificate(c->ssl);
    name[0] = 0;
    if (x509) X509_NAME_get_text_by_NID(X509_get_subject_name(x509), NID_commonName, name, 64);
    X509_free(x509);
}

static HttpTls *open_tls(char certificate[256], char key[256], const char *folder) {
    Err err = {0};
    HttpTls *tls = NULL;
    test_certificate(folder, "first", certificate, key);
    if (!CHECK_OK(http_tls_open(&(HttpTlsOptions){certificate, key}, &tls, &err), &err)) abort();
    return tls;
}

static const char GET[] = "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n";

/* A renewed certificate is used by new connections; those that are open go on; sessions survive. */
static void reload(void) {
    char certificate[256], key[256], other[256], other_key[256], name[64];
    const char *folder = test_folder();
    AUTO(HttpTls) tls = open_tls(certificate, key, folder);
    TestServer *s = test_server(&(HttpServerOptions){.tls = tls});
    SSL_CTX *context = must(SSL_CTX_new(TLS_client_method()));
    Client before = connect_tls(context, test_server_port(s), NULL);
    AUTO_BUF got = {0};
    tls_talk(&before, span_of(GET), "\r\n\r\n", &got);
    SSL_SESSION *session = SSL_get1_session(before.ssl);
    common_name(&before, name);
    CHECK(strcmp(name, "first") == 0);

    test_certificate(folder, "second", other, other_key);
    CHECK(rename(other, certificate) == 0 && rename(other_key, key) == 0);
    Err err = {0};
    CHECK_OK(http_tls_reload(tls, &err), &err);
    Client after = connect_tls(context, test_server_port(s), NULL);
    common_name(&after, name);
    CHECK(strcmp(name, "second") == 0);
    got.len = 0;
    CHECK(span_starts(tls_talk(&before, span_of(GET), "\r\n\r\n", &got), SPAN("HTTP/1.1 200")));
    Client again = connect_tls(context, test_server_port(s), session);
    CHECK(SSL_session_reused(again.ssl));
    client_close(&before);
    client_close(&after);
    client_close(&again);

    CHECK(truncate(certificate, 10) == 0);
    CHECK(!http_tls_reload(tls, &err) && err_is(&err, &ERR_CONFIG));
    Client still = connect_tls(context, test_server_port(s), NULL);
    client_close(&still);
    SSL_SESSION_free(session);
    SSL_CTX_free(context);
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

/* --- sessions --- */

static void resumption(void) {
    static const int VERSIONS[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    char certificate[256], key[256];
    AUTO(HttpTls) tls = open_tls(certificate, key, test_folder());
    TestServer *s = test_server(&(HttpServerOptions){.tls = tls});
    for (size_t i = 0; i < COUNT(VERSIONS); i++) {
        SSL_CTX *context = must(SSL_CTX_new(TLS_client_method()));
        SSL_CTX_set_min_proto_version(context, VERSIONS[i]);
        SSL_CTX_set_max_proto_version(context, VERSIONS[i]);
        SSL_SESSION *session = NULL;
        for (int round = 0; round < 3; round++) { /* each use gives a ticket that is good for the next one */
            Client c = connect_tls(context, test_server_port(s), session);
            AUTO_BUF got = {0};
            tls_talk(&c, span_of(GET), "\r\n\r\n", &got);
            CHECK(SSL_session_reused(c.ssl) == (round > 0));
            CHECK(SSL_version(c.ssl) == VERSIONS[i]);
            SSL_SESSION_free(session);
            session = SSL_get1_session(c.ssl);
            CHECK(SSL_SESSION_get_max_early_data(session) == 0);
            SSL_shutdown(c.ssl); /* else OpenSSL thinks that the session is broken */
            client_close(&c);
        }
        SSL_SESSION_free(session);
        SSL_CTX_free(context);
    }
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

/* --- certificates of clients --- */

typedef enum Shows { SHOWS_NONE, SHOWS_GOOD, SHOWS_BAD, SHOWS } Shows;

typedef struct Pair {
    char certificate[256], key[256];
} Pair;

static SSL_CTX *client_context(int version, const Pair *shown) {
    SSL_CTX *context = must(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_min_proto_version(context, version);
    SSL_CTX_set_max_proto_version(context, version);
    if (shown) {
        CHECK(SSL_CTX_use_certificate_chain_file(context, shown->certificate) == 1);
        CHECK(SSL_CTX_use_PrivateKey_file(context, shown->key, SSL_FILETYPE_PEM) == 1);
    }
    return context;
}

/* With TLS 1.3 a client learns only after its own part of the handshake that it was turned away. */
static bool is_served(SSL_CTX *context, unsigned port) {
    Client c = {client_open(port), must(SSL_new(context))};
    struct timeval limit = {3, 0};
    char answer[64] = "";
    setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    SSL_set_fd(c.ssl, c.fd);
    bool ok = SSL_connect(c.ssl) == 1 && SSL_write(c.ssl, GET, sizeof GET - 1) > 0 &&
              SSL_read(c.ssl, answer, sizeof answer - 1) > 0 && !strncmp(answer, "HTTP/1.1 200", 12);
    client_close(&c);
    return ok;
}

static void client_certificates(void) {
    static const int VERSIONS[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    static const struct {
        bool asks, required, served[SHOWS];
    } CASES[] = {
        {false, false, {[SHOWS_NONE] = true, [SHOWS_GOOD] = true, [SHOWS_BAD] = true}},
        {true, false, {[SHOWS_NONE] = true, [SHOWS_GOOD] = true, [SHOWS_BAD] = false}},
        {true, true, {[SHOWS_NONE] = false, [SHOWS_GOOD] = true, [SHOWS_BAD] = false}},
    };
    const char *folder = test_folder();
    Pair own, good, bad;
    test_certificate(folder, "own", own.certificate, own.key);
    test_certificate(folder, "good", good.certificate, good.key);
    test_certificate(folder, "bad", bad.certificate, bad.key);
    const Pair *const shown[SHOWS] = {NULL, &good, &bad};
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Err err = {0};
        AUTO(HttpTls) tls = NULL;
        HttpTlsOptions options = {own.certificate, own.key, CASES[i].asks ? good.certificate : NULL,
                                  CASES[i].required};
        if (!CHECK_OK(http_tls_open(&options, &tls, &err), &err)) return;
        TestServer *s = test_server(&(HttpServerOptions){.tls = tls});
        for (size_t k = 0; k < COUNT(VERSIONS) * SHOWS; k++) {
            SSL_CTX *context = client_context(VERSIONS[k % COUNT(VERSIONS)], shown[k / COUNT(VERSIONS)]);
            bool served = is_served(context, test_server_port(s));
            if (served != CASES[i].served[k / COUNT(VERSIONS)]) printf("\n    case %zu, client %zu", i, k);
            CHECK(served == CASES[i].served[k / COUNT(VERSIONS)]);
            SSL_CTX_free(context);
        }
        CHECK(test_server_empties(s, 3000));
        test_server_stop(s);
    }
}

/* A ticket does not carry a client past authorities that have changed since. */
static void tickets_end_with_their_authorities(void) {
    const char *folder = test_folder();
    Pair own, first, second;
    Err err = {0};
    AUTO(HttpTls) tls = NULL;
    test_certificate(folder, "own", own.certificate, own.key);
    test_certificate(folder, "first", first.certificate, first.key);
    test_certificate(folder, "second", second.certificate, second.key);
    char authorities[300];
    snprintf(authorities, sizeof authorities, "%s/authorities.crt", folder);
    CHECK(link(first.certificate, authorities) == 0);
    HttpTlsOptions options = {own.certificate, own.key, authorities, true};
    if (!CHECK_OK(http_tls_open(&options, &tls, &err), &err)) return;
    TestServer *s = test_server(&(HttpServerOptions){.tls = tls});
    SSL_CTX *context = client_context(TLS1_2_VERSION, &first);
    Client c = connect_tls(context, test_server_port(s), NULL);
    SSL_SESSION *session = SSL_get1_session(c.ssl);
    Client again = connect_tls(context, test_server_port(s), session);
    CHECK(SSL_session_reused(again.ssl));
    CHECK(rename(second.certificate, authorities) == 0);
    CHECK_OK(http_tls_reload(tls, &err), &err);
    Client late = {client_open(test_server_port(s)), must(SSL_new(context))};
    SSL_set_fd(late.ssl, late.fd);
    SSL_set_session(late.ssl, session);
    CHECK(SSL_connect(late.ssl) != 1);
    CHECK(truncate(authorities, 0) == 0 && !http_tls_reload(tls, &err) && err_is(&err, &ERR_CONFIG));
    client_close(&c);
    client_close(&again);
    client_close(&late);
    SSL_SESSION_free(session);
    SSL_CTX_free(context);
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

static const struct {
    const char *name;
    Span bytes;
} NO_TLS[] = {
    {"plain text", {GET, sizeof GET - 1}}, {"silence", {"", 0}}, {"half a record", {"\x16\x03\x01", 3}}};

static void bad_handshakes(void) {
    char certificate[256], key[256];
    AUTO(HttpTls) tls = open_tls(certificate, key, test_folder());
    TestServer *s = test_server(&(HttpServerOptions){.tls = tls, .header_ms = 200});
    for (size_t i = 0; i < COUNT(NO_TLS); i++) {
        AUTO_BUF got = {0};
        int64_t from = clock_mono_us();
        CHECK(client_talk(test_server_port(s), NO_TLS[i].bytes, &got).len < 20); /* an alert at most */
        CHECK(clock_mono_us() - from < 2000000);
    }
    SSL_CTX *context = must(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
    int fd = client_open(test_server_port(s));
    SSL *ssl = must(SSL_new(context));
    SSL_set_fd(ssl, fd);
    CHECK(SSL_connect(ssl) != 1);
    SSL_free(ssl);
    SSL_CTX_free(context);
    close(fd);
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

/* Records that wait for the kernel are repeated byte for byte, also when the queue behind them is dropped. */
static void websocket_over_tls(void) {
    char certificate[256], key[256];
    AUTO(HttpTls) tls = open_tls(certificate, key, test_folder());
    TestServer *s = test_server(&(HttpServerOptions){.tls = tls});
    SSL_CTX *context = must(SSL_CTX_new(TLS_client_method()));
    Client c = connect_tls(context, test_server_port(s), NULL);
    AUTO_BUF got = {0};
    tls_talk(&c,
             SPAN("GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"),
             "\r\n\r\n", &got);
    CHECK(span_starts(buf_view(&got), SPAN("HTTP/1.1 101")));
    for (int i = 0; i < 60; i++) {
        CHECK(SSL_write(c.ssl, "\x81\x85" KEY0 "flood", 11) == 11);
        if (i % 10 == 5) clock_sleep_ms(5);
    }
    clock_sleep_ms(100);
    CHECK(SSL_write(c.ssl, "\x81\x84" KEY0 "drop", 10) == 10);
    CHECK(SSL_write(c.ssl, "\x88\x82" KEY0 "\x03\xe8", 8) == 8);
    got.len = 0;
    Span all = tls_talk(&c, SPAN(""), NULL, &got);
    CHECK(span_ends(all, SPAN("\x88\x02\x03\xe8")));
    /* nothing but whole frames */
    size_t frames = 0;
    for (; all.len > 4 && memcmp(all.at, "\x81\x7e\x03\xe8xxx", 7) == 0; frames++)
        all = (Span){all.at + 1004, all.len - 1004};
    while (span_starts(all, SPAN("\x81\x07"
                                 "drained"))) {
        all = (Span){all.at + 9, all.len - 9};
        for (; all.len > 4 && memcmp(all.at, "\x81\x7e\x03\xe8xxx", 7) == 0; frames++)
            all = (Span){all.at + 1004, all.len - 1004};
    }
    CHECK(frames >= 65 && all.len == 4);
    client_close(&c);
    SSL_CTX_free(context);
    CHECK(test_server_empties(s, 3000));
    test_server_stop(s);
}

/* Out of descriptors: who comes is turned away at once instead of waiting for ever, and later all is well
 * again. */
static void out_of_descriptors(void) {
    TestServer *s = test_server(NULL);
    int free_ones[5]; /* two whole connections, and one end of the third */
    for (size_t i = 0; i < COUNT(free_ones); i++) free_ones[i] = dup(0);
    for (size_t i = 0; i < COUNT(free_ones); i++) close(free_ones[i]);
    struct rlimit old, tight;
    getrlimit(RLIMIT_NOFILE, &old);
    tight = old;
    tight.rlim_cur = (rlim_t)free_ones[COUNT(free_ones) - 1] + 1;
    setrlimit(RLIMIT_NOFILE, &tight);
    AUTO_BUF got = {0};
    int first = client_open(test_server_port(s));
    client_send(first, span_of(GET));
    client_read(first, "\r\n\r\n", 3000, &got);
    int second = client_open(test_server_port(s));
    client_send(second, span_of(GET));
    client_read(second, "\r\n\r\n", 3000, &got);
    int third = client_open(test_server_port(s));
    int64_t from = clock_mono_us();
    got.len = 0;
    CHECK(client_read(third, NULL, 3000, &got).len == 0);
    CHECK(clock_mono_us() - from < 1000000);
    setrlimit(RLIMIT_NOFILE, &old);
    close(first);
    close(second);
    close(third);
    CHECK(test_server_empties(s, 3000));
    int fourth = client_open(test_server_port(s));
    client_send(fourth, span_of(GET));
    CHECK(span_starts(client_read(fourth, "\r\n\r\n", 3000, &got), SPAN("HTTP/1.1 200")));
    close(fourth);
    test_server_stop(s);
}

SUITE("tls", TEST(reload), TEST(resumption), TEST(client_certificates),
      TEST(tickets_end_with_their_authorities), TEST(bad_handshakes), TEST(websocket_over_tls),
      TEST(out_of_descriptors));
