/* exchange.c - what a handler sees of a request, and the memory behind it. */
#include "net/exchange.h"

enum { SPARE_MAX = 512, HEADERS_FIRST = 16 };

/* --- life --- */

static void list_in(HttpServer *s, HttpExchange *x) {
    x->previous = NULL;
    x->next = s->live;
    if (x->next) x->next->previous = x;
    s->live = x;
}

static void list_out(HttpExchange *x) {
    if (x->previous)
        x->previous->next = x->next;
    else
        x->server->live = x->next;
    if (x->next) x->next->previous = x->previous;
}

HttpExchange *exchange_new(Connection *c) {
    HttpServer *s = c->server;
    HttpExchange *x = s->spare;
    if (x) {
        s->spare = x->next;
        s->spare_count--;
    } else if (!(x = malloc(sizeof *x))) {
        return NULL;
    }
    memset(x, 0, offsetof(HttpExchange, block)); /* not the block itself: most of it is never touched */
    x->server = s;
    x->loop = s->loop;
    x->connection = c;
    x->protocol_holds = true;
    x->tls = c->tls;
    memcpy(x->peer, c->peer, sizeof x->peer);
    list_in(s, x);
    return x;
}

static void memory_free(HttpExchange *x) {
    for (Block *b = x->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    x->blocks = NULL;
    exchange_body_free(x);
    x->stream.blob = blob_unref(x->stream.blob);
    if (x->flow.out.ring) output_clear(&x->flow.out);
}

static void exchange_end(HttpExchange *x) {
    if (x->handler_holds || x->protocol_holds || x->memory_held) return;
    HttpServer *s = x->server;
    memory_free(x);
    if (s) list_out(x);
    if (!s || s->spare_count >= SPARE_MAX) {
        free(x);
        return;
    }
    x->next = s->spare;
    s->spare = x;
    s->spare_count++;
}

void exchange_release(HttpExchange *x) {
    x->connection = NULL;
    if (x->part == EXCHANGE_STREAMING)
        flow_closed(x, HTTP_STREAM_CANCELLED);
    else
        exchange_cancel(x);
    x->protocol_holds = false;
    exchange_end(x);
}

void exchange_cancel(HttpExchange *x) {
    void (*cancelled)(void *user, HttpExchange *x) = x->cancelled;
    x->cancelled = NULL;
    if (cancelled && x->part == EXCHANGE_HANDLING) cancelled(x->cancel_user, x);
}

void exchange_forget_server(HttpExchange *x) {
    if (x->part == EXCHANGE_STREAMING) {
        x->protocol_holds = true;
        exchange_release(x);
        return;
    }
    list_out(x);
    x->server->bodies -= x->body_bytes.len;
    x->server = NULL;
    x->connection = NULL;
    exchange_end(x);
}

/* --- the body --- */

void exchange_head_done(HttpExchange *x) {
    const HttpServerOptions *o = &x->server->options;
    if (o->on_head) o->on_head(o->user, x);
}

size_t exchange_body_limit(HttpExchange *x) {
    const HttpServerOptions *o = &x->server->options;
    size_t limit = o->body_limit_for ? o->body_limit_for(o->user, x) : o->body_limit;
    return x->body_limit = limit < o->body_limit ? limit : o->body_limit;
}

/* One peer is bounded by the limit of its route, all together by the server's: many slow senders must not
 * fill the machine before anyone has looked at who they are. */
int exchange_body(HttpExchange *x, Span bytes, const char **why) {
    *why = "The body is larger than allowed.";
    if (bytes.len > x->body_limit - x->body_bytes.len) return 413;
    *why = "The server holds as many requests as it can.";
    if (bytes.len > x->server->options.bodies_limit - x->server->bodies) return 503;
    buf_append(&x->body_bytes, bytes.at, bytes.len);
    if (x->body_bytes.failed) return 503;
    x->server->bodies += bytes.len;
    return 0;
}

bool exchange_refused(HttpExchange *x, int status, const char *why) {
    const HttpServerOptions *o = &x->server->options;
    return o->on_refuse && x->part == EXCHANGE_READING && o->on_refuse(o->user, x, status, why);
}

void exchange_body_free(HttpExchange *x) {
    if (x->server) x->server->bodies -= x->body_bytes.len;
    buf_free(&x->body_bytes);
}

void exchange_dispatch(HttpExchange *x) {
    x->part = EXCHANGE_HANDLING;
    x->handler_holds = true;
    x->body = buf_view(&x->body_bytes);
    x->server->options.on_request(x->server->options.user, x);
}

void http_respond(HttpExchange *x, const HttpAnswer *answer) {
    if (x->part == EXCHANGE_STREAMING) abort(); /* a mistake of ours */
    x->part = EXCHANGE_ANSWERED;
    x->handler_holds = true; /* in on_head it did not yet */
    if (x->connection && connection_alive(x->connection)) exchange_ways(x)->answer(x, answer);
    x->handler_holds = false;
    exchange_end(x);
}

void http_on_cancel(HttpExchange *x, void (*cancelled)(void *user, HttpExchange *x), void *user) {
    x->cancelled = cancelled;
    x->cancel_user = user;
}

bool exchange_trailers(HttpExchange *x, const HttpField *trailers, size_t count) {
    HttpField *kept = count ? http_alloc(x, count * sizeof *kept) : NULL;
    if (!kept) return !count;
    for (size_t i = 0; i < count; i++) {
        kept[i] = trailers[i];
        kept[i].name = exchange_keep(x, span_of(trailers[i].name));
        kept[i].value.at = exchange_keep(x, trailers[i].value);
        if (!kept[i].name || !kept[i].value.at) return false;
    }
    x->trailers = kept;
    x->trailer_count = count;
    return true;
}

/* --- memory --- */

void http_hold(HttpExchange *x) {
    x->memory_held = true;
}

void http_let_go(HttpExchange *x) {
    x->memory_held = false;
    exchange_end(x);
}

void *http_alloc(HttpExchange *x, size_t size) {
    if (size > EXCHANGE_ALLOC_MAX) return NULL;
    size_t need = (size + 15) & ~(size_t)15;
    if (need <= EXCHANGE_BLOCK - x->used) {
        x->used += need;
        return x->block + x->used - need;
    }
    if (x->allocated + need > EXCHANGE_ALLOC_MAX) return NULL;
    Block *b = malloc(sizeof *b + 16 + need);
    if (!b) return NULL;
    x->allocated += need;
    b->next = x->blocks;
    x->blocks = b;
    return (void *)(((uintptr_t)b->bytes + 15) & ~(uintptr_t)15);
}

char *exchange_keep(HttpExchange *x, Span bytes) {
    char *to = http_alloc(x, bytes.len + 1);
    if (!to) return NULL;
    if (bytes.len) memcpy(to, bytes.at, bytes.len);
    to[bytes.len] = 0;
    return to;
}

/* Which names a request has, as bits: most of those that are asked for are not there. */
static uint64_t name_bit(Span name) {
    if (!name.len) return 0;
    unsigned first = (unsigned char)name.at[0], last = (unsigned char)name.at[name.len - 1];
    return UINT64_C(1) << ((name.len * 7 + first * 3 + last) & 63);
}

void exchange_headers(HttpExchange *x, Header *fields, size_t count) {
    x->headers = fields;
    x->header_count = x->header_size = (uint32_t)count;
    for (size_t i = 0; i < count; i++) x->names |= name_bit(fields[i].name);
}

bool exchange_header(HttpExchange *x, Span name, Span value) {
    if (x->header_count == x->header_size) {
        uint32_t size = x->header_size ? x->header_size * 2 : HEADERS_FIRST;
        Header *grown = http_alloc(x, size * sizeof *grown);
        if (!grown) return false;
        if (x->header_count) memcpy(grown, x->headers, x->header_count * sizeof *grown);
        x->headers = grown;
        x->header_size = size;
    }
    x->headers[x->header_count++] = (Header){name, value};
    x->names |= name_bit(name);
    return true;
}

void exchange_target(HttpExchange *x, Span target) {
    x->path = span_split(target, '?', &x->query);
}

/* --- what the handler asks --- */

Span http_method(const HttpExchange *x) {
    return x->method;
}
Span http_path(const HttpExchange *x) {
    return x->path;
}
Span http_query(const HttpExchange *x) {
    return x->query;
}
Span http_body(const HttpExchange *x) {
    return x->body;
}
Span http_authority(const HttpExchange *x) {
    return x->authority;
}
bool http_is_tls(const HttpExchange *x) {
    return x->tls;
}
bool http_is_h2(const HttpExchange *x) {
    return x->h2;
}
Span http_peer(const HttpExchange *x) {
    return span_of(x->peer);
}
Loop *http_loop(const HttpExchange *x) {
    return x->loop;
}
void http_set_user(HttpExchange *x, void *user) {
    x->user = user;
}
void *http_user(const HttpExchange *x) {
    return x->user;
}

Span http_field(const HttpExchange *x, Span name) {
    if (!(x->names & name_bit(name))) return SPAN_NONE;
    for (uint32_t i = 0; i < x->header_count; i++)
        if (span_equal(x->headers[i].name, name)) return x->headers[i].value;
    return SPAN_NONE;
}

Span http_field_list(HttpExchange *x, Span name) {
    Span first = http_field(x, name);
    if (!first.at) return first;
    size_t total = 0, len = 0;
    for (uint32_t i = 0; i < x->header_count; i++)
        if (span_equal(x->headers[i].name, name)) total += x->headers[i].value.len + 1;
    char *list = total > first.len + 1 ? http_alloc(x, total) : NULL;
    if (!list) return first;
    for (uint32_t i = 0; i < x->header_count; i++) {
        Span value = x->headers[i].value;
        if (!span_equal(x->headers[i].name, name)) continue;
        if (value.len) memcpy(list + len, value.at, value.len);
        len += value.len;
        list[len++] = ',';
    }
    return (Span){list, len - 1};
}

static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A "%" that no two hex digits follow stands for itself, as browsers have it (WHATWG URL, percent-decode). */
static Span percent_decode(HttpExchange *x, Span raw) {
    char *to = http_alloc(x, raw.len + 1);
    if (!to) return SPAN_NONE;
    size_t len = 0;
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.at[i];
        if (c == '%' && i + 2 < raw.len && hex(raw.at[i + 1]) >= 0 && hex(raw.at[i + 2]) >= 0) {
            c = (char)(hex(raw.at[i + 1]) << 4 | hex(raw.at[i + 2]));
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        to[len++] = c;
    }
    return (Span){to, len};
}

static bool needs_decoding(Span s) {
    return s.len && (memchr(s.at, '%', s.len) || memchr(s.at, '+', s.len));
}

bool http_query_value(HttpExchange *x, const char *name, Span *ret) {
    for (Span rest = x->query; rest.at;) {
        Span value, key = span_split(span_split(rest, '&', &rest), '=', &value);
        if (needs_decoding(key)) key = percent_decode(x, key);
        if (!span_is(key, name)) continue;
        *ret = needs_decoding(value) ? percent_decode(x, value) : value.at ? value : SPAN("");
        return ret->at;
    }
    return false;
}
