/* h2_answer.c - answers become frames.
 *
 * Small bodies are copied into nghttp2's frame buffer, which is cheaper than one more entry in the vector of
 * the system call. Of a larger body only the nine bytes of each frame's head are written; the rest is a
 * reference to the Blob that the handler gave (or that its body was copied to, once). */
#include "net/h2/h2.h"

#include "base/image.h"
#include "net/answer.h"

enum { FIELDS_STACK = 32, TRAILERS_MAX = 32 };

/* Until its frame has gone it stays where it is: in the program, or in the exchange, which outlives the
 * stream. */
static bool is_lasting(const HttpExchange *x, const char *at) {
    return is_of_image(at) || (at >= x->block && at < x->block + EXCHANGE_BLOCK);
}

static nghttp2_nv field(const HttpExchange *x, Span name, Span value) {
    uint8_t flags = NGHTTP2_NV_FLAG_NONE;
    if (is_lasting(x, name.at)) flags |= NGHTTP2_NV_FLAG_NO_COPY_NAME;
    if (is_lasting(x, value.at)) flags |= NGHTTP2_NV_FLAG_NO_COPY_VALUE;
    return (nghttp2_nv){(uint8_t *)name.at, (uint8_t *)value.at, name.len, value.len, flags};
}

static nghttp2_nv field_of(const HttpExchange *x, const HttpField *f, bool table) {
    nghttp2_nv nv = field(x, span_of(f->name), f->value);
    if (f->unique && !table) nv.flags |= NGHTTP2_NV_FLAG_NO_INDEX;
    return nv;
}

static bool may_be_sent(const HttpField *f) {
    if (*f->name == 'c' && !strcmp(f->name, "connection")) return false; /* RFC 9113 section 8.2.2 */
    return answer_field_is_clean(f);
}

/* A value that never comes again would push useful ones out of the peer's header table. One such is put there
 * with every new date, so that until the next one there is a name to refer to. */
static bool is_new_date(H2 *h) {
    int64_t before = h->date_us;
    h->date_us = h->c->server->date_us;
    return h->date_us != before;
}

static size_t fields_fill(H2 *h, HttpExchange *x, const HttpAnswer *answer, bool length, nghttp2_nv *to) {
    char *digits = http_alloc(x, 2 * NUMBER_TEXT), *more = digits + NUMBER_TEXT;
    if (!digits) return 0;
    size_t count = 0;
    to[count++] = field(x, SPAN(":status"), (Span){digits, answer_number(digits, (uint64_t)answer->status)});
    to[count++] = field(x, SPAN("date"), server_date(x->server));
    if (length)
        to[count++] =
            field(x, SPAN("content-length"), (Span){more, answer_number(more, answer_body(answer).len)});
    bool table = is_new_date(h);
    for (size_t i = 0; i < answer->field_count; i++)
        if (may_be_sent(&answer->fields[i])) to[count++] = field_of(x, &answer->fields[i], table);
    return count;
}

/* The bytes have to live until the last frame: in the blob, or in the exchange. */
static bool keep_body(HttpExchange *x, const HttpAnswer *answer) {
    Span body = answer_body(answer);
    x->stream.left = body.len;
    if (answer->blob)
        x->stream.blob = blob_ref(answer->blob);
    else if (body.len > H2_COPY_MAX)
        x->stream.blob = blob_copy(body);
    x->stream.out = x->stream.blob ? x->stream.blob->bytes : exchange_keep(x, body);
    return x->stream.out;
}

int h2_submit_head(H2 *h, HttpExchange *x, const HttpAnswer *answer, const nghttp2_data_provider *provider) {
    nghttp2_nv few[FIELDS_STACK], *fields = few;
    if (answer->field_count + 3 > FIELDS_STACK)
        fields = http_alloc(x, (answer->field_count + 3) * sizeof *fields);
    if (!fields) return -1;
    bool length = !answer->no_length && x->part != EXCHANGE_STREAMING && answer_has_body(answer->status);
    size_t count = fields_fill(h, x, answer, length, fields);
    if (!count) return -1;
    return nghttp2_submit_response(h->session, x->stream.id, fields, count, provider);
}

