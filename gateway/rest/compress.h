/* Bodies made smaller: gzip (zlib) and brotli (libbrotli), the two codings that browsers ask for. */
#pragma once
#include "base/blob.h"
#include "base/buf.h"
#include "gateway/rest/negotiate.h"

enum { COMPRESS_LEAST = 1 << 10 }; /* bytes; what is smaller leaves in one packet anyway */

/* Appends `plain` in this coding (not identity). About 10 ms per MiB: never on a loop. False where memory
 * ends; `out` is then to be thrown away. */
bool compress_bytes(Coding coding, Span plain, Buf *out);
