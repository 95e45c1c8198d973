/* connection.c - the life of one socket.
 *
 *     TLS handshake -> (ALPN) ----.
 *     plain -> SNIFF first bytes --+-> OPEN: h1, h2 or websocket -> FLUSH -> LINGER -> DEAD
 *
 * Reading goes through one scratch buffer of the server: an idle connection owns no buffer. Writing happens
 * once, at the end of the loop's turn, so that all frames and answers of a turn leave in one system call;
 * EPOLLOUT is watched only while the kernel is full. After an error answer the peer may still be sending:
 * closing at once would make the kernel reset the connection and destroy the answer, so our side is shut and
 * the rest is read away for a moment (RFC 9112 section 9.6).
 *
 * Two clocks run: the protocol's deadline, and the stall clock while output waits. The timer in the loop's
 * heap is moved only when it would ring too late; when it rings too early it is set again. */
#include "net/connection.h"

#include "base/log.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum {
    ROUNDS_PER_TURN = 4,
    VECTOR = 64,
    LINGER_MS = 1000,
    LINGER_MAX = 4 << 20,
    WRITE_PER_TURN = 1 << 20,
};

#define BIT(phase) (1u << (phase))
static const unsigned MAY_GO[CONNECTION_PHASES] = {
    [CONNECTION_TLS] = BIT(CONNECTION_OPEN) | BIT(CONNECTION_DEAD),
    [CONNECTION_SNIFF] = BIT(CONNECTION_OPEN) | BIT(CONNECTION_DEAD),
    [CONNECTION_OPEN] = BIT(CONNECTION_OPEN) | BIT(CONNECTION_FLUSH) | BIT(CONNECTION_DEAD),
    [CONNECTION_FLUSH] = BIT(CONNECTION_LINGER) | BIT(CONNECTION_DEAD),
    [CONNECTION_LINGER] = BIT(CONNECTION_DEAD),
};

static void go(Connection *c, ConnectionPhase to) {
    if (!(MAY_GO[c->phase] & BIT(to))) abort(); /* a mistake of ours */
    c->phase = (uint8_t)to;
}

/* --- interest and deadlines --- */

static void watch(Connection *c) {
    if (c->phase == CONNECTION_DEAD) return;
    unsigned events = c->blocked ? EPOLLOUT : 0;
    if (!c->paused && !c->ended) events |= EPOLLIN;
    if (!events) events = EPOLLPRI; /* an empty set would unregister it; errors are reported in any case */
    if (!loop_watch(c->server->loop, &c->watch, events, NULL)) connection_kill(c);
}

static int64_t stall_check_us(const Connection *c) {
    return c->server->options.stall_ms * 1000 / 6;
}

static void arm(Connection *c) {
    int64_t at = c->deadline_us, now = connection_now(c);
    if (c->blocked && (!at || at > now + stall_check_us(c))) at = now + stall_check_us(c);
    if (!at || (c->timer.slot && c->timer.at_us <= at)) return;
    loop_timer_set(c->server->loop, &c->timer, at > now ? (at - now + 999) / 1000 : 1);
}

void connection_deadline(Connection *c, int64_t after_ms) {
    c->deadline_us = after_ms ? connection_now(c) + after_ms * 1000 : 0;
    arm(c);
}

void connection_deadline_moves(Connection *c, size_t bytes) {
    if (c->deadline_us) c->deadline_us += server_time_for(c->server, bytes);
}

uint64_t connection_acked(Connection *c) {
    int waiting = 0;
    if (ioctl(c->watch.fd, SIOCOUTQ, &waiting)) waiting = 0;
    return c->wire_sent - (uint64_t)waiting;
}

static void stall_begins(Connection *c, uint64_t acked) {
    c->wire_acked = acked;
    c->wire_due = c->wire_sent + c->out.bytes;
    c->acked_us = connection_now(c);
}

/* Crumbs are no progress: within the stall time all that waited has to go, or as much as the least rate makes
 * of it. */
bool connection_stalled(Connection *c) {
    uint64_t acked = connection_acked(c);
    int64_t stall_us = c->server->options.stall_ms * 1000;
    bool nothing_waits = acked == c->wire_sent && !c->out.bytes;
    bool enough = server_time_for(c->server, (size_t)(acked - c->wire_acked)) >= stall_us;
    if (nothing_waits || enough || acked >= c->wire_due) {
        stall_begins(c, acked);
        return false;
    }
    return connection_now(c) - c->acked_us >= stall_us;
}

