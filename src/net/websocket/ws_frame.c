/* ws_frame.c - frames and messages.
 *
 * Only wslay's frame layer is used. Its event layer would keep another 4 KiB for each connection, copy every
 * message into lists, and answer control frames from a queue of its own that our shared, once-encoded frames
 * must bypass. The frame layer checks lengths (minimal form, control frames whole and short) and unmasks;
 * what is left is here: masks are a must from clients, of the reserved bits only RSV1 may be set and only
 * where permessage-deflate was negotiated, messages may come in pieces with control frames between them, text
 * is UTF-8.
 *
 * A message that arrives in one piece, as nearly all do, is handed on from the parser's buffer without a
 * copy. */
#include "net/websocket/ws_frame.h"

#include "net/websocket/ws_deflate.h"
#include <wslay/wslay.h>

enum { POOL_MAX = 32, WAITING_MAX = 2 << 20, HEAD_MAX = 14 /* of a frame that is masked */ };

struct WsParser {
    wslay_frame_context_ptr frame;
    Span feed;
    uint64_t fed, parsed;         /* equal: no frame is in progress */
    unsigned char tail[HEAD_MAX]; /* the last bytes that were fed, at its end */
    WsParser *next;
    size_t control_len;
    char control[WS_CONTROL_MAX];
};

static void keep_tail(WsParser *p, const char *bytes, size_t len) {
    size_t fresh = len < HEAD_MAX ? len : HEAD_MAX, kept = HEAD_MAX - fresh;
    memmove(p->tail, p->tail + fresh, kept);
    memcpy(p->tail + kept, bytes + len - fresh, fresh);
}

static ssize_t give_bytes(uint8_t *to, size_t size, int flags, void *user) {
    (void)flags;
    WsParser *p = user;
    size_t len = p->feed.len < size ? p->feed.len : size;
    if (!len) return -1; /* wslay makes WANT_READ of it */
    memcpy(to, p->feed.at, len);
    keep_tail(p, p->feed.at, len);
    p->feed.at += len;
    p->feed.len -= len;
    p->fed += len;
    return (ssize_t)len;
}

static WsParser *parser_new(void) {
    static const struct wslay_frame_callbacks CALLBACKS = {.recv_callback = give_bytes};
    WsParser *p = calloc(1, sizeof *p);
    if (p && wslay_frame_context_init(&p->frame, &CALLBACKS, p)) {
        free(p);
        p = NULL;
    }
    return p;
}

static void parser_free(WsParser *p) {
    wslay_frame_context_free(p->frame);
    free(p);
}

static WsParser *borrow(WsPool *pool) {
    WsParser *p = pool->spare;
    if (!p) return parser_new();
    pool->spare = p->next;
    pool->count--;
    return p;
}

/* A parser inside of a frame is of no use to anybody else. */
static void give_back(WsPool *pool, WsParser *p) {
    if (!p) return;
    if (p->fed != p->parsed || pool->count >= POOL_MAX) {
        parser_free(p);
        return;
    }
    p->next = pool->spare;
    pool->spare = p;
    pool->count++;
}

void ws_pool_clear(WsPool *pool) {
    while (pool->spare) {
        WsParser *p = pool->spare;
        pool->spare = p->next;
        parser_free(p);
    }
    pool->count = 0;
}

/* Data that cannot be compressed grow by five bytes a block. */
static size_t packed_limit(size_t message_limit) {
    return message_limit + message_limit / 1024 + 64;
}

void ws_reader_init(WsReader *r, WsPool *pool, size_t message_limit) {
    *r = (WsReader){
        .pool = pool, .message_limit = message_limit, .message.limit = packed_limit(message_limit)};
    r->waiting.limit = WAITING_MAX;
}

void ws_reader_clear(WsReader *r) {
    give_back(r->pool, r->parser);
    r->parser = NULL;
    buf_free(&r->message);
    buf_free(&r->waiting);
}

static bool is_control(unsigned opcode) {
    return opcode & 8;
}

static size_t header_len(uint64_t payload) {
    return 2 + (payload < 126 ? 0 : payload < 65536 ? 2 : 8) + 4;
}

