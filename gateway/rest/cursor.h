/* Where a list goes on: opaque to clients, bound to the list (what was asked and how it was sorted), so that
 * a cursor of one list cannot lead astray in another. Not secret and not signed: it only moves within what
 * the token may read anyway. Pure. */
#pragma once
#include "base/buf.h"

typedef struct Cursor {
    int64_t number; /* the time that the list is sorted by; or nothing */
    Span key;       /* the text that it is sorted by; or empty */
    int64_t id;     /* of the last row given */
} Cursor;

enum { CURSOR_TEXT_MAX = 2048 };

void cursor_write(Buf *out, const Cursor *cursor, uint64_t list);
/* key points into `bytes`, which gets the decoded text. False where malformed or of another list. */
bool cursor_read(Span text, uint64_t list, Buf *bytes, Cursor *ret);