static void on_timer(Timer *timer) {
    Connection *c = CONTAINER(timer, Connection, timer);
    if (c->blocked && connection_stalled(c)) {
        server_defended(c->server, DEFENCE_STALLED_READER, c->peer);
        connection_kill(c);
        return;
    }
    if (c->deadline_us && c->deadline_us <= connection_now(c)) {
        c->deadline_us = 0;
        if (c->phase == CONNECTION_OPEN) {
            c->protocol->expired(c);
        } else {
            if (c->phase < CONNECTION_OPEN) server_defended(c->server, DEFENCE_SLOW_START, c->peer);
            connection_kill(c);
        }
    }
    if (c->phase != CONNECTION_DEAD) arm(c);
}

/* --- the end --- */

static void list_remove(Connection *c) {
    HttpServer *s = c->server;
    if (c->previous)
        c->previous->next = c->next;
    else
        s->connections = c->next;
    if (c->next) c->next->previous = c->previous;
    server_count(s, -1);
    if (!c->on_again_list) return;
    for (Connection **at = &s->again; *at; at = &(*at)->next_again) {
        if (*at != c) continue;
        *at = c->next_again;
        break;
    }
}

void connection_free(Connection *c) {
    c->phase = CONNECTION_DEAD;
    loop_unwatch(c->server->loop, &c->watch);
    loop_timer_stop(c->server->loop, &c->timer);
    loop_undefer(c->server->loop, &c->turn_end);
    if (c->protocol) c->protocol->gone(c);
    loop_undefer(c->server->loop, &c->turn_end); /* gone() may have touched it */
    list_remove(c);
    tls_free(c->tls);
    close(c->watch.fd);
    output_clear(&c->out);
    free(c);
}

void connection_kill(Connection *c) {
    if (c->phase == CONNECTION_DEAD) return;
    go(c, CONNECTION_DEAD);
    loop_unwatch(c->server->loop, &c->watch);
    loop_timer_stop(c->server->loop, &c->timer);
    loop_defer(c->server->loop, &c->turn_end);
}

void connection_finish(Connection *c) {
    if (c->phase >= CONNECTION_FLUSH) return;
    if (c->phase != CONNECTION_OPEN) {
        connection_kill(c);
        return;
    }
    go(c, CONNECTION_FLUSH);
    c->deadline_us = 0;
    connection_wake(c);
}

static void linger(Connection *c) {
    go(c, CONNECTION_LINGER);
    if (c->tls) tls_shutdown(c->tls);
    shutdown(c->watch.fd, SHUT_WR);
    if (c->ended) {
        connection_kill(c);
        return;
    }
    c->blocked = c->paused = false;
    connection_deadline(c, LINGER_MS);
    watch(c);
}

/* TLS too is read away as raw bytes: nobody wants to know what they say. */
static void linger_read(Connection *c) {
    ssize_t got = recv(c->watch.fd, c->server->in, SCRATCH_IN, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got > 0) c->lingered += (size_t)got;
    if (got <= 0 || c->lingered > LINGER_MAX) connection_kill(c);
}

/* --- writing --- */

void connection_wake(Connection *c) {
    if (!c->producing) loop_defer(c->server->loop, &c->turn_end);
}

void connection_write(Connection *c, Span bytes) {
    if (c->phase > CONNECTION_FLUSH) return;
    if (!output_copy(&c->out, bytes.at, bytes.len))
        connection_kill(c);
    else
        connection_wake(c);
}

void connection_write_blob(Connection *c, Blob *blob) {
    if (c->phase > CONNECTION_FLUSH) return;
    if (!output_share(&c->out, blob, blob_view(blob)))
        connection_kill(c);
    else
        connection_wake(c);
}

