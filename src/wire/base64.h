/* Base64 (RFC 4648 section 4, with padding). */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

void base64_write(Buf *out, Span bytes);
void base64_write_bare(Buf *out, Span bytes); /* without padding */
/* Strict: padded, no white space, no bits behind the end. In memory of the arena; false where it is no
 * base64. */
bool base64_read(Span text, Arena *arena, Span *ret);
/* What others send: either alphabet (section 5 too), padded or not, and several texts one after the other,
 * each padded. Appends; false where it is no base64. */
bool base64_read_any(Span text, Buf *out);
