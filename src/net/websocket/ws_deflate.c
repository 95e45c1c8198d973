#include "net/websocket/ws_deflate.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    LEVEL = Z_BEST_SPEED, /* it runs on an event loop */
    MEMORY_LEVEL = 8,
    INFLATE_STEP = 16 << 10,
    TAIL = 4, /* 00 00 ff ff stands behind every message and is not sent (section 7.2.1) */
};

/* --- the thread's own --- */

typedef struct Zips {
    z_stream inflater;
    z_stream deflaters[WS_WINDOW_MOST + 1];
    bool has_inflater, has_deflater[WS_WINDOW_MOST + 1];
} Zips;

static pthread_key_t zips_key;
static pthread_once_t zips_once = PTHREAD_ONCE_INIT;

static void zips_free(void *pointer) {
    Zips *z = pointer;
    if (z->has_inflater) inflateEnd(&z->inflater);
    for (int i = 0; i <= WS_WINDOW_MOST; i++)
        if (z->has_deflater[i]) deflateEnd(&z->deflaters[i]);
    free(z);
}

static void zips_make_key(void) {
    if (pthread_key_create(&zips_key, zips_free)) abort();
}

static Zips *zips(void) {
    pthread_once(&zips_once, zips_make_key);
    Zips *z = pthread_getspecific(zips_key);
    if (z) return z;
    z = calloc(1, sizeof *z);
    if (z) pthread_setspecific(zips_key, z);
    return z;
}

static z_stream *inflater(void) {
    Zips *z = zips();
    if (!z) return NULL;
    if (z->has_inflater) return inflateReset(&z->inflater) == Z_OK ? &z->inflater : NULL;
    z->has_inflater = inflateInit2(&z->inflater, -WS_WINDOW_MOST) == Z_OK;
    return z->has_inflater ? &z->inflater : NULL;
}

static z_stream *deflater(unsigned window) {
    Zips *z = zips();
    if (!z) return NULL;
    z_stream *s = &z->deflaters[window];
    if (z->has_deflater[window]) return deflateReset(s) == Z_OK ? s : NULL;
    z->has_deflater[window] =
        deflateInit2(s, LEVEL, Z_DEFLATED, -(int)window, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK;
    return z->has_deflater[window] ? s : NULL;
}

/* --- messages --- */

/* A block may say that it is the last one (section 7.2.3.5); what follows it is a stream of its own.
 * *between: the bytes end where a block ends. */
static int inflate_part(z_stream *s, Span in, size_t limit, Buf *out, bool *between) {
    s->next_in = (Bytef *)in.at;
    s->avail_in = (uInt)in.len;
    do {
        size_t room = limit + 1 - out->len; /* one byte more tells "just the limit" from "above" */
        if (room > INFLATE_STEP) room = INFLATE_STEP;
        char *to = buf_reserve(out, room);
        if (!to) return 1011;
        s->next_out = (Bytef *)to;
        s->avail_out = (uInt)room;
        int status = inflate(s, Z_SYNC_FLUSH);
        out->len += room - s->avail_out;
        if (out->len > limit) return 1009;
        if (status == Z_STREAM_END && inflateReset(s) != Z_OK) return 1011;
        if (status == Z_MEM_ERROR) return 1011;
        *between = status == Z_STREAM_END || s->data_type & 128;
        if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) return 1007;
    } while (s->avail_in || !s->avail_out);
    return 0;
}

int ws_inflate(Span in, size_t limit, Buf *out) {
    z_stream *s = inflater();
    if (!s) return 1011;
    out->limit = limit + INFLATE_STEP;
    bool between = false;
    int code = inflate_part(s, in, limit, out, &between);
    if (!code) code = inflate_part(s, SPAN("\0\0\xff\xff"), limit, out, &between);
    return code ? code : between ? 0 : 1007;
}

bool ws_deflate(Span in, unsigned window, Buf *out) {
    z_stream *s = deflater(window);
    char *to = s && in.len > TAIL ? buf_reserve(out, in.len + TAIL) : NULL;
    if (!to) return false;
    s->next_in = (Bytef *)in.at;
    s->avail_in = (uInt)in.len;
    s->next_out = (Bytef *)to;
    s->avail_out = (uInt)(in.len + TAIL - 1);
    if (deflate(s, Z_SYNC_FLUSH) != Z_OK || s->avail_in || !s->avail_out) return false;
    out->len = in.len - 1 - s->avail_out;
    return true;
}

/* --- the negotiation --- */

enum { SERVER_FRESH = 1, CLIENT_FRESH = 2, SERVER_WINDOW = 4, CLIENT_WINDOW = 8 };

static const struct {
    Span name;
    unsigned bit;
    bool may_have_value, must_have_value;
} PARAMETERS[] = {
    {{"server_no_context_takeover", 26}, SERVER_FRESH, false, false},
    {{"client_no_context_takeover", 26}, CLIENT_FRESH, false, false},
    {{"server_max_window_bits", 22}, SERVER_WINDOW, true, true},
    {{"client_max_window_bits", 22}, CLIENT_WINDOW, true, false},
};

static Span unquoted(Span value) {
    bool quoted = value.len >= 2 && value.at[0] == '"' && value.at[value.len - 1] == '"';
    return quoted ? (Span){value.at + 1, value.len - 2} : value;
}

/* A decimal from 8 to 15 without leading zeros (section 7.1.2.1). */
static bool window_bits(Span value, uint64_t *ret) {
    return value.len && value.at[0] != '0' && span_to_u64(value, WS_WINDOW_MOST, ret) && *ret >= 8;
}

static bool take_parameter(Span text, unsigned *seen, WsDeflate *terms) {
    Span value, name = span_trim(span_split(text, '=', &value));
    for (size_t i = 0; i < sizeof PARAMETERS / sizeof *PARAMETERS; i++) {
        if (!span_equal_nocase(name, PARAMETERS[i].name)) continue;
        uint64_t bits = WS_WINDOW_MOST;
        if (*seen & PARAMETERS[i].bit ||
            (value.at ? !PARAMETERS[i].may_have_value : PARAMETERS[i].must_have_value))
            return false;
        if (value.at && !window_bits(unquoted(span_trim(value)), &bits)) return false;
        *seen |= PARAMETERS[i].bit;
        if (PARAMETERS[i].bit == SERVER_WINDOW) terms->window = (uint8_t)bits;
        return terms->window >= WS_WINDOW_LEAST;
    }
    return false;
}

static bool take_offer(Span offer, WsDeflate *terms) {
    Span rest, name = span_trim(span_split(offer, ';', &rest));
    unsigned seen = 0;
    *terms = (WsDeflate){.on = true, .window = WS_WINDOW_MOST};
    if (!span_equal_nocase(name, SPAN("permessage-deflate"))) return false;
    while (rest.at)
        if (!take_parameter(span_split(rest, ';', &rest), &seen, terms)) return false;
    return true;
}

WsDeflate ws_deflate_choose(Span offers) {
    WsDeflate terms;
    while (offers.at)
        if (take_offer(span_split(offers, ',', &offers), &terms)) return terms;
    return (WsDeflate){.on = false};
}

/* Both sides begin each message afresh, which a server may say without having been asked (section 7.1.1). */
void ws_deflate_answer(const WsDeflate *terms, char out[WS_DEFLATE_TEXT]) {
    const char *base = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    if (terms->window == WS_WINDOW_MOST)
        snprintf(out, WS_DEFLATE_TEXT, "%s", base);
    else
        snprintf(out, WS_DEFLATE_TEXT, "%s; server_max_window_bits=%u", base, terms->window);
}
