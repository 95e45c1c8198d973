/* base64url without padding (RFC 4648, section 5), as JOSE and our cursors use it. Strict: other characters,
 * padding and non-zero trailing bits are refused, so that one value has one text. */
#pragma once
#include "base/buf.h"

void base64url_write(Buf *out, Span bytes);
/* Appends to out; false where the text is malformed. */
bool base64url_read(Buf *out, Span text);
