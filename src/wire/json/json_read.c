/* json_read.c - a pull reader of RFC 8259, strict: no BOM, no comments, no trailing commas, one value.
 * Promise:   the first bad byte or token ends it, and `fault` says of which kind: clients are told
 *            "invalid_json" (their syntax), "invalid_encoding" (bytes or escapes that are no Unicode text)
 *            or "too_deep".
 * Shape:     no recursion: what may come next is one byte of state per open container, so depth costs no
 *            stack. */
#include "wire/json/json.h"

#include "base/bytes.h"
#include "base/text.h"

enum State { TOP, TOP_DONE, ARRAY_FIRST, ARRAY_NEXT, OBJECT_FIRST, OBJECT_VALUE, OBJECT_NEXT };

JsonReader json_reader(Span in, Arena *arena) {
    return (JsonReader){.in = in, .arena = arena};
}

static JsonToken fail(JsonReader *r, const char *fault) {
    if (!r->fault) r->fault = fault;
    return JSON_ERROR;
}

static JsonToken bad(JsonReader *r) {
    return fail(r, "invalid_json");
}

/* The byte at the reader, -1 at the end. */
static int peek(const JsonReader *r) {
    return r->at < r->in.len ? (unsigned char)r->in.at[r->at] : -1;
}

static void skip_space(JsonReader *r) {
    for (int c = peek(r); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = peek(r)) r->at++;
}

static bool take(JsonReader *r, char c) {
    if (peek(r) != (unsigned char)c) return false;
    r->at++;
    return true;
}

static bool hex4(JsonReader *r, uint32_t *ret) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        int c = peek(r);
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) return bad(r);
        value = value << 4 | (uint32_t)digit;
        r->at++;
    }
    *ret = value;
    return true;
}

static bool surrogate(uint32_t c, uint32_t first) {
    return c >= first && c < first + 0x400;
}

/* Behind "\u": one code point, a pair of escapes above U+FFFF (RFC 8259 section 7). A lone half is no text.
 */
