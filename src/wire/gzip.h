/* gzip (RFC 1952) of whole messages in memory. */
#pragma once
#include "base/buf.h"

/* Appends; false where memory ends. About 20 us per KiB: not for much on a loop. */
bool gzip_pack(Span plain, Buf *out);

typedef enum Gunzip { GUNZIP_DONE, GUNZIP_MALFORMED, GUNZIP_TOO_LARGE } Gunzip;
/* Appends what comes out, and stops (GUNZIP_TOO_LARGE) before that is more than `most` bytes: what a few
 * bytes promise to become costs no more than that. */
Gunzip gzip_unpack(Span packed, size_t most, Buf *out);
