/* What answers of HTTP/1.1 and HTTP/2 have in common. */
#pragma once
#include "base/buf.h"
#include "net/http_server.h"

const char *answer_reason(int status);          /* "Not Found" */
bool answer_has_body(int status);               /* not 1xx, 204, 304 */
bool answer_field_is_clean(const HttpField *f); /* no control characters that could end the field */
Span answer_body(const HttpAnswer *answer);

enum { NUMBER_TEXT = 20 };
size_t answer_number(char out[NUMBER_TEXT], uint64_t number); /* decimal digits, no NUL */

/* The server's own refusal: a problem document. `body` owns its bytes. */
typedef struct Refusal {
    HttpAnswer answer;
    HttpField field;
    Buf body;
} Refusal;
void refusal_make(Refusal *r, int status, const char *why); /* why: kept until used */
static inline void refusal_clear(Refusal *r) {
    buf_free(&r->body);
}
