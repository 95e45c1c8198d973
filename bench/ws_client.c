#include "bench/ws_client.h"

#include "base/clock.h"
#include "base/uuid.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

enum { HEAD_MAX = 16384, MESSAGE_MAX = 16 << 20, READ = 65536 };
enum { OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

struct WsClient {
    int fd;
    Buf in;       /* what has been read; a message given out stays at its start until the next call */
    size_t given; /* its bytes, to be dropped then */
};

WsClient *ws_client_free(WsClient *ws) {
    if (!ws) return NULL;
    if (ws->fd >= 0) close(ws->fd);
    buf_free(&ws->in);
    free(ws);
    return NULL;
}

static bool connect_to(const char *address, int *ret, Err *err) {
    Span port, host = span_split(span_of(address), ':', &port);
    struct sockaddr_in to = {.sin_family = AF_INET};
    char name[64];
    uint64_t number;
    if (!span_copy(host, name, sizeof name) || inet_pton(AF_INET, name, &to.sin_addr) != 1 ||
        !span_to_u64(port, 65535, &number))
        return err_set(err, &ERR_INVALID, "an address is a numeric host and a port");
    to.sin_port = htons((uint16_t)number);
    AUTO_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to))
        return err_set_errno(err, &ERR_UNAVAILABLE, errno, "connecting the WebSocket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    *ret = fd;
    fd = -1;
    return true;
}

static bool send_all(WsClient *ws, Span bytes, Err *err) {
    while (bytes.len) {
        ssize_t n = send(ws->fd, bytes.at, bytes.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_set_errno(err, &ERR_UNAVAILABLE, errno, "writing to the WebSocket");
        bytes.at += n;
        bytes.len -= (size_t)n;
    }
    return true;
}

/* Reads what is there, waiting up to wait_ms for the first byte. False with err clear after that. */
static bool read_some(WsClient *ws, int64_t wait_ms, Err *err) {
    struct pollfd ready = {.fd = ws->fd, .events = POLLIN};
    if (poll(&ready, 1, wait_ms > 0 ? (int)wait_ms : 0) <= 0) return false;
    char *to = buf_reserve(&ws->in, READ);
    ssize_t n = to ? recv(ws->fd, to, READ, 0) : -1;
    if (n <= 0) return err_set(err, &ERR_UNAVAILABLE, "the WebSocket was closed");
    ws->in.len += (size_t)n;
    return true;
}

static bool shake_hands(WsClient *ws, const char *address, const char *path, const char *protocol,
                        const char *token, Err *err) {
    AUTO_BUF head = {0};
    buf_printf(&head,
               "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
               "Sec-WebSocket-Protocol: %s\r\nAuthorization: Bearer %s\r\n\r\n",
               path, address, protocol, token);
    if (!send_all(ws, buf_view(&head), err)) return false;
    char *end = NULL;
    while (!end) {
        if (ws->in.len > HEAD_MAX || !read_some(ws, 5000, err))
            return err_set(err, &ERR_UNAVAILABLE, "no answer to the WebSocket handshake");
        end = memmem(ws->in.at, ws->in.len, "\r\n\r\n", 4);
    }
    if (!span_starts(buf_view(&ws->in), SPAN("HTTP/1.1 101 ")))
        return err_set(err, &ERR_UNAVAILABLE, "the WebSocket handshake got %.12s", ws->in.at);
    buf_consume(&ws->in, (size_t)(end + 4 - ws->in.at));
    return true;
}

bool ws_client_open(const char *address, const char *path, const char *protocol, const char *token,
                    WsClient **ret, Err *err) {
    AUTO(WsClient) ws = must(calloc(1, sizeof *ws));
    ws->fd = -1;
    if (!connect_to(address, &ws->fd, err) || !shake_hands(ws, address, path, protocol, token, err))
        return false;
    *ret = ws;
    ws = NULL;
    return true;
}

/* Client frames are masked (RFC 6455, 5.3). Ours are small. */
static bool send_frame(WsClient *ws, int opcode, Span payload, Err *err) {
    uint8_t head[8] = {(uint8_t)(0x80 | opcode)}, mask[4];
    size_t len = 2;
    if (payload.len > 65535) return err_set(err, &ERR_TOO_LARGE, "a frame of at most 65535 bytes");
    if (payload.len < 126) {
        head[1] = (uint8_t)(0x80 | payload.len);
    } else {
        head[1] = 0x80 | 126;
        head[2] = (uint8_t)(payload.len >> 8);
        head[3] = (uint8_t)payload.len;
        len = 4;
    }
    random_bytes(mask, sizeof mask);
    AUTO_BUF frame = {0};
    buf_append(&frame, head, len);
    buf_append(&frame, mask, sizeof mask);
    for (size_t i = 0; i < payload.len; i++) buf_byte(&frame, (char)(payload.at[i] ^ mask[i & 3]));
    return send_all(ws, buf_view(&frame), err);
}

bool ws_client_send(WsClient *ws, Span message, Err *err) {
    return send_frame(ws, OP_BINARY, message, err);
}

typedef struct Frame {
    int opcode;
    bool last;
    size_t head, len;
} Frame;

/* Is there a whole frame at the start of what has been read? */
static bool whole_frame(const Buf *in, Frame *ret, Err *err) {
    const uint8_t *b = (const uint8_t *)in->at;
    if (in->len < 2) return false;
    uint64_t len = b[1] & 0x7f;
    size_t head = len < 126 ? 2 : len == 126 ? 4 : 10;
    if (in->len < head) return false;
    if (head > 2) len = 0;
    for (size_t i = 2; i < head; i++) len = len << 8 | b[i];
    if (len > MESSAGE_MAX || b[1] & 0x80)
        return err_set(err, &ERR_INVALID, "the gateway sent an impossible frame");
    *ret = (Frame){b[0] & 15, b[0] & 0x80, head, (size_t)len};
    return in->len >= head + len;
}

/* True where the frame is a message for the caller. */
static bool take_frame(WsClient *ws, const Frame *frame, Span *ret, Err *err) {
    Span payload = {ws->in.at + frame->head, frame->len};
    ws->given = frame->head + frame->len;
    if (frame->opcode == OP_PING) return send_frame(ws, OP_PONG, payload, err) && false;
    if (frame->opcode == OP_CLOSE) return err_set(err, &ERR_UNAVAILABLE, "the gateway closed the WebSocket");
    if (frame->opcode == OP_PONG) return false;
    if (frame->opcode != OP_BINARY || !frame->last)
        return err_set(err, &ERR_INVALID, "the gateway's messages are whole binary frames");
    *ret = payload;
    return true;
}

bool ws_client_receive(WsClient *ws, int64_t wait_ms, Span *ret, Err *err) {
    int64_t end = clock_mono_us() + wait_ms * 1000;
    for (;;) {
        Frame frame = {0};
        buf_consume(&ws->in, ws->given);
        ws->given = 0;
        if (whole_frame(&ws->in, &frame, err)) {
            if (take_frame(ws, &frame, ret, err)) return true;
        } else if (!err->kind) {
            int64_t left_ms = (end - clock_mono_us() + 999) / 1000;
            if (left_ms <= 0 || !read_some(ws, left_ms, err)) return false;
        }
        if (err->kind) return false;
    }
}
