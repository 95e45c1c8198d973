#include "gateway/rest/cursor.h"

#include "gateway/auth/base64url.h"

/* version 1: list hash, number, id (8 bytes each, big end first), key */
enum { VERSION = 1, HEAD = 1 + 3 * 8 };

static void put(char *to, uint64_t value) {
    for (int i = 0; i < 8; i++) to[i] = (char)(value >> (56 - 8 * i));
}

static uint64_t get(const char *from) {
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | (unsigned char)from[i];
    return value;
}

void cursor_write(Buf *out, const Cursor *cursor, uint64_t list) {
    AUTO_BUF bytes = {0};
    char head[HEAD] = {VERSION};
    put(head + 1, list);
    put(head + 9, (uint64_t)cursor->number);
    put(head + 17, (uint64_t)cursor->id);
    buf_append(&bytes, head, HEAD);
    buf_span(&bytes, cursor->key);
    base64url_write(out, buf_view(&bytes));
}

bool cursor_read(Span text, uint64_t list, Buf *bytes, Cursor *ret) {
    if (text.len > CURSOR_TEXT_MAX || !base64url_read(bytes, text)) return false;
    if (bytes->len < HEAD || bytes->at[0] != VERSION || get(bytes->at + 1) != list) return false;
    ret->number = (int64_t)get(bytes->at + 9);
    ret->id = (int64_t)get(bytes->at + 17);
    ret->key = (Span){bytes->at + HEAD, bytes->len - HEAD};
    return true;
}
