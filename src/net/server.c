/* server.c - the listening socket, and what its connections share.
 *
 * A process out of descriptors cannot even refuse a connection: accept() fails, the connection stays in the
 * backlog, and epoll reports it for ever. One descriptor is therefore kept in reserve, given up for the
 * moment that it takes to accept and close. Options that every connection needs are set on the listener:
 * Linux passes them on. */
#include "net/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/exchange.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <time.h>

enum { ACCEPTS_PER_TURN = 64, BACKLOG = 4096, DATE_AGE_US = 250000, DEFENDED_LOG_US = 1000000 };

Span server_date(HttpServer *s) {
    int64_t now = loop_now_us(s->loop);
    if (!s->date[0] || now - s->date_us > DATE_AGE_US) {
        time_t seconds = (time_t)(clock_now_us() / 1000000);
        struct tm utc;
        gmtime_r(&seconds, &utc);
        strftime(s->date, sizeof s->date, "%a, %d %b %Y %H:%M:%S GMT",
                 &utc); /* the C locale is never changed */
        s->date_us = now;
    }
    return (Span){s->date, DATE_TEXT - 1};
}

void server_defended(HttpServer *s, Defence defence, const char *peer) {
    int64_t now = loop_now_us(s->loop);
    defence_add(defence);
    s->defended++;
    if (s->defended_us && now - s->defended_us < DEFENDED_LOG_US) return;
    log_warn("client stopped", LOG_TEXT("cause", defence_name(defence)), LOG_TEXT("peer", peer),
             LOG_INT("count", s->defended));
    s->defended_us = now;
    s->defended = 0;
}

/* --- accepting --- */

static int reserve_open(void) {
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void refuse_one(HttpServer *s) {
    log_warn("connection refused", LOG_TEXT("reason", "out of descriptors"),
             LOG_INT("connections", s->connection_count));
    if (s->reserve >= 0) close(s->reserve);
    int fd = accept4(s->listener.fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) close(fd);
    s->reserve = reserve_open();
}

static void on_accept(Watch *watch, unsigned events) {
    (void)events;
    HttpServer *s = CONTAINER(watch, HttpServer, listener);
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof peer;
        int fd = accept4(watch->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == ECONNABORTED || errno == EINTR) continue;
            if (errno == EMFILE || errno == ENFILE) refuse_one(s);
            return;
        }
        if (atomic_load(s->together) >= s->options.connections_max)
            close(fd);
        else
            connection_open(s, fd, (struct sockaddr *)&peer);
    }
}

static void on_again(Timer *timer) {
    HttpServer *s = CONTAINER(timer, HttpServer, again_timer);
    Connection *waiting = s->again;
    s->again = NULL;
    while (waiting) {
        Connection *c = waiting;
        waiting = c->next_again;
        connection_read_again(c);
    }
}

/* --- opening --- */

static bool parse_address(const char *address, struct sockaddr_storage *ret, socklen_t *len, Err *err) {
    const char *colon = strrchr(address, ':');
    uint64_t port;
    char host[INET6_ADDRSTRLEN + 2];
    if (!colon || !span_to_u64(span_of(colon + 1), 65535, &port) ||
        !span_copy((Span){address, (size_t)(colon - address)}, host, sizeof host))
        return err_set(err, &ERR_CONFIG, "\"%s\" is no address of the form host:port", address);
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
    *ret = (struct sockaddr_storage){0};
    size_t host_len = strlen(host);
    if (host[0] == '[' && host[host_len - 1] == ']') {
        host[host_len - 1] = 0;
        *v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
        *len = sizeof *v6;
        if (inet_pton(AF_INET6, host + 1, &v6->sin6_addr) == 1) return true;
    }
    *v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    *len = sizeof *v4;
    const char *numeric = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    if (inet_pton(AF_INET, numeric, &v4->sin_addr) == 1) return true;
    return err_set(err, &ERR_CONFIG, "\"%s\": the host has to be a numeric address", address);
}

static bool set_option(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

/* The stall clock meets who takes too little of what waits here. Where nothing waits, or only in the kernel, a peer may
 * have gone without a word: the kernel asks whether it is there, and gives up a little later than that clock would. */
static bool notice_the_dead(int fd, int64_t stall_ms) {
    int ask_s = stall_ms < 3000 ? 1 : (int)(stall_ms / 3000), give_up_ms = (int)(stall_ms + stall_ms / 2);
    return set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1) && set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, ask_s) &&
           set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, ask_s) &&
           set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, give_up_ms);
}

