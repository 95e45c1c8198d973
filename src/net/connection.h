/* One accepted socket: TLS or not, which protocol, what waits to be sent, which deadline runs. It belongs to
 * its server's loop. The protocols (h1, h2, websocket) are tables of functions that get bytes and queue
 * bytes; none of them touches the socket.
 *
 * A connection may end in the middle of any call, so its memory goes at the end of the turn: after a call
 * that may have ended it, look at connection_alive(). */
#pragma once
#include "net/output.h"
#include "net/server.h"
#include "net/tls.h"
#include <netinet/in.h>

typedef struct Protocol {
    void (*input)(Connection *c, Span bytes); /* takes all of them */
    void (*eof)(Connection *c);               /* the peer sends no more */
    void (*produce)(Connection *c);           /* before writing: queue what is ready */
    void (*written)(Connection *c);           /* after writing; may be NULL */
    void (*expired)(Connection *c);           /* the deadline set last has passed */
    void (*drain)(Connection *c);             /* the server wants to stop */
    void (*gone)(Connection *c);              /* frees c->state */
} Protocol;

typedef enum ConnectionPhase {
    CONNECTION_TLS,    /* handshake */
    CONNECTION_SNIFF,  /* plain, too few bytes to know the protocol */
    CONNECTION_OPEN,   /* the protocol's */
    CONNECTION_FLUSH,  /* nothing more is read or queued; what waits goes out first */
    CONNECTION_LINGER, /* our side is shut; reading until the peer has seen it */
    CONNECTION_DEAD,   /* memory goes at the end of the turn */
    CONNECTION_PHASES,
} ConnectionPhase;

struct Connection {
    Watch watch;
    Timer timer;
    Deferred turn_end;
    HttpServer *server;
    const Protocol *protocol; /* NULL before CONNECTION_OPEN */
    void *state;              /* the protocol's */
    Tls *tls;                 /* NULL: plain */
    Output out;
    int64_t deadline_us; /* 0: none; loop time */
    int64_t acked_us;    /* when the peer was last seen to take what it should */
    uint64_t wire_acked; /* what it had taken then, */
    uint64_t wire_due;   /* and what was waiting for it, in bytes since the beginning */
    uint64_t wire_sent;  /* bytes given to the kernel */
    Connection *next, *previous, *next_again;
    size_t lingered;
    uint8_t phase;
    bool paused;  /* not reading */
    bool blocked; /* waiting for EPOLLOUT */
    bool ended;   /* the peer has shut its side */
    bool on_again_list;
    bool producing;
    uint8_t sniffed;
    char sniff[4];
    char peer[INET6_ADDRSTRLEN];
};

enum {
    OUTPUT_HIGH = 256 << 10, /* protocols stop producing, and reading, above this */
};

/* Takes over fd. */
void connection_open(HttpServer *server, int fd, const struct sockaddr *peer);
void connection_kill(Connection *c);   /* at once; no effect on a dead one */
void connection_finish(Connection *c); /* what is queued goes out first, then orderly */
static inline bool connection_alive(const Connection *c) {
    return c->phase < CONNECTION_FLUSH;
}

/* Queue; where memory ends the connection is killed. */
void connection_write(Connection *c, Span bytes);
void connection_write_blob(Connection *c, Blob *blob);
void connection_wake(Connection *c); /* produce and write at the end of this turn */
void connection_pause(Connection *c, bool paused);
void connection_become(Connection *c, const Protocol *protocol, void *state);
/* expired() is called once the time has come. 0: none. Cheap: the timer itself seldom moves. */
void connection_deadline(Connection *c, int64_t after_ms);
void connection_deadline_moves(Connection *c, size_t bytes); /* by the time that they may take */
static inline int64_t connection_now(const Connection *c) {
    return loop_now_us(c->server->loop);
}
static inline bool connection_congested(const Connection *c) {
    return c->out.bytes >= OUTPUT_HIGH;
}
/* Bytes that the peer's kernel has acknowledged; tells a slow reader from a dead one. */
uint64_t connection_acked(Connection *c);
/* Has the peer taken nothing, or less than the server's least rate, for its stall time, while something
 * waits? Kill it then. */
bool connection_stalled(Connection *c);
/* By the server only. */
void connection_read_again(Connection *c);
void connection_free(Connection *c);

extern const Protocol H1_PROTOCOL, H2_PROTOCOL;
void *h1_new(Connection *c); /* the state for connection_become() */
void *h2_new(Connection *c); /* NULL where memory ends */
