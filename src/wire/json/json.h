/* JSON (RFC 8259): a writer, and a pull reader that tells the first bad byte from a wrong type. No I/O. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

/* Writes compact JSON; commas by itself. */
typedef struct JsonWriter {
    Buf *out;
    bool comma;
} JsonWriter;
static inline JsonWriter json_writer(Buf *out) {
    return (JsonWriter){.out = out};
}
void json_object(JsonWriter *w);
void json_object_end(JsonWriter *w);
void json_array(JsonWriter *w);
void json_array_end(JsonWriter *w);
void json_name(JsonWriter *w, const char *name); /* then exactly one value */
/* As json_name where the name is known in advance, as generated code knows it: SPAN("\"name\":"). */
static inline void json_key(JsonWriter *w, Span key) {
    char *to = buf_reserve(w->out, key.len + 1);
    if (!to) return;
    *to = ',';
    memcpy(to + w->comma, key.at, key.len);
    w->out->len += key.len + w->comma;
    w->comma = false;
}
void json_string(JsonWriter *w, Span value); /* valid UTF-8 */
void json_text(JsonWriter *w, const char *value);
void json_string_of(JsonWriter *w, Span first, Span rest); /* one string out of two parts */
void json_int(JsonWriter *w, int64_t value);
void json_decimal_string(JsonWriter *w, int64_t value); /* "123" */
void json_bool(JsonWriter *w, bool value);
void json_null(JsonWriter *w);
void json_time(JsonWriter *w, int64_t us); /* RFC 3339 */
void json_base64(JsonWriter *w, Span bytes);
void json_raw(JsonWriter *w, Span json); /* one value, already JSON */

typedef enum JsonToken {
    JSON_ERROR, /* look at r->fault */
    JSON_END,   /* the document is over, nothing but white space followed */
    JSON_OBJECT,
    JSON_OBJECT_END,
    JSON_ARRAY,
    JSON_ARRAY_END,
    JSON_NAME, /* r->text: a member's name */
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
} JsonToken;

enum { JSON_DEPTH_MAX = 32 };
typedef struct JsonReader {
    Span in;
    size_t at;
    Arena *arena;      /* unescaped strings; NULL: they are only checked, text is as written */
    Span text;         /* of a name, a string (unescaped, valid UTF-8) or a number (as written) */
    const char *fault; /* "invalid_json", "too_deep", "invalid_encoding", "too_large" (the arena is full) */
    size_t value_at;   /* where the value last begun stands in the input */
    bool unescaped;    /* text is a copy in the arena, with a NUL behind it */
    bool lenient;      /* event boundary: members that a message does not have are counted, not refused */
    size_t unknown;    /* how many were */
    bool put_back;     /* a member "$unknown" has been taken */
    unsigned depth;
    uint8_t state[JSON_DEPTH_MAX + 2]; /* the reader's own */
} JsonReader;
JsonReader json_reader(Span in, Arena *arena); /* in must outlive it */
JsonToken json_next(JsonReader *r);
/* Passes over the value whose first token has just been read. */
bool json_skip(JsonReader *r, JsonToken first);
/* After JSON_NUMBER: an integer without fraction and exponent (or with a zero one) in the range of int64. */
bool json_number_int(const JsonReader *r, int64_t *ret);