static ssize_t write_plain(Connection *c) {
    struct iovec vector[VECTOR];
    size_t count = output_vector(&c->out, vector, VECTOR);
    ssize_t put;
    if (count == 1) {
        put = send(c->watch.fd, vector[0].iov_base, vector[0].iov_len, MSG_NOSIGNAL);
    } else {
        struct msghdr message = {.msg_iov = vector, .msg_iovlen = count};
        put = sendmsg(c->watch.fd, &message, MSG_NOSIGNAL);
    }
    if (put >= 0) {
        c->wire_sent += (uint64_t)put;
        return put;
    }
    return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

static ssize_t write_tls(Connection *c) {
    size_t put = 0;
    Span run = output_run(&c->out, c->server->out, SCRATCH_OUT);
    switch (tls_write(c->tls, run, &put)) {
    case TLS_DONE: return (ssize_t)put;
    case TLS_AGAIN_READ:
    case TLS_AGAIN_WRITE: return 0;
    default: return -1;
    }
}

/* Until EPOLLOUT comes: the kernel is full, or it is the others' turn. The stall clock starts. */
static void block(Connection *c) {
    if (c->blocked) return;
    c->blocked = true;
    stall_begins(c, connection_acked(c));
}

/* True where everything has gone out. */
static bool write_out(Connection *c) {
    for (size_t total = 0; c->out.bytes;) {
        ssize_t put = c->tls ? write_tls(c) : write_plain(c);
        if (put < 0) {
            connection_kill(c);
            return false;
        }
        output_taken(&c->out, (size_t)put);
        total += (size_t)put;
        if (put == 0 || (total > WRITE_PER_TURN && c->out.bytes)) {
            block(c);
            break;
        }
    }
    return !c->out.bytes;
}

static void turn_end(Deferred *deferred) {
    Connection *c = CONTAINER(deferred, Connection, turn_end);
    for (size_t round = 0; c->phase == CONNECTION_OPEN; round++) {
        c->producing = true; /* what it queues goes out right below */
        c->protocol->produce(c);
        c->producing = false;
        if (c->phase >= CONNECTION_FLUSH || c->blocked || !c->out.bytes || !write_out(c)) break;
        if (round == ROUNDS_PER_TURN) block(c);
    }
    if (c->phase == CONNECTION_OPEN && c->protocol->written) c->protocol->written(c);
    if (c->phase == CONNECTION_FLUSH && (c->blocked || write_out(c)) && !c->out.bytes) linger(c);
    if (c->phase == CONNECTION_DEAD) {
        connection_free(c);
        return;
    }
    watch(c);
    if (c->blocked) arm(c);
}

/* --- reading --- */

/* Bytes wait inside of OpenSSL, where epoll does not see them. */
static void read_again(Connection *c) {
    HttpServer *s = c->server;
    if (c->on_again_list) return;
    c->on_again_list = true;
    c->next_again = s->again;
    s->again = c;
    if (!s->again_timer.slot) loop_timer_soon(s->loop, &s->again_timer);
}

void connection_pause(Connection *c, bool paused) {
    if (c->paused == paused) return;
    c->paused = paused;
    if (!paused && c->tls && tls_has_input(c->tls)) read_again(c);
    connection_wake(c);
}

void connection_become(Connection *c, const Protocol *protocol, void *state) {
    if (!state) {
        connection_kill(c);
        return;
    }
    go(c, CONNECTION_OPEN);
    c->protocol = protocol;
    c->state = state;
}

static void become_h1_or_h2(Connection *c, bool h2) {
    connection_become(c, h2 ? &H2_PROTOCOL : &H1_PROTOCOL, h2 ? h2_new(c) : h1_new(c));
}

/* "PRI" is no method of anybody: four bytes tell HTTP/2 with prior knowledge from HTTP/1.1 (RFC 9113
 * section 3.4). */
static Span sniff(Connection *c, Span bytes) {
    static const char PREFACE[4] = "PRI ";
    while (bytes.len && c->sniffed < sizeof PREFACE && memcmp(c->sniff, PREFACE, c->sniffed) == 0) {
        c->sniff[c->sniffed++] = *bytes.at++;
        bytes.len--;
    }
    bool alike = memcmp(c->sniff, PREFACE, c->sniffed) == 0;
    if (alike && c->sniffed < sizeof PREFACE) return bytes;
    become_h1_or_h2(c, alike);
    if (connection_alive(c)) c->protocol->input(c, (Span){c->sniff, c->sniffed});
    return bytes;
}

static void take_input(Connection *c, Span bytes) {
    if (c->phase == CONNECTION_SNIFF && bytes.len >= sizeof c->sniff && !c->sniffed) {
        become_h1_or_h2(c, memcmp(bytes.at, "PRI ", 4) == 0); /* the usual case: nothing to set aside */
    } else if (c->phase == CONNECTION_SNIFF) {
        bytes = sniff(c, bytes);
    }
    if (c->phase == CONNECTION_OPEN && bytes.len) c->protocol->input(c, bytes);
}

typedef enum ReadOutcome { READ_SOME, READ_END, READ_FAILED } ReadOutcome; /* some: or nothing yet */

static ReadOutcome read_plain(Connection *c, size_t *len) {
    ssize_t got = recv(c->watch.fd, c->server->in, SCRATCH_IN, 0);
    if (got < 0) return errno == EAGAIN || errno == EINTR ? READ_SOME : READ_FAILED;
    *len = (size_t)got;
    return got ? READ_SOME : READ_END;
}

/* Gathers records, so that a protocol sees one long run and not many short ones. */
static ReadOutcome read_tls(Connection *c, size_t *len) {
    do {
        size_t got = 0;
        switch (tls_read(c->tls, c->server->in + *len, SCRATCH_IN - *len, &got)) {
        case TLS_DONE: *len += got; break;
        case TLS_AGAIN_READ:
        case TLS_AGAIN_WRITE: return READ_SOME;
        case TLS_EOF: return READ_END;
        default: return READ_FAILED;
        }
    } while (*len < SCRATCH_IN && tls_has_input(c->tls));
    return READ_SOME;
}

/* One scratch buffer full, then it is the others' turn: a peer that never stops sending costs them no more
 * than that. Of what the kernel still holds epoll tells again. */
static void read_in(Connection *c) {
    size_t len = 0;
    ReadOutcome outcome = c->tls ? read_tls(c, &len) : read_plain(c, &len);
    if (len) take_input(c, (Span){c->server->in, len});
    if (outcome == READ_FAILED) connection_kill(c);
    if (!connection_alive(c)) return;
    if (outcome == READ_END) {
        c->ended = true;
        if (c->phase == CONNECTION_OPEN)
            c->protocol->eof(c);
        else
            connection_kill(c);
        connection_wake(c);
    }
    if (c->tls && !c->paused && tls_has_input(c->tls)) read_again(c);
}

void connection_read_again(Connection *c) {
    c->on_again_list = false;
    if (connection_alive(c) && !c->paused && !c->ended) read_in(c);
}

static void handshake(Connection *c) {
    switch (tls_handshake(c->tls)) {
    case TLS_DONE:
        c->blocked = false;
        become_h1_or_h2(c, tls_is_h2(c->tls));
        if (connection_alive(c)) read_in(c);
        return;
    case TLS_AGAIN_READ: c->blocked = false; break;
    case TLS_AGAIN_WRITE: c->blocked = true; break;
    default: connection_kill(c); return;
    }
    watch(c);
}

static void on_ready(Watch *w, unsigned events) {
    Connection *c = CONTAINER(w, Connection, watch);
    if (c->phase == CONNECTION_TLS) {
        handshake(c);
        return;
    }
    if (events & EPOLLOUT && c->blocked) {
        c->blocked = false;
        connection_wake(c);
    }
    if (c->phase == CONNECTION_LINGER)
        linger_read(c);
    else if (c->phase == CONNECTION_FLUSH || c->paused || c->ended) {
        if (events & (EPOLLERR | EPOLLHUP))
            connection_kill(c);
        else if (events & EPOLLIN)
            connection_pause(c, true);
    } else if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        read_in(c);
}

static void peer_text(Connection *c, const struct sockaddr *peer) {
    const void *address = peer->sa_family == AF_INET6
                              ? (const void *)&((const struct sockaddr_in6 *)peer)->sin6_addr
                              : (const void *)&((const struct sockaddr_in *)peer)->sin_addr;
    if (!inet_ntop(peer->sa_family, address, c->peer, sizeof c->peer)) c->peer[0] = 0;
}

void connection_open(HttpServer *server, int fd, const struct sockaddr *peer) {
    Connection *c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        return;
    }
    c->server = server;
    c->watch = (Watch){.ready = on_ready, .fd = fd};
    c->timer.expired = on_timer;
    c->turn_end.run = turn_end;
    c->acked_us = connection_now(c);
    output_init(&c->out);
    peer_text(c, peer);
    c->next = server->connections;
    if (c->next) c->next->previous = c;
    server->connections = c;
    server_count(server, 1);
    if (server->options.tls) c->tls = tls_new(server->options.tls, fd, &c->wire_sent);
    c->phase = server->options.tls ? CONNECTION_TLS : CONNECTION_SNIFF;
    connection_deadline(c, server->options.header_ms);
    if (server->options.tls && !c->tls)
        connection_kill(c);
    else
        watch(c);
}
