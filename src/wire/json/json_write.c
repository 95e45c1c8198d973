#include "wire/json/json.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "wire/base64.h"

static void value_starts(JsonWriter *w) {
    if (w->comma) buf_byte(w->out, ',');
    w->comma = true;
}

static void opens(JsonWriter *w, char bracket) {
    value_starts(w);
    buf_byte(w->out, bracket);
    w->comma = false;
}

static void closes(JsonWriter *w, char bracket) {
    buf_byte(w->out, bracket);
    w->comma = true;
}

void json_object(JsonWriter *w) {
    opens(w, '{');
}
void json_object_end(JsonWriter *w) {
    closes(w, '}');
}
void json_array(JsonWriter *w) {
    opens(w, '[');
}
void json_array_end(JsonWriter *w) {
    closes(w, ']');
}

static void escaped(Buf *out, unsigned char c) {
    static const char SHORT[0x20] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    if (c == '"' || c == '\\') {
        buf_append(out, (char[]){'\\', (char)c}, 2);
    } else if (SHORT[c]) {
        buf_append(out, (char[]){'\\', SHORT[c]}, 2);
    } else {
        buf_printf(out, "\\u%04x", c);
    }
}

/* RFC 8259 section 7: quotation mark, reverse solidus and U+0000 to U+001F must be escaped, nothing else. */
static void quoted_rest(Buf *out, Span s) {
    size_t from = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        buf_append(out, s.at + from, i - from);
        escaped(out, c);
        from = i + 1;
    }
    if (s.len) buf_append(out, s.at + from, s.len - from);
    buf_byte(out, '"');
}

/* Most texts need no escapes at all: then it is one look at them and one copy. */
static void quoted(JsonWriter *w, Span s) {
    char *to = buf_reserve(w->out, s.len + 3);
    if (!to) return;
    size_t clean = bytes_json_run(s);
    char *at = to;
    if (w->comma) *at++ = ',';
    w->comma = true;
    *at++ = '"';
    if (clean) memcpy(at, s.at, clean);
    at += clean;
    if (clean == s.len) *at++ = '"';
    w->out->len += (size_t)(at - to);
    if (clean < s.len) quoted_rest(w->out, (Span){s.at + clean, s.len - clean});
}

void json_name(JsonWriter *w, const char *name) {
    quoted(w, span_of(name));
    buf_byte(w->out, ':');
    w->comma = false;
}

void json_string(JsonWriter *w, Span value) {
    quoted(w, value);
}

void json_text(JsonWriter *w, const char *value) {
    json_string(w, span_of(value));
}

void json_string_of(JsonWriter *w, Span first, Span rest) {
    json_string(w, first);
    if (w->out->failed) return;
    w->out->len--; /* its closing quote */
    quoted_rest(w->out, rest);
}

enum { DIGITS_MAX = 20 };

/* Writes backwards, ending at `end`; returns where the number begins. */
static char *digits(char *end, int64_t value) {
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do *--end = (char)('0' + left % 10);
    while (left /= 10);
    if (value < 0) *--end = '-';
    return end;
}

void json_int(JsonWriter *w, int64_t value) {
    char text[DIGITS_MAX], *end = text + sizeof text, *from = digits(end, value);
    json_raw(w, (Span){from, (size_t)(end - from)});
}

void json_decimal_string(JsonWriter *w, int64_t value) {
    char text[DIGITS_MAX + 2], *end = text + sizeof text;
    *--end = '"';
    char *from = digits(end, value);
    *--from = '"';
    json_raw(w, (Span){from, (size_t)(end + 1 - from)});
}

void json_bool(JsonWriter *w, bool value) {
    json_raw(w, value ? SPAN("true") : SPAN("false"));
}
void json_null(JsonWriter *w) {
    json_raw(w, SPAN("null"));
}

void json_time(JsonWriter *w, int64_t us) {
    char text[CLOCK_TEXT];
    json_string(w, (Span){text, clock_format(us, text)});
}

void json_base64(JsonWriter *w, Span bytes) {
    value_starts(w);
    buf_byte(w->out, '"');
    base64_write(w->out, bytes);
    buf_byte(w->out, '"');
}

void json_raw(JsonWriter *w, Span json) {
    json_key(w, json);
    w->comma = true;
}
