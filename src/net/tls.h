/* TLS on one non-blocking socket, by OpenSSL. The BIO is our own: it sends with MSG_NOSIGNAL and counts. */
#pragma once
#include "net/http_server.h"

typedef struct Tls Tls; /* an SSL object */

typedef enum TlsOutcome { TLS_DONE, TLS_AGAIN_READ, TLS_AGAIN_WRITE, TLS_EOF, TLS_FAILED } TlsOutcome;

/* A server's side on fd, which stays the caller's. *sent is increased by what goes to the kernel. */
Tls *tls_new(HttpTls *context, int fd, uint64_t *sent);
void tls_free(Tls *tls);
TlsOutcome tls_handshake(Tls *tls);
bool tls_is_h2(const Tls *tls); /* what ALPN has chosen */
TlsOutcome tls_read(Tls *tls, char *to, size_t size, size_t *ret);
/* After TLS_AGAIN_* the next call must begin with the same bytes; tls_pending_write() says how many. */
TlsOutcome tls_write(Tls *tls, Span bytes, size_t *ret);
size_t tls_pending_write(const Tls *tls);
bool tls_has_input(const Tls *tls); /* bytes that were read from the socket and not handed out */
void tls_shutdown(Tls *tls);        /* sends close_notify if it can */
