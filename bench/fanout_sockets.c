/* fanout_sockets.c - WebSockets by the thousand, read through one scratch buffer. */
#include "bench/fanout.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SCRATCH = 256 << 10, HEAD_MAX = 16 << 10, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

static char scratch[SCRATCH];

void ws_client_frame(Buf *out, int opcode, Span payload) {
    bool wide = payload.len > 125;
    buf_byte(out, (char)(0x80 | opcode));
    buf_byte(out, (char)(0x80 | (wide ? 126 : payload.len)));
    if (wide) {
        buf_byte(out, (char)(payload.len >> 8));
        buf_byte(out, (char)payload.len);
    }
    buf_append(out, "\0\0\0\0", 4);
    buf_span(out, payload);
}

static bool open_to(const struct sockaddr_in *to, uint64_t receive_buffer, int *ret, Err *err) {
    int on = 1, size = (int)receive_buffer;
    AUTO_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || (size && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size)) ||
        connect(fd, (const struct sockaddr *)to, sizeof *to) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on))
        return err_set_errno(err, &ERR_UNAVAILABLE, errno, "connecting");
    *ret = fd;
    fd = -1;
    return true;
}

static ssize_t get(Subscriber *s, char *to, size_t most) {
    if (!s->ssl) return recv(s->fd, to, most, 0);
    int n = SSL_read(s->ssl, to, (int)most);
    if (n > 0) return n;
    errno = SSL_get_error(s->ssl, n) == SSL_ERROR_WANT_READ ? EAGAIN : EPIPE;
    return -1;
}

static bool put(Subscriber *s, Span bytes, Err *err) {
    ssize_t n =
        s->ssl ? SSL_write(s->ssl, bytes.at, (int)bytes.len) : send(s->fd, bytes.at, bytes.len, MSG_NOSIGNAL);
    return n == (ssize_t)bytes.len || err_set(err, &ERR_UNAVAILABLE, "a WebSocket takes nothing");
}

static void write_request(const Plan *plan, const char *path, const char *token, Buf *out) {
    buf_printf(out,
               "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
               path, plan->host);
    if (plan->wire->protocol) buf_printf(out, "Sec-WebSocket-Protocol: %s\r\n", plan->wire->protocol);
    if (token) buf_printf(out, "Authorization: Bearer %s\r\n", token);
    buf_text(out, "\r\n");
}

static bool send_request(const Plan *plan, Subscriber *s, const char *path, const char *token, Err *err) {
    AUTO_BUF out = {0};
    write_request(plan, path, token, &out);
    return put(s, buf_view(&out), err);
}

/* What stands behind the head is the first of the frames. */
static bool read_answer(Subscriber *s, Err *err) {
    char *end = NULL;
    while (!end) {
        char *to = buf_reserve(&s->rest, 4096);
        ssize_t n = to && s->rest.len < HEAD_MAX ? get(s, to, 4096) : -1;
        if (n <= 0) return err_set(err, &ERR_UNAVAILABLE, "no answer to the handshake");
        s->rest.len += (size_t)n;
        end = memmem(s->rest.at, s->rest.len, "\r\n\r\n", 4);
    }
    if (!span_starts(buf_view(&s->rest), SPAN("HTTP/1.1 101 ")))
        return err_set(err, &ERR_UNAVAILABLE, "the handshake got %.12s", s->rest.at);
    buf_consume(&s->rest, (size_t)(end + 4 - s->rest.at));
    return true;
}

/* A message may cross frames: what the wire has not used stays for the next one. */
static bool take_payload(const Plan *plan, Subscriber *s, Span payload, Err *err) {
    bool kept = s->inner.len;
    if (kept) buf_span(&s->inner, payload);
    Span all = kept ? buf_view(&s->inner) : payload;
    size_t used = plan->wire->take(s, all);
    if (used > all.len)
        return err_set(err, &ERR_INVALID, "subscriber %d got a message that it did not expect",
                       (int)s->index);
    if (kept)
        buf_consume(&s->inner, used);
    else
        buf_append(&s->inner, all.at + used, all.len - used);
    return true;
}

static bool take_frame(const Plan *plan, Subscriber *s, int opcode, Span payload, Err *err) {
    if (opcode == OP_CLOSE) {
        unsigned code = payload.len < 2 ? 0 : (unsigned)(uint8_t)payload.at[0] << 8 | (uint8_t)payload.at[1];
        return err_set(err, &ERR_UNAVAILABLE, "subscriber %d was closed with %u", (int)s->index, code);
    }
    if (opcode == OP_PING) {
        AUTO_BUF pong = {0};
        ws_client_frame(&pong, OP_PONG, payload);
        return put(s, buf_view(&pong), err);
    }
    return opcode == OP_PONG || take_payload(plan, s, payload, err);
}

