#include "wire/json.h"

#include "base/clock.h"
#include "wire/base64.h"
#include <inttypes.h>
#include <stdio.h>

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
static void quoted(Buf *out, Span s) {
    buf_byte(out, '"');
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

void json_name(JsonWriter *w, const char *name) {
    value_starts(w);
    quoted(w->out, span_of(name));
    buf_byte(w->out, ':');
    w->comma = false;
}

void json_string(JsonWriter *w, Span value) {
    value_starts(w);
    quoted(w->out, value);
}

void json_text(JsonWriter *w, const char *value) {
    json_string(w, span_of(value));
}

void json_int(JsonWriter *w, int64_t value) {
    char text[24];
    int len = snprintf(text, sizeof text, "%" PRId64, value);
    json_raw(w, (Span){text, (size_t)len});
}

void json_decimal_string(JsonWriter *w, int64_t value) {
    char text[24];
    int len = snprintf(text, sizeof text, "%" PRId64, value);
    json_string(w, (Span){text, (size_t)len});
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
    value_starts(w);
    buf_span(w->out, json);
}
