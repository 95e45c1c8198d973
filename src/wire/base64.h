/* Base64 (RFC 4648 section 4, with padding). */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

void base64_write(Buf *out, Span bytes);
/* Strict: padded, no white space, no bits behind the end. In memory of the arena; false where it is no
 * base64. */
bool base64_read(Span text, Arena *arena, Span *ret);
