/* Frames of HTTP/2 made by hand, and a WebSocket's client over both protocols. */
#include "net_kit.h"

#include "base/clock.h"
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

void h2_frame(Buf *b, unsigned type, unsigned flags, uint32_t stream, Span payload) {
    size_t n = payload.len;
    char head[9] = {(char)(n >> 16),      (char)(n >> 8),      (char)n,
                    (char)type,           (char)flags,         (char)(stream >> 24),
                    (char)(stream >> 16), (char)(stream >> 8), (char)stream};
    buf_append(b, head, sizeof head);
    buf_span(b, payload);
}

void h2_begin(Buf *b) {
    buf_text(b, H2_PREFACE);
    h2_frame(b, 4, 0, 0, SPAN(""));
    h2_frame(b, 4, 1, 0, SPAN("")); /* the server's, too, are in force from here on */
}

/* A literal without indexing, of less than 127 bytes each. */
void hpack_field(Buf *b, const char *name, Span value) {
    buf_byte(b, 0);
    buf_byte(b, (char)strlen(name));
    buf_text(b, name);
    buf_byte(b, (char)value.len);
    buf_span(b, value);
}

/* --- a WebSocket's client --- */

static WsClient open_h1(TestServer *s, const char *path, const char *extensions) {
    WsClient c = {.fd = client_open(test_server_port(s))};
    char request[512];
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n%s%s%s"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
             path, extensions ? "Sec-WebSocket-Extensions: " : "", extensions ? extensions : "",
             extensions ? "\r\n" : "");
    client_send(c.fd, span_of(request));
    client_read(c.fd, "\r\n\r\n", 3000, &c.raw);
    Span head = buf_view(&c.raw);
    const char *end = head.len ? memmem(head.at, head.len, "\r\n\r\n", 4) : NULL;
    if (!end || head.len < 12) return c;
    memcpy(c.status, head.at + 9, 3);
    const char *found = memmem(head.at, head.len, "sec-websocket-extensions: ", 26);
    if (found) sscanf(found + 26, "%127[^\r]", c.extensions);
    c.looked_at = (size_t)(end + 4 - head.at);
    return c;
}

WsClient ws_client_connect(TestServer *s, const char *const *fields, unsigned flags) {
    WsClient c = {.fd = client_open(test_server_port(s)), .h2 = true, .connection_window = 65535};
    AUTO_BUF out = {0};
    AUTO_BUF head = {0};
    for (; *fields; fields += 2) hpack_field(&head, fields[0], span_of(fields[1]));
    h2_begin(&out);
    h2_frame(&out, 1, flags, 1, buf_view(&head));
    client_send(c.fd, buf_view(&out));
    for (int i = 0; i < 300 && !*c.status && !c.ended; i++) ws_client_read(&c, 0, 10);
    return c;
}

static WsClient open_h2(TestServer *s, const char *path, const char *extensions) {
    const char *fields[] = {":method",
                            "CONNECT",
                            ":scheme",
                            "http",
                            ":path",
                            path,
                            ":authority",
                            "a",
                            ":protocol",
                            "websocket",
                            "sec-websocket-version",
                            "13",
                            extensions ? "sec-websocket-extensions" : NULL,
                            extensions,
                            NULL};
    return ws_client_connect(s, fields, 4);
}

WsClient ws_client_open(TestServer *s, bool h2, const char *path, const char *extensions) {
    return h2 ? open_h2(s, path, extensions) : open_h1(s, path, extensions);
}

static void take_head(WsClient *c, Span block) {
    nghttp2_hd_inflater *inflater = NULL;
    if (nghttp2_hd_inflate_new(&inflater)) abort();
    for (int flags = 0; !(flags & NGHTTP2_HD_INFLATE_FINAL);) {
        nghttp2_nv nv;
        ssize_t took = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, (const uint8_t *)block.at, block.len, 1);
        if (took < 0) break;
        block = (Span){block.at + took, block.len - (size_t)took};
        if (!(flags & NGHTTP2_HD_INFLATE_EMIT)) continue;
        Span name = span_bytes(nv.name, nv.namelen), value = span_bytes(nv.value, nv.valuelen);
        if (span_is(name, ":status")) span_copy(value, c->status, sizeof c->status);
        if (span_is(name, "sec-websocket-extensions")) span_copy(value, c->extensions, sizeof c->extensions);
        if (span_is(name, "sec-websocket-protocol")) span_copy(value, c->protocol, sizeof c->protocol);
    }
    nghttp2_hd_inflate_del(inflater);
}