/* What can be said of a frame by its head: 0 or the close code. */
static int frame_fault(const WsReader *r, const struct wslay_frame_iocb *io) {
    bool compressed = io->rsv && r->deflates && io->rsv == WSLAY_RSV1_BIT;
    if (!io->mask || (io->rsv && !compressed)) return WSLAY_CODE_PROTOCOL_ERROR;
    if (is_control(io->opcode)) return io->opcode > WS_PONG || io->rsv ? WSLAY_CODE_PROTOCOL_ERROR : 0;
    bool continues = io->opcode == WS_CONTINUATION;
    if (io->opcode > WS_BINARY || continues != (r->opcode != 0)) return WSLAY_CODE_PROTOCOL_ERROR;
    if (continues && io->rsv) return WSLAY_CODE_PROTOCOL_ERROR;
    bool packed = continues ? r->compressed : compressed;
    size_t limit = packed ? packed_limit(r->message_limit) : r->message_limit;
    return io->payload_length > limit - r->message.len ? WSLAY_CODE_MESSAGE_TOO_BIG : 0;
}

/* The first we see of a frame: 0 or the close code. */
static int frame_begin(WsReader *r, const struct wslay_frame_iocb *io) {
    int code = frame_fault(r, io);
    if (code) return code;
    if (is_control(io->opcode)) {
        r->parser->control_len = 0;
    } else if (io->opcode != WS_CONTINUATION) {
        r->opcode = io->opcode;
        r->compressed = io->rsv;
        r->utf8 = (Utf8){0};
    }
    r->in_frame = true;
    r->final = io->fin;
    r->frame_opcode = io->opcode;
    r->frame_left = io->payload_length;
    r->parser->parsed += header_len(io->payload_length) + io->payload_length;
    return 0;
}

/* wslay tells of a frame with the first byte of its payload, which need not come: a peer may wait for what we
 * say to its head. 0 or the close code. */
static int head_fault(const WsReader *r) {
    const WsParser *p = r->parser;
    uint64_t len = p->fed - p->parsed;
    if (r->in_frame || len < 2 || len > HEAD_MAX) return 0;
    const unsigned char *head = p->tail + HEAD_MAX - len;
    struct wslay_frame_iocb io = {
        .fin = head[0] >> 7, .rsv = head[0] >> 4 & 7, .opcode = head[0] & 15, .mask = head[1] >> 7};
    unsigned width = (head[1] & 127) < 126 ? 0 : (head[1] & 127) == 126 ? 2 : 8;
    io.payload_length = width ? 0 : head[1] & 127;
    for (unsigned i = 0; i < width && 2 + width <= len; i++)
        io.payload_length = io.payload_length << 8 | head[2 + i];
    return frame_fault(r, &io);
}

static int message_end(WsReader *r, Span whole, WsOnMessage *on_message, void *user, bool *go_on) {
    AUTO_BUF inflated = {0};
    int opcode = r->opcode;
    r->opcode = 0;
    if (r->compressed) {
        int code = ws_inflate(whole, r->message_limit, &inflated);
        if (code) return code;
        whole = buf_view(&inflated);
        if (opcode == WS_TEXT && !text_is_utf8(whole)) return WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA;
    } else if (opcode == WS_TEXT && !text_utf8_whole(&r->utf8)) {
        return WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA;
    }
    *go_on = on_message(user, opcode, whole);
    if (*go_on) buf_free(&r->message); /* otherwise the reader may be gone */
    return 0;
}

