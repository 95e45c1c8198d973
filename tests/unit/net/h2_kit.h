/* HTTP/2 frames made by hand, for clients that do what no library would. */
#pragma once
#include "base/buf.h"

#define H2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define H2_LITERAL(text)                                                                                     \
    { text, sizeof text - 1 }

enum {
    H2_DATA,
    H2_HEADERS,
    H2_PRIORITY,
    H2_RST,
    H2_SETTINGS,
    H2_PUSH,
    H2_PING,
    H2_GOAWAY,
    H2_WINDOW,
    H2_MORE
};
enum { H2_END = 1, H2_ACK = 1, H2_WHOLE = 4, H2_PADDED = 8 };

/* Header blocks that use no dynamic table: :method, :scheme http, :path, :authority a. */
#define H2_FIELD(name_len, name, value_len, value) "\0" name_len name value_len value
#define H2_BY(method, path_len, path)                                                                        \
    method "\x86\x04" path_len path "\x01\x01"                                                               \
           "a"
#define H2_GET_SLOW  H2_BY("\x82", "\x05", "/slow")
#define H2_GET_ECHO  H2_BY("\x82", "\x05", "/echo")
#define H2_POST_ECHO H2_BY("\x83", "\x05", "/echo")

static inline void h2_frame(Buf *b, unsigned type, unsigned flags, uint32_t stream, Span payload) {
    size_t n = payload.len;
    char head[9] = {(char)(n >> 16),      (char)(n >> 8),      (char)n,
                    (char)type,           (char)flags,         (char)(stream >> 24),
                    (char)(stream >> 16), (char)(stream >> 8), (char)stream};
    buf_append(b, head, sizeof head);
    buf_span(b, payload);
}

static inline void h2_begin(Buf *b) {
    buf_text(b, H2_PREFACE);
    h2_frame(b, H2_SETTINGS, 0, 0, SPAN(""));
}

/* What a run of frames holds. */
typedef struct H2Got {
    long goaway, reset; /* the last one's code, -1: none */
    size_t count[16];   /* frames of each type */
} H2Got;

static inline H2Got h2_got(Span in) {
    H2Got got = {-1, -1, {0}};
    const unsigned char *p = (const unsigned char *)in.at;
    for (size_t at = 0; at + 9 <= in.len;) {
        size_t n = (size_t)p[at] << 16 | (size_t)p[at + 1] << 8 | p[at + 2];
        if (p[at + 3] < 16) got.count[p[at + 3]]++;
        if (p[at + 3] == H2_GOAWAY && at + 17 <= in.len) got.goaway = p[at + 16];
        if (p[at + 3] == H2_RST && at + 13 <= in.len) got.reset = p[at + 12];
        at += 9 + n;
    }
    return got;
}
