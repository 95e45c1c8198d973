/* compress.c - quick levels: an answer is made for one reader, and used once. What is served often is
 * compressed well while building (codegen/embed, web/scripts/compress.mjs).
 *
 * An attacker who can put text of his own beside a secret learns the secret from lengths (BREACH). He cannot
 * here: what asks carries its token in a header, so that a foreign page asks nothing in a user's name, and
 * answers that hold tokens are not compressed at all. */
#include "gateway/rest/compress.h"

#include <brotli/encode.h>
#include <zlib.h>

enum { GZIP_LEVEL = 4, GZIP_WINDOW = 15 + 16, GZIP_MEMORY = 8, BROTLI_LEVEL = 4, BROTLI_WINDOW = 18 };

static bool compress_gzip(Span plain, Buf *out) {
    z_stream z = {.next_in = (Bytef *)plain.at, .avail_in = (uInt)plain.len};
    if (deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    size_t room = deflateBound(&z, plain.len);
    z.next_out = (Bytef *)buf_reserve(out, room);
    z.avail_out = (uInt)room;
    bool ok = z.next_out && deflate(&z, Z_FINISH) == Z_STREAM_END;
    if (ok) out->len += z.total_out;
    deflateEnd(&z);
    return ok;
}

static bool compress_brotli(Span plain, Buf *out) {
    size_t room = BrotliEncoderMaxCompressedSize(plain.len);
    char *to = buf_reserve(out, room);
    if (!to || !BrotliEncoderCompress(BROTLI_LEVEL, BROTLI_WINDOW, BROTLI_MODE_TEXT, plain.len,
                                      (const uint8_t *)plain.at, &room, (uint8_t *)to))
        return false;
    out->len += room;
    return true;
}

bool compress_bytes(Coding coding, Span plain, Buf *out) {
    return coding == CODING_BROTLI ? compress_brotli(plain, out) : compress_gzip(plain, out);
}
