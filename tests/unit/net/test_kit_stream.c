/* Routes of the test server whose bodies come or go in pieces:
 *   /stream/echo      the body, as it comes; trailer x-bytes
 *   /stream/hold      takes the body and never consumes it; ends when the server drains
 *   /stream/eat       takes the body and answers at its end
 *   /stream/away      wants no body; answers at once, and ends when the server drains
 *   /stream/bytes?n=N N bytes, in blobs
 *   /stream/early     is over before the body has come
 *   /stream/refuse    http_respond(401) instead
 *   /stream/promise   content-length 5, writes 8; /stream/short: writes 3
 *   /stream/headless  ends without a head
 *   /stream/reset     resets itself with code 11
 *   /stream/request   opened in on_request, 20 ms later
 *   /stream/whole     http_respond() with trailers; ?bare: with no body, and no content-length either
 *   /stream/cancel    answers only when it is cancelled */
#include "net_kit.h"

#include "base/clock.h"
#include <stdio.h>

StreamCounts stream_counts;

typedef struct Call {
    HttpExchange *x;
    Timer timer;
    uint64_t left;    /* of /stream/bytes */
    size_t bytes;     /* of /stream/echo: that came */
    size_t owed;      /* of them not consumed, because too much waits */
    bool echo, takes; /* takes: answers at the end of the body */
    bool hold;
} Call;

bool stream_counts_reach(atomic_size_t *count, size_t want, int64_t within_ms) {
    for (int64_t end = clock_mono_us() + within_ms * 1000; clock_mono_us() < end; clock_sleep_ms(2))
        if (atomic_load(count) >= want) return true;
    return false;
}

static void note_waiting(HttpExchange *x) {
    size_t waiting = http_stream_waiting(x);
    if (waiting > atomic_load(&stream_counts.most_waiting))
        atomic_store(&stream_counts.most_waiting, waiting);
}

static void finish(HttpExchange *x, const Call *call) {
    char text[24];
    int len = snprintf(text, sizeof text, "%zu", call->bytes);
    http_stream_end(x, &(HttpField){"x-bytes", {text, (size_t)len}}, 1);
}

static void on_data(void *user, HttpExchange *x, Span bytes, bool end) {
    Call *call = user;
    atomic_fetch_add(&stream_counts.fed, bytes.len);
    call->bytes += bytes.len;
    if (call->hold) return;
    bool room = !call->echo || !bytes.len || http_stream_write(x, bytes);
    note_waiting(x);
    if (room)
        http_stream_consumed(x, bytes.len);
    else
        call->owed += bytes.len;
    if (end && call->takes) finish(x, call);
}

static void produce(HttpExchange *x, Call *call) {
    static const char PART[16 << 10];
    bool room = true;
    while (room && call->left) {
        size_t len = call->left < sizeof PART ? (size_t)call->left : sizeof PART;
        AUTO(Blob) blob = must(blob_copy((Span){PART, len}));
        call->left -= len;
        room = http_stream_write_blob(x, blob);
        note_waiting(x);
    }
    if (!call->left) http_stream_end(x, NULL, 0);
}

static void on_writable(void *user, HttpExchange *x) {
    Call *call = user;
    size_t owed = call->owed;
    call->owed = 0;
    if (call->echo)
        http_stream_consumed(x, owed);
    else
        produce(x, call);
}

static void on_closed(void *user, HttpExchange *x, HttpStreamEnd how) {
    Call *call = user;
    loop_timer_stop(http_loop(x), &call->timer);
    atomic_fetch_add(how == HTTP_STREAM_DONE ? &stream_counts.done : &stream_counts.cancelled, 1);
    free(call);
}

static void on_draining(void *user, HttpExchange *x) {
    Call *call = user;
    atomic_fetch_add(&stream_counts.drained, http_draining(x));
    if (call->hold) finish(x, call);
}

