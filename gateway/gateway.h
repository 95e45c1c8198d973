/* What the parts of the gateway share. Made by main.c before any loop runs, torn down after all of them have
 * ended; in between only what is atomic, or guards itself, changes. */
#pragma once
#include "app/queries.h"
#include "gateway/auth/attempts.h"
#include "gateway/auth/proxies.h"
#include "gateway/auth/revocations.h"
#include "gateway/auth/token.h"
#include "gateway/auth/token_cache.h"
#include "gateway/counts.h"
#include "gateway/feed/hub.h"
#include "gateway/memory.h"
#include "gateway/peers.h"
#include "gateway/rest/documents.h"
#include "gateway/rest/static.h"
#include "gateway/stream/presence.h"
#include "grid/grid_webhook.h"
#include "io/pool.h"
#include "net/http_server.h"
#include "queue/queue.h"

typedef struct Worker Worker;
typedef struct Server Server;
typedef struct Parking Parking;
typedef struct Sessions Sessions;
typedef struct Rpc Rpc;

typedef struct Gateway {
    Tokens *tokens;
    Revocations *revocations;
    Attempts *attempts;
    Pool *readers;      /* contexts: Queries */
    Pool *logins;       /* password hashes; contexts: UsersContext (rest/login.h) */
    Pool *user_threads; /* refresh tokens and tickets; the same contexts */
    QueueSender *queue;
    Hub *hub;
    Presence *presence;
    StaticFiles *files;
    Documents *documents;
    GridWebhook *webhook;
    Server *server;
    Memory *memory;
    Peers *peers;
    const char *allowed_origins;
    Proxies *proxies;
    int64_t access_us, refresh_us; /* lives of tokens */
    int64_t stream_us;             /* life of a stream; 0: it may stay */
    int64_t drain_us;              /* within which the streams are closed at the end */
    bool test_endpoints, ws_deflate;
    atomic_bool ready;
    _Atomic int64_t held; /* the projection's prefix, as last heard by doorbell */
} Gateway;

/* What the log has been told of failed requests in this second. */
typedef struct FailureLog {
    int64_t second_us;
    unsigned said, unsaid;
} FailureLog;

/* One event loop with its own two servers and its own sessions. Its thread alone touches it. */
struct Worker {
    Gateway *gateway;
    Loop *loop;
    HttpServer *tls, *plain;
    TokenCache *tokens;
    LoopCounts *counts;
    Sessions *sessions;
    Parking *parking;
    Rpc *rpc;
    FailureLog failures;
    size_t in_flight; /* jobs, queue sends and parked reads that will come back */
};