/* A part of the payload, the last one where frame_left has come down to 0. */
static int frame_part(WsReader *r, Span part, WsOnMessage *on_message, void *user, bool *go_on) {
    bool whole_frame = r->in_frame && r->frame_left == 0;
    r->in_frame = !whole_frame;
    if (is_control(r->frame_opcode)) {
        WsParser *p = r->parser;
        if (part.len) memcpy(p->control + p->control_len, part.at, part.len);
        p->control_len += part.len;
        if (whole_frame) *go_on = on_message(user, r->frame_opcode, (Span){p->control, p->control_len});
        return 0;
    }
    if (r->opcode == WS_TEXT && !r->compressed && !text_utf8_feed(&r->utf8, part))
        return WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA;
    if (whole_frame && r->final && !r->message.len) return message_end(r, part, on_message, user, go_on);
    buf_append(&r->message, part.at, part.len);
    if (r->message.failed) return WSLAY_CODE_INTERNAL_SERVER_ERROR;
    return whole_frame && r->final ? message_end(r, buf_view(&r->message), on_message, user, go_on) : 0;
}

/* Until the bytes, or the patience of the receiver, are used up. *go_on: the reader is still there. */
static int parse(WsReader *r, WsOnMessage *on_message, void *user, bool *go_on) {
    while (!r->paused) {
        struct wslay_frame_iocb io = {0};
        ssize_t got = wslay_frame_recv(r->parser->frame, &io);
        if (got == WSLAY_ERR_WANT_READ) return head_fault(r);
        if (got < 0) return WSLAY_CODE_PROTOCOL_ERROR;
        int code = r->in_frame ? 0 : frame_begin(r, &io);
        if (code) return code;
        r->frame_left -= io.data_length;
        code = frame_part(r, span_bytes(io.data, io.data_length), on_message, user, go_on);
        if (code || !*go_on) return code;
    }
    return 0;
}

/* What the parser has not taken waits; behind what had waited already, if that is where it stands. */
static int keep_rest(WsReader *r, Span rest, bool of_waiting) {
    if (!of_waiting)
        buf_span(&r->waiting, rest);
    else if (rest.len)
        buf_consume(&r->waiting, r->waiting.len - rest.len);
    else
        buf_free(&r->waiting);
    return r->waiting.failed ? WSLAY_CODE_INTERNAL_SERVER_ERROR : 0;
}

int ws_reader_feed(WsReader *r, Span bytes, WsOnMessage *on_message, void *user) {
    bool of_waiting = r->waiting.len;
    if (r->paused || of_waiting) {
        buf_span(&r->waiting, bytes);
        if (r->waiting.failed) return WSLAY_CODE_INTERNAL_SERVER_ERROR;
        if (r->paused) return 0;
        bytes = buf_view(&r->waiting);
    }
    if (!r->parser && bytes.len) r->parser = borrow(r->pool);
    if (!r->parser) return bytes.len ? WSLAY_CODE_INTERNAL_SERVER_ERROR : 0;
    WsParser *p = r->parser;
    p->feed = bytes;
    bool go_on = true;
    int code = parse(r, on_message, user, &go_on);
    if (code || !go_on) return code;
    if (p->feed.len || of_waiting) code = keep_rest(r, p->feed, of_waiting);
    p->feed = SPAN_NONE;
    if (p->fed == p->parsed) {
        give_back(r->pool, p);
        r->parser = NULL;
    }
    return code;
}

size_t ws_header(char out[WS_HEADER_MAX], int opcode, size_t payload_len) {
    out[0] = (char)(0x80 | opcode); /* FIN */
    if (payload_len < 126) {
        out[1] = (char)payload_len;
        return 2;
    }
    size_t width = payload_len < 65536 ? 2 : 8;
    out[1] = width == 2 ? 126 : 127;
    for (size_t i = 0; i < width; i++) out[2 + i] = (char)(payload_len >> (8 * (width - 1 - i)));
    return 2 + width;
}

/* RFC 6455 section 7.4: these may stand in a frame; 1005, 1006 and 1015 never. */
static bool may_be_sent(unsigned code) {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

int ws_close_parse(Span payload, int *fault) {
    const unsigned char *b = (const unsigned char *)payload.at;
    *fault = 0;
    if (!payload.len) return 1005;
    int code = payload.len == 1 ? 0 : b[0] << 8 | b[1];
    if (!may_be_sent((unsigned)code))
        *fault = WSLAY_CODE_PROTOCOL_ERROR;
    else if (!text_is_utf8((Span){payload.at + 2, payload.len - 2}))
        *fault = WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA;
    return code;
}
