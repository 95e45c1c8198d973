/* bench-idle - opens many WebSockets with one subscription each and holds them: a client of bench/idle.mjs,
 * which starts several of these and looks at the gateway's memory meanwhile.
 *
 *     bench-idle HOST:PORT TOKEN COUNT SOURCE [tls]
 *
 * SOURCE is the local address, because one address has too few ports for all. Says "open COUNT" when the last
 * one has its subscription, ends with its standard input. */
#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "events/v1/stream.pb-c.h"
#include "wire/message.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/socket.h>

enum { ANSWER_MAX = 16 << 10, FRAMES_AWAITED = 2 /* Welcome, Subscribed */ };

typedef struct Channel {
    int fd;
    SSL *ssl; /* NULL: plain */
} Channel;

typedef struct Plan {
    struct sockaddr_in to, from;
    const char *address, *token;
    SSL_CTX *tls;
    Buf request, subscribe;
} Plan;

static bool send_all(const Channel *c, Span bytes) {
    while (bytes.len) {
        ssize_t n = c->ssl ? SSL_write(c->ssl, bytes.at, (int)bytes.len)
                           : send(c->fd, bytes.at, bytes.len, MSG_NOSIGNAL);
        if (n <= 0) return false;
        bytes = (Span){bytes.at + n, bytes.len - (size_t)n};
    }
    return true;
}

static bool read_some(const Channel *c, Buf *into) {
    char *to = buf_reserve(into, ANSWER_MAX);
    ssize_t n = !to ? -1 : c->ssl ? SSL_read(c->ssl, to, ANSWER_MAX) : recv(c->fd, to, ANSWER_MAX, 0);
    if (n <= 0) return false;
    into->len += (size_t)n;
    return true;
}

static bool open_channel(const Plan *plan, Channel *c) {
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) ||
        bind(c->fd, (const struct sockaddr *)&plan->from, sizeof plan->from) ||
        connect(c->fd, (const struct sockaddr *)&plan->to, sizeof plan->to) ||
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on))
        return false;
    if (!plan->tls) return true;
    c->ssl = SSL_new(plan->tls);
    return c->ssl && SSL_set_fd(c->ssl, c->fd) && SSL_connect(c->ssl) == 1;
}

/* Whole frames of the server behind the head of its answer; all are short. */
static size_t count_frames(Span answer) {
    const char *head = memmem(answer.at, answer.len, "\r\n\r\n", 4);
    size_t count = 0;
    if (!head) return 0;
    for (const char *at = head + 4; at + 2 <= answer.at + answer.len; count++) {
        at += 2 + (unsigned char)at[1];
        if (at > answer.at + answer.len) break;
    }
    return count;
}

static bool subscribe(const Plan *plan, const Channel *c) {
    AUTO_BUF answer = {0};
    if (!send_all(c, buf_view(&plan->request)) || !read_some(c, &answer)) return false;
    if (!span_starts(buf_view(&answer), SPAN("HTTP/1.1 101 "))) {
        fprintf(stderr, "bench-idle: %.*s\n", SPAN_ARGS(buf_view(&answer)));
        return false;
    }
    if (!send_all(c, buf_view(&plan->subscribe))) return false;
    while (count_frames(buf_view(&answer)) < FRAMES_AWAITED)
        if (!read_some(c, &answer)) return false;
    return true;
}

static void fill_messages(Plan *plan) {
    buf_printf(&plan->request,
               "GET /ws/events HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
               "Sec-WebSocket-Protocol: events.v1.protobuf\r\nAuthorization: Bearer %s\r\n\r\n",
               plan->address, plan->token);
    Events__V1__Subscribe subscription = EVENTS__V1__SUBSCRIBE__INIT;
    Events__V1__ClientFrame frame = EVENTS__V1__CLIENT_FRAME__INIT;
    subscription.id = 1;
    frame.frame_case = EVENTS__V1__CLIENT_FRAME__FRAME_SUBSCRIBE;
    frame.subscribe = &subscription;
    AUTO_BUF payload = {0};
    message_pack(&frame.base, &payload);
    const char head[] = {(char)0x82, (char)(0x80 | payload.len), 0, 0, 0, 0}; /* masked with zeros */
    buf_append(&plan->subscribe, head, sizeof head);
    buf_span(&plan->subscribe, buf_view(&payload));
}

static bool parse(int argc, char **argv, Plan *plan, uint64_t *count) {
    Span port, host;
    char name[INET_ADDRSTRLEN];
    uint64_t number;
    if (argc < 5 || argc > 6) return false;
    *plan =
        (Plan){.to.sin_family = AF_INET, .from.sin_family = AF_INET, .address = argv[1], .token = argv[2]};
    host = span_split(span_of(argv[1]), ':', &port);
    if (!span_copy(host, name, sizeof name) || !span_to_u64(port, 65535, &number) ||
        !span_to_u64(span_of(argv[3]), 100000, count) || inet_pton(AF_INET, name, &plan->to.sin_addr) != 1 ||
        inet_pton(AF_INET, argv[4], &plan->from.sin_addr) != 1)
        return false;
    plan->to.sin_port = htons((uint16_t)number);
    if (argc == 6) plan->tls = must(SSL_CTX_new(TLS_client_method())); /* nobody's certificate is checked */
    return true;
}

int main(int argc, char **argv) {
    Plan plan;
    uint64_t count;
    if (!parse(argc, argv, &plan, &count)) {
        fprintf(stderr, "usage: bench-idle HOST:PORT TOKEN COUNT SOURCE [tls]\n");
        return 64;
    }
    fill_messages(&plan);
    for (uint64_t i = 0; i < count; i++) {
        Channel channel = {.fd = -1}; /* lives as long as the process */
        if (open_channel(&plan, &channel) && subscribe(&plan, &channel)) continue;
        fprintf(stderr, "bench-idle: WebSocket %llu of %llu: %s\n", (unsigned long long)i + 1,
                (unsigned long long)count, strerror(errno));
        return 1;
    }
    printf("open %llu\n", (unsigned long long)count);
    fflush(stdout);
    while (getchar() != EOF) continue;
    buf_free(&plan.request);
    buf_free(&plan.subscribe);
    return 0;
}
