/* otlp_message.c - the few messages of OTLP that we send, written from the inside out.
 *
 * By hand, since they are a handful and nothing of ours is to be made of them: a length-delimited message is
 * written into a buffer of its own, then copied behind its length. Field numbers are those of
 * opentelemetry/proto/{collector/trace,trace,common,resource}/v1. */
#include "observe/otlp.h"
#include "wire/proto_scan.h"

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5, STATUS_ERROR = 2 };
#define SCOPE "events"

/* --- protobuf --- */

static void put_tag(Buf *out, unsigned field, unsigned wire) {
    proto_write_varint(out, field << 3 | wire);
}

static void put_number(Buf *out, unsigned field, uint64_t value) {
    put_tag(out, field, VARINT);
    proto_write_varint(out, value);
}

static void put_bytes(Buf *out, unsigned field, const void *bytes, size_t len) {
    put_tag(out, field, BYTES);
    proto_write_varint(out, len);
    buf_append(out, bytes, len);
}

static void put_text(Buf *out, unsigned field, Span text) {
    put_bytes(out, field, text.at, text.len);
}

static void put_message(Buf *out, unsigned field, const Buf *message) {
    put_bytes(out, field, message->at, message->len);
    out->failed |= message->failed;
}

static void put_fixed(Buf *out, unsigned field, unsigned wire, uint64_t value) {
    put_tag(out, field, wire);
    for (size_t i = 0; i < (wire == FIXED64 ? 8u : 4u); i++) buf_byte(out, (char)(value >> 8 * i));
}

/* --- KeyValue{key = 1, value = 2}, AnyValue{string = 1, int = 3} --- */

static void put_pair(Buf *out, unsigned field, Span key, const Buf *any_value) {
    AUTO_BUF pair = {0};
    put_text(&pair, 1, key);
    put_message(&pair, 2, any_value);
    put_message(out, field, &pair);
}

static void put_text_pair(Buf *out, unsigned field, Span key, Span text) {
    AUTO_BUF value = {0};
    put_text(&value, 1, text);
    put_pair(out, field, key, &value);
}

static void put_number_pair(Buf *out, unsigned field, Span key, int64_t number) {
    AUTO_BUF value = {0};
    put_number(&value, 3, (uint64_t)number);
    put_pair(out, field, key, &value);
}

/* --- Resource{attributes = 1} --- */

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* As W3C Baggage writes values. */
static bool percent_decode(Span text, Buf *out) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] != '%') {
            buf_byte(out, text.at[i]);
            continue;
        }
        int high = i + 2 < text.len ? hex_value(text.at[i + 1]) : -1;
        int low = high < 0 ? -1 : hex_value(text.at[i + 2]);
        if (low < 0) return false;
        buf_byte(out, (char)(high << 4 | low));
        i += 2;
    }
    return !out->failed;
}

static bool put_resource_attribute(Buf *out, Span one) {
    AUTO_BUF value = {0};
    Span text, key = span_trim(span_split(one, '=', &text));
    if (!key.len || !text.at || !percent_decode(span_trim(text), &value)) return false;
    if (!span_is(key, "service.name")) put_text_pair(out, 1, key, buf_view(&value)); /* that has been said */
    return true;
}

bool otlp_write_resource(const char *service_name, const char *attributes, Buf *out, Err *err) {
    put_text_pair(out, 1, SPAN("service.name"), span_of(service_name));
    for (Span rest = span_of(attributes), one; rest.len;) {
        one = span_split(rest, ',', &rest);
        if (!put_resource_attribute(out, one))
            return err_set(err, &ERR_CONFIG, "OTEL_RESOURCE_ATTRIBUTES is not key=value,key=value");
    }
    return true;
}

/* --- Span --- */

static void put_attribute(Buf *out, const TraceSpan *s, const TraceAttribute *a) {
    Span key = span_of(a->key);
    if (a->word)
        put_text_pair(out, 9, key, span_of(a->word));
    else if (a->id)
        put_text_pair(out, 9, key, span_of(s->ids + a->id));
    else
        put_number_pair(out, 9, key, a->number);
}

/* Link{trace_id = 1, span_id = 2, flags = 6} */
static void put_link(Buf *out, const TraceContext *c) {
    AUTO_BUF link = {0};
    put_bytes(&link, 1, c->trace_id, sizeof c->trace_id);
    put_bytes(&link, 2, c->span_id, sizeof c->span_id);
    put_fixed(&link, 6, FIXED32, c->flags);
    put_message(out, 13, &link);
}