static Call *open(HttpExchange *x) {
    Call *call = must(calloc(1, sizeof *call));
    HttpStreamEvents events = {
        .data = on_data, .writable = on_writable, .closed = on_closed, .draining = on_draining, .user = call};
    call->x = x;
    if (span_is(http_path(x), "/stream/away")) events.data = NULL;
    atomic_fetch_add(&stream_counts.opened, 1);
    http_stream_open(x, &events);
    return call;
}

static void head(HttpExchange *x, const char *length) {
    HttpField fields[] = {{"x-path", http_path(x)}, {"content-length", span_of(length)}};
    http_stream_head(x, &(HttpAnswer){.status = 200, .fields = fields, .field_count = length ? 2 : 1});
}

static bool is(const HttpExchange *x, const char *name) {
    Span path = http_path(x), room = SPAN("/stream/");
    return span_starts(path, room) && span_is((Span){path.at + room.len, path.len - room.len}, name);
}

static void open_for_body(HttpExchange *x) {
    Call *call = open(x);
    call->echo = is(x, "echo");
    call->takes = call->echo || is(x, "eat");
    call->hold = !call->takes;
    head(x, NULL);
}

static void open_bytes(HttpExchange *x) {
    Span n = SPAN("0");
    Call *call = open(x);
    http_query_value(x, "n", &n);
    span_to_u64(n, UINT64_MAX, &call->left);
    head(x, NULL);
    produce(x, call);
}

static void open_with_length(HttpExchange *x) {
    open(x);
    head(x, "5");
    http_stream_write(x, is(x, "short") ? SPAN("abc") : SPAN("abcdefgh"));
    http_stream_end(x, NULL, 0);
}

static void open_and_end(HttpExchange *x) {
    open(x);
    if (is(x, "reset")) {
        http_stream_reset(x, 11);
        return;
    }
    if (is(x, "early")) head(x, NULL);
    http_stream_end(x, NULL, 0);
}

void stream_on_head(HttpExchange *x) {
    if (is(x, "echo") || is(x, "hold") || is(x, "eat") || is(x, "away"))
        open_for_body(x);
    else if (is(x, "bytes"))
        open_bytes(x);
    else if (is(x, "promise") || is(x, "short"))
        open_with_length(x);
    else if (is(x, "early") || is(x, "reset") || is(x, "headless"))
        open_and_end(x);
    else if (is(x, "refuse"))
        http_respond(x, &(HttpAnswer){.status = 401});
}

/* --- after the whole request --- */

static void on_later(Timer *timer) {
    Call *call = CONTAINER(timer, Call, timer);
    HttpExchange *x = call->x;
    free(call);
    open(x);
    head(x, NULL);
    http_stream_write(x, http_body(x));
    http_stream_end(x, NULL, 0);
}

static void open_later(HttpExchange *x) {
    Call *call = must(calloc(1, sizeof *call));
    *call = (Call){.x = x, .timer.expired = on_later};
    loop_timer_set(http_loop(x), &call->timer, 20);
}

static void whole(HttpExchange *x) {
    HttpField trailers[] = {{"grpc-status", SPAN("0")}, {"x-last", SPAN("yes")}};
    bool bare = span_is(http_query(x), "bare");
    HttpAnswer answer = {.status = 200, .body = bare ? SPAN("") : SPAN("body"), .no_length = true};
    answer.trailers = trailers;
    answer.trailer_count = bare ? 0 : 2;
    http_respond(x, &answer);
}

static void on_cancelled(void *user, HttpExchange *x) {
    (void)user;
    atomic_fetch_add(&stream_counts.cancelled, 1);
    http_respond(x, &(HttpAnswer){.status = 204});
}

bool stream_on_request(HttpExchange *x) {
    if (is(x, "request"))
        open_later(x);
    else if (is(x, "whole"))
        whole(x);
    else if (is(x, "cancel"))
        http_on_cancel(x, on_cancelled, NULL);
    else
        return false;
    return true;
}
