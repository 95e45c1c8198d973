/* A broker that lets us in and sends us away again is not asked many times a second. It is of a few bytes, and deaf to
 * what it is told. Not under the thread sanitizer: proton is not instrumented. */
#ifndef __SANITIZE_THREAD__
#include "amqp/amqp_receiver.h"
#include "base/clock.h"
#include "kit/test.h"
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define SASL_HEADER "AMQP\3\1\0\0"
#define HEADER      "AMQP\0\1\0\0"
#define MECHANISMS  "\0\0\0\x15\2\1\0\0\0\x53\x40\xc0\x08\1\xa3\5PLAIN"
#define OUTCOME     "\0\0\0\x10\2\1\0\0\0\x53\x44\xc0\3\1\x50\0"
#define OPEN        "\0\0\0\x11\2\0\0\0\0\x53\x10\xc0\4\1\xa1\1b"
#define BEGIN       "\0\0\0\x16\2\0\0\0\0\x53\x11\xc0\x09\4\x60\0\0\x43\x52\x64\x52\x64"
#define DETACH      "\0\0\0\x10\2\0\0\0\0\x53\x16\xc0\3\2\x43\x41"
/* Its source: none, or one with an address. */
#define ATTACH_NONE "\0\0\0\x15\2\0\0\0\0\x53\x12\xc0\x08\5\xa1\1q\x43\x42\x40\x40"
#define ATTACH_ONE  "\0\0\0\x1f\2\0\0\0\0\x53\x12\xc0\x12\6\xa1\1q\x43\x42\x40\x40\0\x53\x28\xc0\5\1\xa1\2/q"
#define BYTES(text) text, sizeof text - 1

enum { LOOK_MS = 3000, CONNECTIONS_MOST = 14, PATIENCE_MS = 20000 };

typedef struct Broker {
    int listener;
    Span attach;
    atomic_bool stop;
    atomic_int connections;
} Broker;

static bool read_whole(int fd, void *to, size_t len) {
    return recv(fd, to, len, MSG_WAITALL) == (ssize_t)len;
}

/* The code of its performative; 0: there is none. */
static unsigned read_frame(int fd) {
    unsigned char head[4], rest[1024];
    if (!read_whole(fd, head, sizeof head)) return 0;
    size_t len = ((size_t)head[2] << 8 | head[3]) - sizeof head;
    if (len < 7 || len > sizeof rest || !read_whole(fd, rest, len)) return 0;
    return rest[6];
}

static bool tell(int fd, const char *bytes, size_t len) {
    return send(fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static void serve(Broker *b, int fd) {
    char header[8];
    unsigned code;
    if (!read_whole(fd, header, sizeof header) || !tell(fd, BYTES(SASL_HEADER)) ||
        !tell(fd, BYTES(MECHANISMS)) || !read_frame(fd) || !tell(fd, BYTES(OUTCOME)) ||
        !read_whole(fd, header, sizeof header) || !read_frame(fd) || !tell(fd, BYTES(HEADER)) ||
        !tell(fd, BYTES(OPEN)))
        return;
    while ((code = read_frame(fd)) && code != 0x12) {
    }
    if (code && tell(fd, BYTES(BEGIN)) && tell(fd, b->attach.at, b->attach.len) && tell(fd, BYTES(DETACH)))
        while (read_frame(fd)) {
        }
}

static void *run(void *user) {
    Broker *b = user;
    while (!atomic_load(&b->stop)) {
        struct pollfd comes = {.fd = b->listener, .events = POLLIN};
        if (poll(&comes, 1, 20) < 1) continue;
        int fd = accept(b->listener, NULL, NULL);
        if (fd < 0) continue;
        atomic_fetch_add(&b->connections, 1);
        serve(b, fd);
        close(fd);
    }
    return NULL;
}

static void listen_on_any_port(Broker *b, AmqpUrl *url) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    char text[80];
    Err err = {0};
    b->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(b->listener >= 0 && !bind(b->listener, (struct sockaddr *)&at, len) && !listen(b->listener, 8) &&
            !getsockname(b->listener, (struct sockaddr *)&at, &len));
    snprintf(text, sizeof text, "amqp://u:p@127.0.0.1:%d/x", ntohs(at.sin_port));
    CHECK_OK(amqp_url_parse(text, url, &err), &err);
}

static void on_attached(void *user) {
    atomic_fetch_add((atomic_int *)user, 1);
}

static bool on_message(void *user, AmqpMessage *message) {
    (void)user, (void)message;
    return true;
}

static const struct {
    const char *name;
    Span attach;
    bool attaches;
} CASES[] = {
    {"as Service Bus says no: it answers, names nothing, and ends it", {BYTES(ATTACH_NONE)}, false},
    {"one of several is not there, and those before it were", {BYTES(ATTACH_ONE)}, true},
};

typedef struct Customer {
    Broker broker;
    pthread_t thread;
    AmqpReceiver *receiver;
    atomic_int attached;
} Customer;

static void begin(Customer *c, Span attach) {
    AmqpUrl url;
    Err err = {0};
    c->broker.attach = attach;
    listen_on_any_port(&c->broker, &url);
    REQUIRE(!pthread_create(&c->thread, NULL, run, &c->broker));
    const AmqpReceiverOptions options = {.name = "q",
                                         .address = "/q",
                                         .window = 2,
                                         .attached = on_attached,
                                         .message = on_message,
                                         .user = &c->attached};
    CHECK_OK(amqp_receiver_open(&url, &options, &c->receiver, &err), &err);
}

static void end(Customer *c) {
    amqp_receiver_free(c->receiver);
    atomic_store(&c->broker.stop, true);
    pthread_join(c->thread, NULL);
    close(c->broker.listener);
}

static void who_is_sent_away_comes_back_less_and_less_often(void) {
    static Customer customers[COUNT(CASES)];
    for (size_t i = 0; i < COUNT(CASES); i++) begin(&customers[i], CASES[i].attach);
    int64_t patience = clock_mono_us() + PATIENCE_MS * INT64_C(1000);
    clock_sleep_ms(LOOK_MS);
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Customer *c = &customers[i];
        while (atomic_load(&c->broker.connections) < 2 && clock_mono_us() < patience) clock_sleep_ms(10);
        int connections = atomic_load(&c->broker.connections);
        if (connections > CONNECTIONS_MOST) printf("\n    %s: %d connections", CASES[i].name, connections);
        CHECK(connections >= 2 && connections <= CONNECTIONS_MOST);
        CHECK(CASES[i].attaches == (atomic_load(&c->attached) > 0));
        end(c);
    }
}

SUITE("amqp refused", TEST(who_is_sent_away_comes_back_less_and_less_often));
#endif
