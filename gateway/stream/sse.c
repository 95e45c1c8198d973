/* sse.c - GET /api/events/stream: the same session as a WebSocket has, with one subscription that stands in
 * the query, as text. For networks that let no WebSocket through, and for programs that have no client for
 * one.
 *
 * A reader that is too slow loses nothing: above SSE_HIGH the subscription leaves the live stream and goes on
 * from ring and log once there is room again (SessionWire.high), so what waits for it stays bounded. One that
 * takes nothing at all is cut by the server's stall time, and comes back with its Last-Event-ID. */
#include "base/clock.h"
#include "gateway/rest/answer.h"
#include "gateway/rest/handlers.h"
#include "gateway/stream/resume.h"
#include "gateway/stream/session.h"
#include "gateway/stream/sse_text.h"
#include "net/http_stream.h"
#include <stdlib.h>

enum { SSE_HIGH = 256 << 10, HTTP2_CANCEL = 8 };

typedef struct Sse {
    HttpExchange *x;
    Session *session; /* NULL: a HEAD, which has none */
    Timer heartbeat;
    bool subscribed, ended;
} Sse;

/* --- the session's wire --- */

static size_t queued(void *to) {
    const Sse *sse = to;
    return http_stream_waiting(sse->x);
}

static void end_stream(Sse *sse) {
    sse->ended = true;
    loop_timer_stop(http_loop(sse->x), &sse->heartbeat);
    http_stream_end(sse->x, NULL, 0);
}

/* A subscription that has ended (ResyncRequired said why) leaves nothing that could follow. */
static bool send_text(void *to, Blob *text) {
    Sse *sse = to;
    if (http_stream_waiting(sse->x) > SESSION_QUEUE) return false;
    http_stream_write_blob(sse->x, text);
    if (sse->subscribed && !sse->session->subscription_count) session_close(sse->session, SESSION_OVER, "");
    return true;
}

static void close_stream(void *to, int code, const char *reason) {
    Sse *sse = to;
    AUTO(Blob) last = code >= SESSION_EXPIRED || code == SESSION_BROKEN ? sse_closed(code, reason) : NULL;
    if (last) http_stream_write_blob(sse->x, last);
    if (code != SESSION_SLOW) {
        end_stream(sse);
        return;
    }
    sse->ended = true;
    loop_timer_stop(http_loop(sse->x), &sse->heartbeat);
    http_stream_reset(sse->x, HTTP2_CANCEL);
}

static const SessionWire SSE_WIRE = {
    .form = sse_text, .send = send_text, .queued = queued, .close = close_stream, .high = SSE_HIGH};

/* --- the stream's events --- */

static void writable(void *user, HttpExchange *x) {
    (void)x;
    Sse *sse = user;
    if (sse->session) resume_kick(sse->session);
}

static void closed(void *user, HttpExchange *x, HttpStreamEnd how) {
    (void)how;
    Sse *sse = user;
    loop_timer_stop(http_loop(x), &sse->heartbeat);
    if (sse->session) session_gone(sse->session);
    free(sse);
}

/* A comment, so that nobody on the way takes a quiet stream for a dead one. */
static void beat(Timer *timer) {
    Sse *sse = CONTAINER(timer, Sse, heartbeat);
    http_stream_write(sse->x, SPAN(":\n\n"));
    loop_timer_set(http_loop(sse->x), timer, SESSION_HEARTBEAT_S * 1000);
}

/* --- the request --- */

/* The parts of a list with commas, in memory of the exchange; false where that is used up. */
static bool read_list(Request *r, const char *name, char ***ret, size_t *count) {
    Span list;
    *count = 0;
    if (!http_query_value(r->x, name, &list)) return true;
    size_t most = 1;
    for (size_t i = 0; i < list.len; i++) most += list.at[i] == ',';
    char **parts = http_alloc(r->x, most * sizeof *parts);
    char *text = http_alloc(r->x, list.len + 1);
    if (!parts || !text) return false;
    while (list.at) {
        Span one = span_trim(span_split(list, ',', &list));
        if (!one.len) continue;
        parts[(*count)++] = text;
        if (!span_copy(one, text, one.len + 1))
            text[0] = 0; /* a NUL: no name is empty, so it is refused or fits nothing */
        text += one.len + 1;
    }
    *ret = parts;
    return true;
}

