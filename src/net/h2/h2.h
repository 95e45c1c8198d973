/* HTTP/2 on a connection, for the files h2.c (the connection and its deadlines), h2_session.c (what comes
 * in), h2_answer.c (whole answers) and h2_stream.c (answers in pieces). */
#pragma once
#include "net/exchange.h"
#include "net/h2/h2_frames.h"
#include "net/h2/h2_guard.h"
#include <nghttp2/nghttp2.h>

typedef struct H2 {
    Connection *c;
    nghttp2_session *session;
    HttpExchange *streams;  /* open ones, and those whose handler has not answered */
    size_t handling;        /* requests begun and not answered, open stream or not */
    size_t buffered;        /* bytes of request bodies in memory, or held by handlers of streams */
    size_t withheld;        /* of them not yet given back to the peer's window */
    int64_t last_stream_us; /* when the last stream ended */
    int64_t goaway_us;      /* when the final GOAWAY of a drain is due, or 0 */
    int64_t date_us;        /* which date the peer's header table has been given last */
    H2Guard guard;
    H2Frames frames;
    uint32_t opened;           /* the highest stream that the peer has begun */
    uint32_t gap_from, gap_to; /* the streams that it has passed over last */
    uint32_t reset_below;      /* the highest one that the server has reset, or refused */
    uint8_t continuations;     /* of the present header block */
    bool greeted;              /* the peer's SETTINGS have come */
    bool over;                 /* no more reading: what is queued goes out and the connection ends */
} H2;

enum {
    H2_STREAM_WINDOW = HTTP_STREAM_WINDOW,
    H2_COPY_MAX = 2048,

    H2_CONTINUATIONS_MAX = 8
};

/* h2_answer.c */
void h2_answer(HttpExchange *x, const HttpAnswer *answer);
/* Submits the head; a body follows where provider is not NULL. 0, or nothing was submitted. */
int h2_submit_head(H2 *h, HttpExchange *x, const HttpAnswer *answer, const nghttp2_data_provider *provider);
/* The flags of the last DATA frame, behind which trailers may come: submits them. */
uint32_t h2_last_flags(H2 *h, HttpExchange *x);
void h2_refuse(H2 *h, HttpExchange *x, int status, const char *why);
ssize_t h2_read_body(nghttp2_session *session, int32_t id, uint8_t *to, size_t size, uint32_t *flags,
                     nghttp2_data_source *source, void *user);
int h2_send_shared(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t length,
                   nghttp2_data_source *source, void *user);
void h2_produce(Connection *c);

/* h2_session.c: the callbacks, made once */
nghttp2_session *h2_session_new(H2 *h);

/* h2_stream.c */
void h2_stream_data(H2 *h, HttpExchange *x,
                    Span bytes); /* a piece of a request whose handler takes it in pieces */
/* A frame of so many bytes of its body has gone to the connection; the last one. */
void h2_stream_sent(H2 *h, HttpExchange *x, size_t len, bool end);
void h2_stream_gone(H2 *h, HttpExchange *x);  /* the stream has closed before its answer was whole */
int64_t h2_stream_due(const HttpExchange *x); /* the nearer one of its deadlines, or 0 */

/* h2.c */
HttpExchange *h2_stream_begin(H2 *h, int32_t id);
void h2_stream_end(H2 *h, HttpExchange *x);
void h2_body_released(H2 *h,
                      HttpExchange *x); /* frees its body; opens the connection's window if that was shut */
void h2_stream_deadline(H2 *h, HttpExchange *x, int64_t ms);
/* The peer has taken `len` bytes of an answer: *limit_us moves by the time that they may take, and never
 * further than the stall time from now. */
void h2_stall_moves(H2 *h, int64_t *limit_us, size_t len);
/* The peer is at fault, or hostile: counted, GOAWAY, then the end. */
void h2_accuse(H2 *h, Defence cause, uint32_t code);
static inline void h2_calm_down(H2 *h, Defence cause) {
    h2_accuse(h, cause, NGHTTP2_ENHANCE_YOUR_CALM);
}
void h2_terminate(H2 *h, uint32_t code); /* GOAWAY, then the end */

/* h2_inspect.c: what has come, checked, goes to nghttp2 */
void h2_take(H2 *h, Span in);
