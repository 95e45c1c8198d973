/* A whole connection of the server, over a socket pair: HTTP/1.1, HTTP/2 and WebSockets, answered at once and
 * in pieces. The first byte of the input says how the rest is cut, and whether an HTTP/2 preface comes before
 * it. Whatever is sent, the connection ends after its peer has, and leaves nothing behind. */
#include "fuzz.h"

#include "base/log.h"
#include "net/connection.h"
#include "net/exchange.h"
#include "net/http_stream.h"
#include "net/websocket/websocket.h"
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TURNS_MAX = 1000 /* after the peer's end */, WITH_PREFACE = 0x80 };
static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

typedef struct Run {
    Timer timer;
    int fd;
    Span rest;
    size_t step, turns;
    bool shut;
    char first[9]; /* of what the server says */
    size_t got;
} Run;

static Loop *loop;
static HttpServer *server;

/* --- the handlers --- */

static void piece(void *user, HttpExchange *x, Span bytes, bool end) {
    (void)user;
    http_stream_write(x, bytes);
    http_stream_consumed(x, bytes.len);
    if (end) http_stream_end(x, &(HttpField){"x-end", SPAN("1")}, 1);
}

static void closed(void *user, HttpExchange *x, HttpStreamEnd how) {
    (void)user, (void)x, (void)how;
}

static void on_head(void *user, HttpExchange *x) {
    (void)user;
    if (!span_is(http_path(x), "/s")) return;
    http_stream_open(x, &(HttpStreamEvents){.data = piece, .closed = closed});
    http_stream_head(x, &(HttpAnswer){.status = 200});
}

static void message(WebSocket *ws, void *user, bool text, Span bytes) {
    (void)user;
    websocket_send(ws, text ? 1 : 2, bytes);
}

static void ws_closed(WebSocket *ws, void *user) {
    (void)ws, (void)user;
}

static void on_request(void *user, HttpExchange *x) {
    (void)user;
    Err err = {0};
    if (!span_is(http_path(x), "/w")) {
        http_respond(x, &(HttpAnswer){.status = 200, .body = http_body(x)});
    } else if (!websocket_wanted(x, &err)) {
        http_respond(x, &(HttpAnswer){.status = websocket_refusal(x).status});
    } else {
        WebSocketEvents events = {
            .message = message, .closed = ws_closed, .message_limit = 4096, .queue_limit = 16384};
        websocket_accept(x, NULL, &events);
    }
}

/* --- the peer --- */

static void take_answer(Run *run) {
    char bytes[4096];
    for (ssize_t len; (len = recv(run->fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0; run->got += (size_t)len)
        for (ssize_t i = 0; i < len && run->got + (size_t)i < sizeof run->first; i++)
            run->first[run->got + (size_t)i] = bytes[i];
}

static void give_bytes(Run *run) {
    size_t len = run->step < run->rest.len ? run->step : run->rest.len;
    ssize_t put = len ? send(run->fd, run->rest.at, len, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
    if (put < 0 && errno != EAGAIN) run->rest.len = 0; /* the server has ended it */
    if (put > 0) run->rest = (Span){run->rest.at + put, run->rest.len - (size_t)put};
    if (run->rest.len || run->shut) return;
    shutdown(run->fd, SHUT_WR);
    run->shut = true;
}

static void turn(Timer *timer) {
    Run *run = CONTAINER(timer, Run, timer);
    PROMISE(!run->shut || ++run->turns < TURNS_MAX, "a connection ends after its peer has");
    take_answer(run);
    give_bytes(run);
    if (run->shut && !http_server_connections(server))
        loop_stop(loop);
    else
        loop_timer_soon(loop, &run->timer);
}

/* A loop that has been stopped runs no more: each input has its own. */
static void open_server(void) {
    Err err = {0};
    log_least = LOG_ERROR;
    HttpServerOptions options = {.on_request = on_request, .on_head = on_head, .body_limit = 20000};
    if (!loop_open(&loop, &err) ||
        !http_server_open(loop, "127.0.0.1:0", HTTP_ALONE, &options, &server, &err))
        abort();
}

static void talk(Span bytes, size_t step) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair)) abort();
    struct sockaddr_in peer = {.sin_family = AF_INET};
    open_server();
    connection_open(server, pair[0], (struct sockaddr *)&peer);
    Run run = {.timer.expired = turn, .fd = pair[1], .rest = bytes, .step = step};
    loop_timer_soon(loop, &run.timer);
    loop_run(loop);
    take_answer(&run);
    PROMISE(!server->live && !server->bodies, "no request outlives its connection");
    bool http1 = run.got >= 9 && !memcmp(run.first, "HTTP/1.1 ", 9),
         settings = run.got >= 9 && run.first[3] == 4;
    PROMISE(!run.got || http1 || settings, "an answer of HTTP/1.1, or SETTINGS, comes first");
    close(pair[1]);
    server = http_server_free(server);
    loop = loop_free(loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    AUTO_BUF bytes = {0};
    if (data[0] & WITH_PREFACE) buf_append(&bytes, PREFACE, sizeof PREFACE - 1);
    buf_append(&bytes, (const char *)data + 1, size - 1);
    size_t step = data[0] & ~WITH_PREFACE;
    talk(buf_view(&bytes), step ? step : bytes.len + 1);
    return 0;
}
