/* bench-fanout's parts: what each kind of server speaks (fanout_wire.c), its own kind in fanout_events.c, the
 * connections (fanout_sockets.c) and the load (fanout.c). One thread. */
#pragma once
#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include <netinet/in.h>
#include <openssl/ssl.h>

typedef struct Subscriber Subscriber;
typedef struct Wire Wire;

typedef struct Plan {
    const Wire *wire;
    struct sockaddr_in at, publish_at;
    const char *host; /* "127.0.0.1:8080", for the Host field */
    uint64_t subscribers, others, slow, slow_rate, receive_buffer, payload, seconds, warm_ms;
    const char *token, *masked_token, *secret, *modes, *pids;
    uint64_t masked_every; /* 0: nobody; 1: all; 2: every second one has the masked token */
    bool filter;           /* their subscriptions name types and subjects, which match */
    SSL_CTX *tls;
    uint64_t after; /* what every subscription has already, if `resumes` */
    bool resumes;
    int64_t base; /* numbers begin behind it: the server's position (events only) */
} Plan;

struct Subscriber {
    int fd;
    SSL *ssl;  /* NULL: plain */
    Buf rest;  /* of a frame that has not come whole */
    Buf inner; /* of a message within frames, for wires whose messages cross them */
    uint64_t index;
    int64_t last;   /* number that it saw last */
    bool ready;     /* the server has confirmed the subscription */
    bool caught_up; /* resuming: has everything that was there before */
    bool other;     /* has subscribed to something else: nothing may come */
    bool slow;
    uint64_t lagged; /* ResyncRequired "lagging" */
    int64_t budget;  /* slow: bytes it may read now */
    struct Load *load;
};

/* What a kind of server speaks. Publishing of several at once appends them back to back. */
struct Wire {
    const char *name, *path, *protocol, *publish_path;
    void (*hello)(const Plan *plan, const Subscriber *s,
                  Buf *out);                           /* after the upgrade: payload of one frame */
    void (*publish_hello)(const Plan *plan, Buf *out); /* NULL: nothing */
    void (*publish)(const Plan *plan, int64_t first, size_t count, Buf *out);
    /* Looks at a frame's payload, calls load_seen() for each message; returns the bytes used, or SIZE_MAX where it
     * is none of the protocol. */
    size_t (*take)(Subscriber *s, Span payload);
    bool answers;   /* the subscription is confirmed by a message */
    size_t at_once; /* handshakes on their way together; 0: one after the other */
};

extern const Wire WIRE_EVENTS, WIRE_NATS, WIRE_MQTT, WIRE_NCHAN, WIRE_WS;

/* fanout.c: a message with this number has come. False ends the run (err says why). */
bool load_seen(Subscriber *s, int64_t number);

/* fanout_sockets.c */
/* Its connection, and the request to upgrade it. */
bool subscriber_ask(const Plan *plan, Subscriber *s, Err *err);
/* The answer to that; from here on it does not block. */
bool subscriber_open(const Plan *plan, Subscriber *s, Err *err);
bool subscriber_hello(const Plan *plan, Subscriber *s, Err *err); /* its subscription is on its way */
void subscriber_close(Subscriber *s);
/* Reads once; most: bytes. False: the connection has ended or broke the protocol (err). *more: there may be more. */
bool subscriber_read(const Plan *plan, Subscriber *s, size_t most, size_t *got, Err *err);
bool publisher_open(const Plan *plan, int *fd, Err *err);
void ws_client_frame(Buf *out, int opcode, Span payload); /* masked with zeros */