/* The kernel lets sockets share a port only where both say so at the moment of the later bind(). The first
 * one says it after its own, so it meets another process's listener as anybody would. */
static bool bind_shared(int fd, const struct sockaddr *at, socklen_t len, HttpShare share) {
    if (share == HTTP_SHARED_NEXT && !set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1)) return false;
    if (bind(fd, at, len)) return false;
    return share != HTTP_SHARED_FIRST || set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
}

static bool listen_on(HttpServer *s, const char *address, HttpShare share, Err *err) {
    struct sockaddr_storage at;
    socklen_t len;
    if (!parse_address(address, &at, &len, err)) return false;
    int fd = s->listener.fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || !set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) ||
        !set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) || !notice_the_dead(fd, s->options.stall_ms) ||
        !bind_shared(fd, (struct sockaddr *)&at, len, share) || listen(fd, BACKLOG) ||
        getsockname(fd, (struct sockaddr *)&at, &len))
        return err_set_errno(err, &ERR_UNAVAILABLE, errno, address);
    s->port = ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port
                                             : ((struct sockaddr_in *)&at)->sin_port);
    return loop_watch(s->loop, &s->listener, EPOLLIN, err);
}

#define DEFAULT(field, value)                                                                                \
    if (!options->field) options->field = (value)

static void defaults(HttpServerOptions *options) {
    DEFAULT(body_limit, 1 << 20);
    DEFAULT(bodies_limit, 64 << 20);
    DEFAULT(header_limit, 16 << 10);
    DEFAULT(connections_max, 10000);
    DEFAULT(requests_max, 100);
    DEFAULT(header_ms, 10000);
    DEFAULT(body_ms, 30000);
    DEFAULT(idle_ms, 75000);
    DEFAULT(stall_ms, 180000);
    DEFAULT(rate_min, 1024);
}

bool http_server_open(Loop *loop, const char *address, HttpShare share, const HttpServerOptions *options,
                      HttpServer **ret, Err *err) {
    AUTO(HttpServer) s = must(calloc(1, sizeof *s));
    s->loop = loop;
    s->options = *options;
    defaults(&s->options);
    s->together = s->options.together ? s->options.together : &s->alone;
    s->listener = (Watch){.ready = on_accept, .fd = -1};
    s->again_timer.expired = on_again;
    s->reserve = reserve_open();
    s->in = must(malloc(SCRATCH_IN));
    s->out = must(malloc(SCRATCH_OUT));
    if (!listen_on(s, address, share, err)) return false;
    *ret = s;
    s = NULL;
    return true;
}

unsigned http_server_port(const HttpServer *s) {
    return s->port;
}
size_t http_server_connections(const HttpServer *s) {
    return s->connection_count;
}

/* --- the end --- */

static void stop_listening(HttpServer *s) {
    loop_unwatch(s->loop, &s->listener);
    if (s->listener.fd >= 0) close(s->listener.fd);
    s->listener.fd = -1;
}

void http_server_drain(HttpServer *s) {
    if (s->draining) return;
    s->draining = true;
    stop_listening(s);
    for (Connection *c = s->connections, *next; c; c = next) {
        next = c->next;
        if (c->phase == CONNECTION_OPEN)
            c->protocol->drain(c);
        else if (c->phase < CONNECTION_OPEN)
            connection_kill(c);
    }
}

HttpServer *http_server_free(HttpServer *s) {
    if (!s) return NULL;
    s->draining = true;
    stop_listening(s);
    loop_timer_stop(s->loop, &s->again_timer);
    while (s->connections) connection_free(s->connections);
    while (s->live) exchange_forget_server(s->live);
    while (s->spare) {
        HttpExchange *x = s->spare;
        s->spare = x->next;
        free(x);
    }
    ws_pool_clear(&s->ws_pool);
    h2_memory_clear(&s->h2_memory);
    if (s->reserve >= 0) close(s->reserve);
    free(s->in);
    free(s->out);
    free(s);
    return NULL;
}
