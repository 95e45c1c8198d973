/* HTTP/1.1 on a connection, for the files h1.c (what comes in) and h1_answer.c (what goes out). */
#pragma once
#include "net/exchange.h"

typedef enum H1Part {
    PART_HEAD,
    PART_BODY,
    PART_HANDLING, /* the request is whole */
    PART_AWAY,     /* the rest of a body whose answer is over already */
    PART_LAST,
} H1Part;

typedef struct H1 {
    Connection *c;
    HttpExchange *x; /* from its head on, until it is answered */
    H1Scan scan;
    H1Chunks chunks;
    uint64_t left;    /* of a body with a length */
    size_t read_away; /* of the body */
    uint8_t part;
    bool started;    /* bytes of a head have come */
    bool empty_line; /* has stood before it */
    bool chunked, keep_alive;
    bool expecting;                 /* the client waits for "100 Continue" before it sends the body */
    bool chunked_out, trailers_out; /* the answer that streams */
    bool running;                   /* input is being worked off further up the stack */
    bool upgraded; /* the connection belongs to another protocol now; to be freed by who is running */
    Buf in;        /* bytes not worked off: begins with the request that scan looks at */
} H1;

/* h1_answer.c */
void h1_refuse(
    H1 *h, int status,
    const char *why); /* a problem document if there is no answer yet; then the end of the connection */
void h1_next_request(H1 *h);
void h1_stream_turn(
    H1 *h); /* once a turn, of an answer that streams: tells its handler what there is to tell */

/* h1.c */
void h1_body_resumed(H1 *h); /* the handler has room again */

/* An upgrade takes the connection over from here: the exchange is released, and what the peer has sent behind
 * the request comes to the new protocol's input(), later. False where the connection cannot be taken over. */
bool h1_upgrade(HttpExchange *x, const Protocol *protocol, void *state);