static bool unicode_escape(JsonReader *r, uint32_t *point) {
    uint32_t low;
    if (!hex4(r, point)) return false;
    if (surrogate(*point, 0xdc00)) return fail(r, "invalid_encoding");
    if (!surrogate(*point, 0xd800)) return true;
    if (!take(r, '\\') || !take(r, 'u')) return fail(r, "invalid_encoding");
    if (!hex4(r, &low)) return false;
    if (!surrogate(low, 0xdc00)) return fail(r, "invalid_encoding");
    *point = 0x10000 + ((*point - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

static bool escape(JsonReader *r, uint32_t *point) {
    static const char FROM[] = "\"\\/bfnrt", TO[] = "\"\\/\b\f\n\r\t";
    int c = peek(r);
    if (c < 0) return bad(r);
    r->at++;
    if (c == 'u') return unicode_escape(r, point);
    const char *found = c ? strchr(FROM, c) : NULL;
    if (!found) return bad(r);
    *point = (uint32_t)TO[found - FROM];
    return true;
}

/* Passes to the closing quote, checking every byte on the way. */
static bool scan_string(JsonReader *r, bool *has_escapes) {
    for (;;) {
        uint32_t ignored;
        r->at += bytes_json_run((Span){r->in.at + r->at, r->in.len - r->at});
        int c = peek(r);
        if (c == '"') return true;
        if (c < 0x20) return bad(r); /* the end, or a raw control character */
        if (c == '\\') {
            *has_escapes = true;
            r->at++;
            if (!escape(r, &ignored)) return false;
        } else if (text_next(r->in, &r->at) < 0) {
            return fail(r, "invalid_encoding");
        }
    }
}

static size_t utf8_put(char *to, uint32_t c) {
    if (c < 0x80) return to[0] = (char)c, 1;
    size_t tail = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char LEAD[] = {0, 0xc0, 0xe0, 0xf0};
    to[0] = (char)(LEAD[tail] | c >> (6 * tail));
    for (size_t i = 1; i <= tail; i++) to[i] = (char)(0x80 | (c >> (6 * (tail - i)) & 0x3f));
    return tail + 1;
}

/* The part of the input from `start` to the quote at the reader, known to be good. An escape is never shorter
 * than the text it stands for. */
static bool unescape(JsonReader *r, size_t start) {
    size_t end = r->at, len = 0;
    char *to = arena_alloc(r->arena, end - start + 1);
    if (!to) return fail(r, "too_large");
    for (r->at = start; r->at < end;) {
        uint32_t point;
        const char *from = r->in.at + r->at, *next = memchr(from, '\\', end - r->at);
        size_t plain = next ? (size_t)(next - from) : end - r->at;
        memcpy(to + len, from, plain);
        len += plain;
        r->at += plain + 1; /* behind the backslash, if there is one */
        if (!next) break;
        if (!escape(r, &point)) return false;
        len += utf8_put(to + len, point);
    }
    r->at = end;
    r->text = (Span){to, len};
    return r->unescaped = true;
}

static bool string(JsonReader *r) {
    size_t start = ++r->at;
    bool has_escapes = false;
    r->unescaped = false;
    if (!scan_string(r, &has_escapes)) return false;
    r->text = (Span){r->in.at + start, r->at - start};
    if (has_escapes && r->arena && !unescape(r, start)) return false;
    r->at++;
    return true;
}

static bool digit_run(JsonReader *r) {
    size_t start = r->at;
    while (peek(r) >= '0' && peek(r) <= '9') r->at++;
    return r->at > start;
}

static JsonToken number(JsonReader *r) {
    size_t start = r->at;
    take(r, '-');
    if (!take(r, '0') && !digit_run(r)) return bad(r);
    if (take(r, '.') && !digit_run(r)) return bad(r);
    if (take(r, 'e') || take(r, 'E')) {
        if (!take(r, '+')) take(r, '-');
        if (!digit_run(r)) return bad(r);
    }
    r->text = (Span){r->in.at + start, r->at - start};
    return JSON_NUMBER;
}

static JsonToken literal(JsonReader *r, Span word, JsonToken token) {
    Span rest = {r->in.at + r->at, r->in.len - r->at};
    if (!span_starts(rest, word)) return bad(r);
    r->at += word.len;
    return token;
}

static JsonToken open_container(JsonReader *r, JsonToken token, enum State first) {
    if (r->depth == JSON_DEPTH_MAX) return fail(r, "too_deep");
    r->at++;
    r->state[++r->depth] = (uint8_t)first;
    return token;
}

static JsonToken close_container(JsonReader *r, JsonToken token) {
    r->at++;
    r->depth--;
    return token;
}

static JsonToken value(JsonReader *r, enum State then) {
    r->state[r->depth] = (uint8_t)then;
    r->value_at = r->at;
    switch (peek(r)) {
    case '{': return open_container(r, JSON_OBJECT, OBJECT_FIRST);
    case '[': return open_container(r, JSON_ARRAY, ARRAY_FIRST);
    case '"': return string(r) ? JSON_STRING : JSON_ERROR;
    case 't': return literal(r, SPAN("true"), JSON_TRUE);
    case 'f': return literal(r, SPAN("false"), JSON_FALSE);
    case 'n': return literal(r, SPAN("null"), JSON_NULL);
    default: return number(r);
    }
}

static JsonToken name(JsonReader *r) {
    if (peek(r) != '"') return bad(r);
    if (!string(r)) return JSON_ERROR;
    skip_space(r);
    if (!take(r, ':')) return bad(r);
    r->state[r->depth] = OBJECT_VALUE;
    return JSON_NAME;
}

static JsonToken after_comma(JsonReader *r, char close, JsonToken end) {
    if (peek(r) == (unsigned char)close) return close_container(r, end);
    if (!take(r, ',')) return bad(r);
    skip_space(r);
    return close == '}' ? name(r) : value(r, ARRAY_NEXT);
}

JsonToken json_next(JsonReader *r) {
    if (r->fault) return JSON_ERROR;
    skip_space(r);
    switch ((enum State)r->state[r->depth]) {
    case TOP: return value(r, TOP_DONE);
    case TOP_DONE: return r->at == r->in.len ? JSON_END : bad(r);
    case ARRAY_FIRST: return peek(r) == ']' ? close_container(r, JSON_ARRAY_END) : value(r, ARRAY_NEXT);
    case ARRAY_NEXT: return after_comma(r, ']', JSON_ARRAY_END);
    case OBJECT_FIRST: return peek(r) == '}' ? close_container(r, JSON_OBJECT_END) : name(r);
    case OBJECT_VALUE: return value(r, OBJECT_NEXT);
    case OBJECT_NEXT: return after_comma(r, '}', JSON_OBJECT_END);
    }
    return bad(r);
}

bool json_skip(JsonReader *r, JsonToken first) {
    if (first == JSON_ERROR) return false;
    if (first != JSON_OBJECT && first != JSON_ARRAY) return true;
    for (unsigned outside = r->depth - 1; r->depth > outside;)
        if (json_next(r) == JSON_ERROR) return false;
    return true;
}

/* Zeros only, and at least one: what a fraction or an exponent of an integer may consist of. */
static bool zeros(Span s) {
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] != '0') return false;
    return s.len > 0;
}

bool json_number_int(const JsonReader *r, int64_t *ret) {
    Span s = r->text, fraction, exponent;
    bool negative = s.len && *s.at == '-';
    if (negative) s.at++, s.len--;
    size_t e = 0;
    while (e < s.len && s.at[e] != 'e' && s.at[e] != 'E') e++;
    exponent = (Span){s.at + e, s.len - e};
    s.len = e;
    if (exponent.len) {
        exponent.at++, exponent.len--;
        if (exponent.len && (*exponent.at == '+' || *exponent.at == '-')) exponent.at++, exponent.len--;
        if (!zeros(exponent)) return false;
    }
    s = span_split(s, '.', &fraction);
    if (fraction.at && !zeros(fraction)) return false;
    uint64_t magnitude;
    if (!span_to_u64(s, (uint64_t)INT64_MAX + (negative ? 1 : 0), &magnitude)) return false;
    *ret = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}