/* Last-Event-ID before `after`: a client that reconnects asks with the same query as at first. NULL, or which
 * of them is wrong. */
static const char *read_position(Request *r, Events__V1__Subscribe *in) {
    Span text = http_header(r->x, "last-event-id"), epoch;
    const char *name = "Last-Event-ID";
    if (!text.len && !http_query_value(r->x, name = "after", &text)) return NULL;
    if (!sse_id_read(text, &epoch, &in->after)) return name;
    char *copy = http_alloc(r->x, epoch.len + 1);
    if (!copy || !span_copy(epoch, copy, epoch.len + 1)) return name;
    in->epoch = copy;
    in->resume_case = EVENTS__V1__SUBSCRIBE__RESUME_AFTER;
    return NULL;
}

static void refuse(Request *r, const char *code) {
    if (!strcmp(code, "forbidden"))
        answer_problem(r, &ERR_FORBIDDEN, "the token does not allow these types");
    else
        answer_bad_field(r, strcmp(code, "invalid_subject") ? "types" : "subjects", code);
}

/* False where it is neither. */
static bool read_presence(Request *r, Events__V1__Subscribe *in) {
    Span text;
    if (!http_query_value(r->x, "presence", &text)) return true;
    in->presence = span_is(text, "true");
    return in->presence || span_is(text, "false");
}

/* Has answered where false. */
static bool read_request(Request *r, Events__V1__Subscribe *in) {
    const char *code = NULL, *wrong;
    if (!r->worker->sessions->generation || !atomic_load(&r->gateway->ready)) {
        answer_problem(r, &ERR_UNAVAILABLE, "the stream has not begun yet, or has ended");
    } else if (!read_list(r, "types", &in->event_types, &in->n_event_types) ||
               !read_list(r, "subjects", &in->subjects, &in->n_subjects)) {
        answer_problem(r, &ERR_UNAVAILABLE, "");
    } else if ((wrong = read_position(r, in))) {
        answer_bad_field(r, wrong, "out_of_range");
    } else if (!read_presence(r, in)) {
        answer_bad_field(r, "presence", "wrong_type");
    } else {
        AUTO(Filter) filter = filter_new(in, &r->claims, &code);
        if (!filter) refuse(r, code);
        return filter;
    }
    return false;
}

static void answer_head(Request *r) {
    Answer a = {.media_type = "text/event-stream; charset=utf-8"};
    answer_field(&a, "x-accel-buffering", SPAN("no")); /* nginx would keep it back */
    answer_field(&a, "x-events-epoch", span_of(r->worker->sessions->epoch));
    answer_stream(r, &a);
}

void rest_event_stream(Request *r) {
    Events__V1__Subscribe in = EVENTS__V1__SUBSCRIBE__INIT;
    if (!read_request(r, &in)) return;
    Sse *sse = must(calloc(1, sizeof *sse));
    HttpStreamEvents events = {
        .writable = writable, .closed = closed, .user = sse, .kernel_bytes = HTTP_STREAM_KERNEL};
    sse->x = r->x;
    sse->heartbeat.expired = beat;
    http_stream_open(r->x, &events);
    answer_head(r);
    if (span_is(http_method(r->x), "HEAD")) {
        end_stream(sse);
        return;
    }
    sse->session = session_new(r->worker, &r->claims);
    session_open(sse->session, &SSE_WIRE, sse);
    sse->subscribed = true;
    session_subscribe(sse->session, &in);
    if (!sse->ended) loop_timer_set(http_loop(sse->x), &sse->heartbeat, SESSION_HEARTBEAT_S * 1000);
}
