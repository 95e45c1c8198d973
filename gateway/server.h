/* The loops: one thread each, with a TLS and a plain server of its own. The kernel spreads the connections
 * over them (SO_REUSEPORT), and a connection never leaves its loop. */
#pragma once
#include "gateway/gateway.h"

typedef struct ServerOptions {
    Gateway *gateway;
    size_t threads; /* 0: as many as processors */
    const char *listen, *listen_plain;
    HttpTls *tls;
} ServerOptions;

/* Listens; nothing is answered before server_run(). */
bool server_open(const ServerOptions *options, Server **ret, Err *err);
bool server_run(Server *server, Err *err); /* starts the threads */
void server_drain(Server *server);         /* any thread, more than once: all ends within 15 s */
void server_join(Server *server);          /* until every loop has ended */
void server_news(Server *server); /* any thread: gateway->held has risen, or gateway->ready has changed */
/* Any thread: this is what is revoked from now on; ends the streams that are. Takes references of its own. */
void server_revoke(Server *server, Revoked *set);
/* Closes what is still open. False where jobs of the loops have not come back: then nothing was freed, and
 * the process must end without more ado. Pools and queue have been freed before. */
bool server_free(Server *server);