/* Whole frames of the bytes; how many bytes they are. SIZE_MAX: err. */
static size_t take_frames(const Plan *plan, Subscriber *s, Span bytes, Err *err) {
    const uint8_t *b = (const uint8_t *)bytes.at;
    size_t at = 0;
    while (bytes.len - at >= 2) {
        size_t len = b[at + 1] & 0x7f, head = len < 126 ? 2 : len == 126 ? 4 : 10;
        if (bytes.len - at < head) break;
        if (head > 2) len = 0;
        for (size_t i = 2; i < head; i++) len = len << 8 | b[at + i];
        if (len > bytes.len - at - head) break;
        if (!take_frame(plan, s, b[at] & 15, (Span){bytes.at + at + head, len}, err)) return SIZE_MAX;
        at += head + len;
    }
    return at;
}

static bool feed(const Plan *plan, Subscriber *s, Span bytes, Err *err) {
    bool kept = s->rest.len;
    if (kept) buf_span(&s->rest, bytes);
    Span all = kept ? buf_view(&s->rest) : bytes;
    size_t used = take_frames(plan, s, all, err);
    if (used == SIZE_MAX) return false;
    if (kept)
        buf_consume(&s->rest, used);
    else
        buf_append(&s->rest, all.at + used, all.len - used);
    return true;
}

bool subscriber_read(const Plan *plan, Subscriber *s, size_t most, size_t *got, Err *err) {
    ssize_t n = get(s, scratch, most < SCRATCH ? most : SCRATCH);
    *got = n > 0 ? (size_t)n : 0;
    if (n < 0 && errno == EAGAIN) return true;
    if (n <= 0) return err_set(err, &ERR_UNAVAILABLE, "subscriber %d was cut", (int)s->index);
    return feed(plan, s, (Span){scratch, (size_t)n}, err);
}

bool subscriber_ask(const Plan *plan, Subscriber *s, Err *err) {
    bool masked = plan->masked_every && s->index % plan->masked_every == 0;
    if (!open_to(&plan->at, s->slow ? plan->receive_buffer : 0, &s->fd, err)) return false;
    if (plan->tls) {
        s->ssl = SSL_new(plan->tls);
        if (!s->ssl || !SSL_set_fd(s->ssl, s->fd) || SSL_connect(s->ssl) != 1)
            return err_set(err, &ERR_UNAVAILABLE, "the TLS handshake failed");
    }
    return send_request(plan, s, plan->wire->path, masked ? plan->masked_token : plan->token, err);
}

bool subscriber_open(const Plan *plan, Subscriber *s, Err *err) {
    AUTO_BUF early = {0};
    if (!read_answer(s, err)) return false;
    early = s->rest;
    s->rest = (Buf){0};
    if (early.len && !feed(plan, s, buf_view(&early), err)) return false;
    return fcntl(s->fd, F_SETFL, O_NONBLOCK) == 0 || err_set_errno(err, &ERR_INTERNAL, errno, "fcntl");
}

bool subscriber_hello(const Plan *plan, Subscriber *s, Err *err) {
    AUTO_BUF hello = {0}, frame = {0};
    s->ready = !plan->wire->answers;
    if (!plan->wire->hello) return true;
    plan->wire->hello(plan, s, &hello);
    ws_client_frame(&frame, 2, buf_view(&hello));
    return put(s, buf_view(&frame), err);
}

void subscriber_close(Subscriber *s) {
    if (s->ssl) SSL_free(s->ssl);
    if (s->fd >= 0) close(s->fd);
    buf_free(&s->rest);
    buf_free(&s->inner);
}

/* Plain bytes, or a WebSocket where the wire publishes over one. */
bool publisher_open(const Plan *plan, int *fd, Err *err) {
    AUTO_BUF out = {0};
    if (!open_to(&plan->publish_at, 0, fd, err)) return false;
    Subscriber s = {.fd = *fd};
    bool ok = !plan->wire->publish_path ||
              (send_request(plan, &s, plan->wire->publish_path, NULL, err) && read_answer(&s, err));
    buf_free(&s.rest);
    if (ok && plan->wire->publish_hello) {
        plan->wire->publish_hello(plan, &out);
        ok = put(&s, buf_view(&out), err);
    }
    return ok && (fcntl(*fd, F_SETFL, O_NONBLOCK) == 0 || err_set_errno(err, &ERR_INTERNAL, errno, "fcntl"));
}