static void put_name(Buf *out, const TraceSpan *s) {
    AUTO_BUF name = {0};
    buf_text(&name, s->verb);
    if (s->object) buf_byte(&name, ' '), buf_text(&name, s->object);
    put_text(out, 5, buf_view(&name));
}

static void put_error(Buf *out, const TraceSpan *s) {
    AUTO_BUF status = {0};
    put_text_pair(out, 9, SPAN("error.type"), span_of(s->error));
    put_number(&status, 3, STATUS_ERROR);
    put_message(out, 15, &status);
}

static bool has_parent(const TraceSpan *s) {
    static const uint8_t NONE[sizeof s->parent];
    return memcmp(s->parent, NONE, sizeof NONE) != 0;
}

static void put_span(Buf *out, const TraceSpan *s) {
    AUTO_BUF span = {0};
    put_bytes(&span, 1, s->context.trace_id, sizeof s->context.trace_id);
    put_bytes(&span, 2, s->context.span_id, sizeof s->context.span_id);
    if (has_parent(s)) put_bytes(&span, 4, s->parent, sizeof s->parent);
    put_name(&span, s);
    put_number(&span, 6, s->kind);
    put_fixed(&span, 7, FIXED64, (uint64_t)s->began_us * 1000);
    put_fixed(&span, 8, FIXED64, (uint64_t)(s->began_us + s->took_us) * 1000);
    for (size_t i = 0; i < s->attribute_count; i++) put_attribute(&span, s, &s->attributes[i]);
    if (s->dropped_attributes) put_number(&span, 10, s->dropped_attributes);
    for (size_t i = 0; i < s->link_count; i++) put_link(&span, &s->links[i]);
    if (s->dropped_links) put_number(&span, 14, s->dropped_links);
    if (s->error) put_error(&span, s);
    put_fixed(&span, 16, FIXED32, s->context.flags);
    put_message(out, 2, &span);
}

/* ExportTraceServiceRequest{resource_spans = 1}, ResourceSpans{resource = 1, scope_spans = 2},
 * ScopeSpans{scope = 1, spans = 2}, InstrumentationScope{name = 1} */
void otlp_write_request(Span resource, const TraceSpan *spans, size_t count, Buf *out) {
    AUTO_BUF scope = {0}, scope_spans = {0}, resource_spans = {0};
    put_text(&scope, 1, SPAN(SCOPE));
    put_message(&scope_spans, 1, &scope);
    for (size_t i = 0; i < count; i++) put_span(&scope_spans, &spans[i]);
    put_bytes(&resource_spans, 1, resource.at, resource.len);
    put_message(&resource_spans, 2, &scope_spans);
    put_message(out, 1, &resource_spans);
}

/* --- the answer --- */

/* The last field `number` of a message, as bytes or as a number. */
static bool find_field(Span message, unsigned number, Span *bytes, uint64_t *value) {
    uint64_t tag, n;
    bool found = false;
    for (size_t at = 0; at < message.len;) {
        if (!proto_varint(message, &at, &tag) || !proto_varint(message, &at, &n)) return false;
        unsigned wire = tag & 7;
        if ((wire != VARINT && wire != BYTES) || (wire == BYTES && n > message.len - at)) return false;
        bool wanted = tag >> 3 == number;
        if (wanted && wire == BYTES) *bytes = (Span){message.at + at, (size_t)n};
        if (wanted && wire == VARINT) *value = n;
        if (wire == BYTES) at += (size_t)n;
        found |= wanted;
    }
    return found;
}

uint64_t otlp_rejected_spans(Span response) {
    Span partial = SPAN_NONE, unused;
    uint64_t rejected = 0, none;
    if (!find_field(response, 1, &partial, &none) || !find_field(partial, 1, &unused, &rejected)) return 0;
    return rejected;
}

OtlpVerdict otlp_verdict(int status) {
    static const int AGAIN[] = {0, 429, 502, 503, 504};
    for (size_t i = 0; i < COUNT(AGAIN); i++)
        if (status == AGAIN[i]) return OTLP_AGAIN;
    return status >= 200 && status < 300 ? OTLP_DONE : OTLP_LOST;
}
