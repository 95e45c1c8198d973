/* h2_inspect.c - what is looked at before nghttp2 sees a frame.
 *
 * Each kind of frame has its budget here, because the library does its work for a frame before it tells us,
 * and of frames that it ignores it tells us nothing: of unknown types, of streams that are over. It also
 * forgives what a frame must not do to a stream that has ended (RFC 9113 section 5.1): it keeps no ended
 * streams, so it cannot know. Here the numbers of streams suffice. A stream that is not there any more, that
 * the peer has opened and the server did not reset, was ended by the peer itself, so no honest frame of it
 * can still be on its way. Below the last stream that the server did reset anything may be. */
#include "net/h2/h2.h"

enum { PRIORITY_UPDATE = 0x10 };

typedef struct Verdict {
    bool guilty;
    uint32_t code;
    Defence cause;
} Verdict;

static const Verdict INNOCENT = {0};

static Verdict guilty(uint32_t code, Defence cause) {
    return (Verdict){true, code, cause};
}

static Verdict spend(H2 *h, H2Cost cost) {
    if (h2_guard_spend(&h->guard, cost, connection_now(h->c))) return INNOCENT;
    return guilty(NGHTTP2_ENHANCE_YOUR_CALM, h2_guard_defence(cost));
}

/* --- streams that are over --- */

static bool is_over(const H2 *h, uint32_t stream) {
    if (stream > h->opened || stream <= h->reset_below || h->c->server->draining) return false;
    return stream && !nghttp2_session_find_stream(h->session, (int32_t)stream);
}

static bool was_opened(const H2 *h, uint32_t stream) {
    return stream % 2 && (stream < h->gap_from || stream > h->gap_to);
}

static Verdict on_headers(H2 *h, const H2FrameHead *head) {
    h->continuations = 0;
    if (head->stream > h->opened) {
        if (head->stream > h->opened + 2) h->gap_from = h->opened + 1, h->gap_to = head->stream - 1;
        h->opened = head->stream;
        return INNOCENT;
    }
    if (!is_over(h, head->stream)) return INNOCENT;
    /* never used, but passed over: section 5.1.1 */
    uint32_t code = was_opened(h, head->stream) ? NGHTTP2_STREAM_CLOSED : NGHTTP2_PROTOCOL_ERROR;
    return guilty(code, DEFENCE_STREAM_STATES);
}

static Verdict on_data(H2 *h, const H2FrameHead *head) {
    if (is_over(h, head->stream)) return guilty(NGHTTP2_STREAM_CLOSED, DEFENCE_STREAM_STATES);
    bool empty = !head->length && !(head->flags & NGHTTP2_FLAG_END_STREAM);
    return empty ? spend(h, H2_COST_EMPTY) : INNOCENT;
}

/* --- by type --- */

/* Nobody uses priorities here, so the library does not look at them either. */
static Verdict on_priority(H2 *h, const H2FrameHead *head) {
    if (!head->stream || (head->length == 5 && head->parent == head->stream))
        return guilty(NGHTTP2_PROTOCOL_ERROR, DEFENCE_PRIORITIES);
    return spend(h, H2_COST_PRIORITY);
}

static Verdict on_continuation(H2 *h) {
    if (++h->continuations <= H2_CONTINUATIONS_MAX) return INNOCENT;
    return guilty(NGHTTP2_ENHANCE_YOUR_CALM, DEFENCE_CONTINUATIONS);
}

static Verdict judge(H2 *h, const H2FrameHead *head) {
    switch (head->type) {
    case NGHTTP2_DATA: return on_data(h, head);
    case NGHTTP2_HEADERS: return on_headers(h, head);
    case NGHTTP2_PRIORITY: return on_priority(h, head);
    case NGHTTP2_RST_STREAM: return spend(h, H2_COST_RESET);
    case NGHTTP2_SETTINGS: return spend(h, H2_COST_SETTINGS);
    case NGHTTP2_PING: return spend(h, H2_COST_PING);
    case NGHTTP2_WINDOW_UPDATE: return spend(h, H2_COST_WINDOW);
    case NGHTTP2_CONTINUATION: return on_continuation(h);
    case PRIORITY_UPDATE: return spend(h, H2_COST_PRIORITY);
    default: return spend(h, H2_COST_OTHER);
    }
}

/* --- the run of bytes --- */

static void feed(H2 *h, const char *from, const char *to) {
    ssize_t taken =
        from == to ? 0 : nghttp2_session_mem_recv(h->session, (const uint8_t *)from, (size_t)(to - from));
    if (taken == NGHTTP2_ERR_BAD_CLIENT_MAGIC)
        connection_kill(h->c);
    else if (taken < 0)
        h2_terminate(h, NGHTTP2_INTERNAL_ERROR);
}

static bool going_on(const H2 *h) {
    return !h->over && connection_alive(h->c);
}

/* What came before a frame of a known stream is worked off first: it may end that stream. */
static bool needs_the_past(const H2 *h, const H2FrameHead *head) {
    return (head->type == NGHTTP2_DATA || head->type == NGHTTP2_HEADERS) && head->stream <= h->opened;
}

void h2_take(H2 *h, Span in) {
    H2FrameHead head;
    const char *from = in.at, *end = in.at + in.len;
    while (going_on(h) && h2_frames_next(&h->frames, &in, &head)) {
        if (needs_the_past(h, &head)) {
            feed(h, from, head.at);
            from = head.at;
            if (!going_on(h)) return;
        }
        Verdict verdict = judge(h, &head);
        if (!verdict.guilty) continue;
        feed(h, from, head.at);
        if (going_on(h)) h2_accuse(h, verdict.cause, verdict.code);
        return;
    }
    if (going_on(h)) feed(h, from, end);
}