static void give_credit(WsClient *c) {
    if (c->credit < 30000) return;
    AUTO_BUF out = {0};
    char more[4] = {(char)(c->credit >> 24), (char)(c->credit >> 16), (char)(c->credit >> 8),
                    (char)c->credit};
    h2_frame(&out, 8, 0, 0, (Span){more, 4});
    h2_frame(&out, 8, 0, 1, (Span){more, 4});
    client_send(c->fd, buf_view(&out));
    c->credit = 0;
}

static int64_t big_endian(const unsigned char *p) {
    return (int64_t)p[0] << 24 | (int64_t)p[1] << 16 | (int64_t)p[2] << 8 | p[3];
}

static void take_windows(WsClient *c, const unsigned char *f, size_t n) {
    if (f[3] == 8) *(f[8] ? &c->window : &c->connection_window) += big_endian(f + 9);
    for (size_t i = 0; f[3] == 4 && i + 6 <= n; i += 6)
        if (f[9 + i + 1] == NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE) c->window += big_endian(f + 9 + i + 2);
}

static void take_frames(WsClient *c) {
    const unsigned char *p = (const unsigned char *)c->raw.at;
    while (c->raw.len - c->looked_at >= 9) {
        const unsigned char *f = p + c->looked_at;
        size_t n = (size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2];
        if (c->raw.len - c->looked_at < 9 + n) return;
        if (f[3] == 0) buf_append(&c->got, f + 9, n), c->credit += n;
        if (f[3] == 1) take_head(c, span_bytes(f + 9, n));
        if (f[3] == 3) c->ended = true, c->reset = f[12];
        if (f[3] <= 1 && f[4] & 1) c->ended = true;
        take_windows(c, f, n);
        c->looked_at += 9 + n;
    }
}

static void take(WsClient *c) {
    if (c->h2) {
        take_frames(c);
    } else {
        buf_append(&c->got, c->raw.at + c->looked_at, c->raw.len - c->looked_at);
        c->looked_at = c->raw.len;
    }
    if (c->looked_at == c->raw.len) c->looked_at = c->raw.len = 0;
}

static void read_some(WsClient *c, int64_t within_ms) {
    char *to = buf_reserve(&c->raw, 65536);
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    if (!to || poll(&p, 1, (int)within_ms) <= 0) return;
    ssize_t got = recv(c->fd, to, 65536, 0);
    if (got <= 0)
        c->ended = true;
    else
        c->raw.len += (size_t)got;
    take(c);
}

Span ws_client_read(WsClient *c, size_t until, int64_t within_ms) {
    int64_t end = clock_mono_us() + within_ms * 1000, left;
    for (take(c); !c->ended && !(until && c->got.len >= until); read_some(c, left)) {
        if (c->h2) give_credit(c);
        left = (end - clock_mono_us()) / 1000;
        if (left <= 0) break;
    }
    return buf_view(&c->got);
}

static bool has_window(const WsClient *c, size_t len) {
    return c->window >= (int64_t)len && c->connection_window >= (int64_t)len;
}

bool ws_client_may_send(WsClient *c, size_t len) {
    struct pollfd p = {.fd = c->fd, .events = POLLOUT};
    if (!c->h2) return poll(&p, 1, 200) == 1;
    for (int i = 0; i < 20 && !has_window(c, len + 9); i++) read_some(c, 10);
    return has_window(c, len + 9);
}

void ws_client_send(WsClient *c, Span bytes) {
    AUTO_BUF out = {0};
    if (!c->h2) client_send(c->fd, bytes);
    for (size_t len; c->h2 && bytes.len; bytes = (Span){bytes.at + len, bytes.len - len}) {
        len = bytes.len < 16384 ? bytes.len : 16384;
        for (int i = 0; i < 500 && !has_window(c, len); i++) {
            client_send(c->fd, buf_view(&out));
            buf_clear(&out);
            read_some(c, 10);
            give_credit(c);
        }
        h2_frame(&out, 0, 0, 1, (Span){bytes.at, len});
        c->window -= (int64_t)len;
        c->connection_window -= (int64_t)len;
    }
    client_send(c->fd, buf_view(&out));
}

void ws_client_end(WsClient *c) {
    AUTO_BUF out = {0};
    h2_frame(&out, 0, 1, 1, SPAN(""));
    if (c->h2)
        client_send(c->fd, buf_view(&out));
    else
        shutdown(c->fd, SHUT_WR);
}

void ws_client_close(WsClient *c) {
    close(c->fd);
    buf_free(&c->raw);
    buf_free(&c->got);
}
