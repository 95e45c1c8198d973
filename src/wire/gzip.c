#include "wire/gzip.h"

#include <zlib.h>

enum { GZIP = 16, WINDOW = 15, MEMORY = 8, LEVEL = 3, STEP = 16 << 10 };

bool gzip_pack(Span plain, Buf *out) {
    z_stream z = {0};
    if (deflateInit2(&z, LEVEL, Z_DEFLATED, GZIP + WINDOW, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) return false;
    uLong bound = deflateBound(&z, plain.len);
    char *to = buf_reserve(out, bound);
    z.next_in = (Bytef *)(uintptr_t)plain.at;
    z.avail_in = (uInt)plain.len;
    z.next_out = (Bytef *)to;
    z.avail_out = (uInt)bound;
    bool done = to && deflate(&z, Z_FINISH) == Z_STREAM_END;
    if (done) out->len += z.total_out;
    deflateEnd(&z);
    return done;
}

/* One step: more room, then what fits into it. */
static int inflate_some(z_stream *z, size_t most, size_t begun, Buf *out) {
    size_t left = most - (out->len - begun),
           room = left < STEP ? left + 1 : STEP; /* one byte tells "too large" */
    char *to = buf_reserve(out, room);
    if (!to) return Z_MEM_ERROR;
    z->next_out = (Bytef *)to;
    z->avail_out = (uInt)room;
    int code = inflate(z, Z_NO_FLUSH);
    out->len += room - z->avail_out;
    return code;
}

Gunzip gzip_unpack(Span packed, size_t most, Buf *out) {
    z_stream z = {.next_in = (Bytef *)(uintptr_t)packed.at, .avail_in = (uInt)packed.len};
    size_t begun = out->len;
    if (inflateInit2(&z, GZIP + WINDOW) != Z_OK) return GUNZIP_MALFORMED;
    int code = Z_OK;
    while (code == Z_OK && out->len - begun <= most) code = inflate_some(&z, most, begun, out);
    bool whole = code == Z_STREAM_END && z.avail_in == 0;
    inflateEnd(&z);
    if (out->len - begun > most) return GUNZIP_TOO_LARGE;
    return whole ? GUNZIP_DONE : GUNZIP_MALFORMED;
}