static int submit(H2 *h, HttpExchange *x, const HttpAnswer *answer) {
    bool with_body = answer_has_body(answer->status) && !x->head_only &&
                     (answer_body(answer).len || answer->trailer_count);
    if (with_body &&
        (!keep_body(x, answer) || !exchange_trailers(x, answer->trailers, answer->trailer_count)))
        return -1;
    nghttp2_data_provider provider = {.source.ptr = x, .read_callback = h2_read_body};
    return h2_submit_head(h, x, answer, with_body ? &provider : NULL);
}

uint32_t h2_last_flags(H2 *h, HttpExchange *x) {
    if (!x->trailer_count) return NGHTTP2_DATA_FLAG_EOF;
    nghttp2_nv fields[TRAILERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < x->trailer_count && count < TRAILERS_MAX; i++)
        if (may_be_sent(&x->trailers[i])) fields[count++] = field_of(x, &x->trailers[i], true);
    nghttp2_submit_trailer(h->session, x->stream.id, fields, count);
    return NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
}

static void answer_stream(H2 *h, HttpExchange *x, const HttpAnswer *answer) {
    h->handling--;
    x->part = EXCHANGE_ANSWERED;
    if (x->stream.closed) {
        h2_stream_end(h, x);
        return;
    }
    if (submit(h, x, answer))
        nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, x->stream.id, NGHTTP2_INTERNAL_ERROR);
    h2_body_released(h, x);
    h2_stream_deadline(h, x, h->c->server->options.stall_ms);
    connection_wake(h->c);
}

void h2_answer(HttpExchange *x, const HttpAnswer *answer) {
    answer_stream(x->connection->state, x, answer);
}

void h2_refuse(H2 *h, HttpExchange *x, int status, const char *why) {
    if (exchange_refused(x, status, why)) return;
    Refusal r;
    refusal_make(&r, status, why);
    answer_stream(h, x, &r.answer);
    refusal_clear(&r);
}

/* --- called by nghttp2_session_mem_send() --- */

static void advance(HttpExchange *x, size_t len) {
    x->stream.out += len;
    x->stream.left -= len;
    h2_stall_moves(x->connection->state, &x->stream.limit_us, len);
}

ssize_t h2_read_body(nghttp2_session *session, int32_t id, uint8_t *to, size_t size, uint32_t *flags,
                     nghttp2_data_source *source, void *user) {
    (void)session, (void)id;
    HttpExchange *x = source->ptr;
    size_t len = x->stream.left < size ? x->stream.left : size;
    if (len == x->stream.left) *flags |= h2_last_flags(user, x);
    if (x->stream.blob && len > H2_COPY_MAX) {
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY; /* h2_send_shared() follows */
        return (ssize_t)len;
    }
    memcpy(to, x->stream.out, len);
    advance(x, len);
    return (ssize_t)len;
}

int h2_send_shared(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t length,
                   nghttp2_data_source *source, void *user) {
    (void)session, (void)frame;
    H2 *h = user;
    HttpExchange *x = source->ptr;
    if (!output_copy(&h->c->out, head, H2_FRAME_HEAD)) return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (x->flow.headed)
        return output_move(&x->flow.out, &h->c->out, length) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
    if (!output_share(&h->c->out, x->stream.blob, (Span){x->stream.out, length}))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    advance(x, length);
    return 0;
}

void h2_produce(Connection *c) {
    H2 *h = c->state;
    while (!connection_congested(c)) {
        const uint8_t *bytes = NULL;
        ssize_t len = nghttp2_session_mem_send(h->session, &bytes);
        if (len == 0) break;
        if (len < 0 || !output_copy(&c->out, bytes, (size_t)len)) {
            connection_kill(c);
            return;
        }
    }
    if (!nghttp2_session_want_write(h->session) && (h->over || !nghttp2_session_want_read(h->session)))
        connection_finish(c);
}
